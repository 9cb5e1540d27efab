"""An error in one line. Imports nothing, so that every job may use it."""

from __future__ import annotations

import traceback
from pathlib import Path

LONGEST = 200


def line_of(error: BaseException) -> str:
    """Type and first line, without vLLM's list of all names; of an error that says nothing, where it was raised."""
    text = str(error).strip().splitlines()
    said = text[0].partition(" The available")[0][:LONGEST] if text else place_of(error)
    return f"{type(error).__name__}: {said}".rstrip(": ")


def place_of(error: BaseException, within: str = "") -> str:
    """`file:line code` of the innermost frame, of those in a folder named so; "" when there is none."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if within in frame.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].line}" if frames else ""
