"""An error in one line. Imports nothing of the other jobs, so that every one may use it."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable
from pathlib import Path

LONGEST = 200
LONGEST_OF_A_RUNG = 400
VLLM = ((f"{os.sep}model_executor{os.sep}", f"{os.sep}multimodal{os.sep}"), (f"{os.sep}vllm{os.sep}",), ("",))
"""Where an error is most telling, after the port itself: in vLLM's models, anywhere in vLLM, anywhere."""


def line_of(error: BaseException) -> str:
    """Type and first line, without vLLM's list of all names; of an error that says nothing, where it was raised."""
    said = message_of(error, 1).partition(" The available")[0][:LONGEST] or place_of(error)
    return f"{type(error).__name__}: {said}".rstrip(": ")


def placed_line(error: BaseException, own: Iterable[str]) -> str:
    """`Type: message (file:line in function)`: the innermost frame of the packages `own`, else of vLLM, else of all."""
    ranks = (tuple(f"{os.sep}{module}{os.sep}" for module in own), *VLLM)
    found = next((frames[-1] for rank in ranks if (frames := frames_of(error, rank))), None)
    place = f" ({Path(found.filename).name}:{found.lineno} in {found.name})" if found else ""
    return f"{type(error).__name__}: {message_of(error, 3)[:LONGEST_OF_A_RUNG]}{place}"


def place_of(error: BaseException, within: str = "") -> str:
    """`file:line code` of the innermost frame, of those in a folder named so; "" when there is none."""
    frames = frames_of(error, (within,))
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].line}" if frames else ""


def frames_of(error: BaseException, within: tuple[str, ...]) -> list[traceback.FrameSummary]:
    """The frames in files whose name has one of these parts, outermost first."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if any(part in frame.filename for part in within)]


def message_of(error: BaseException, lines: int) -> str:
    """The first lines that are not empty, in one."""
    said = [line.strip() for line in str(error).splitlines()]
    return " ".join([line for line in said if line][:lines])
