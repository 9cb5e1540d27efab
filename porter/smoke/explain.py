"""A vLLM log or traceback explained: what went wrong, what to change in the port, and which rung shows it earlier."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from porter.jsontypes import JSONObject
from porter.smoke.explain_log import Frame, Raised, raised
from porter.smoke.explain_shape import Rank, Shape
from porter.smoke.explain_shapes import FRAMES, SHAPES, WORDS

EVIDENCE = 300
ORDER: dict[Rank, int] = {"cause": 0, "vague": 1, "consequence": 2}
_PACKAGE = re.compile(r"(?:site|dist)-packages/")
_LIBRARY = re.compile(
    r"(?:site|dist)-packages/(?:vllm|torch\w*|transformers|tokenizers|safetensors|huggingface_hub|numpy|PIL|cv2|einops|timm"
    r"|pydantic\w*|ray|zmq|msgspec|uvloop|uvicorn|fastapi|starlette|typer|click|triton|flashinfer|flash_attn|xformers"
    r"|compressed_tensors|jinja2|cloudpickle|httpx|requests|urllib3|tqdm|accelerate|peft|_?pytest|pluggy)\b"
)
_STANDARD = re.compile(r"lib(?:64)?/python\d|^<")
_VLLM = re.compile(r"(?:^|/)vllm(?:/|-\d)")
_MODELS = re.compile(r"/vllm/(?:model_executor/models|models)/")


@dataclass(frozen=True, slots=True)
class Cause:
    """One recognised error. `line` counts from 1 in the log, `text` is what stands there."""

    name: str
    cause: str
    change: str
    rung: str
    threads: tuple[str, ...]
    line: int
    text: str
    rank: Rank = "cause"

    def to_json(self) -> JSONObject:
        return {
            "name": self.name,
            "cause": self.cause,
            "change": self.change,
            "rung": self.rung,
            "threads": [*self.threads],
            "evidence": {"line": self.line, "text": self.text},
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """`causes`: what was recognised, the root first. `unknown`: the first exception that no shape fits.

    `frame` is the innermost line of the port, else of vLLM's models, else of any code.
    """

    causes: tuple[Cause, ...] = ()
    unknown: Raised | None = None
    frame: Frame | None = None

    def to_json(self) -> JSONObject:
        frame, unknown = self.frame, self.unknown
        return {
            "causes": [cause.to_json() for cause in self.causes],
            "unknown": None
            if unknown is None
            else {"type": unknown.type, "line": unknown.lines[0], "text": _first(unknown)},
            "frame": None
            if frame is None
            else {"file": frame.file, "line": frame.line, "function": frame.function, "text": frame.text},
        }


def explain(lines: Iterable[bytes], own: Sequence[str] = ()) -> Explanation:
    """Reads a log once. `own`: names of the port's modules, whose lines of code are the ones to look at."""
    causes: dict[str, tuple[Cause, Raised]] = {}
    unknown: Raised | None = None
    for item in raised(lines):
        shape = _shape(item)
        if shape is None:
            unknown = unknown or (item if item.traced or _alone(item) else None)
            continue
        causes.setdefault(shape[0].name, (_cause(item, *shape), item))
    kept = _kept([*causes.values()], unknown)
    source = kept[0][1] if kept and kept[0][0].rank != "consequence" else unknown
    frame = innermost(source.frames if source else (), own)
    return Explanation(tuple(cause for cause, _ in kept), None if kept else unknown, frame)


def explain_text(text: str, own: Sequence[str] = ()) -> Explanation:
    return explain((line.encode("utf-8", "replace") for line in text.splitlines()), own)


def advice(detail: str) -> str:
    """What to change, for the one line that a failed rung has; empty where nothing is known about it."""
    causes = explain_text(detail).causes
    return f"{causes[0].cause}: {causes[0].change}" if causes else ""


def innermost(frames: Sequence[Frame], own: Sequence[str] = ()) -> Frame | None:
    """The last frame of the port, else of vLLM's models, of any vLLM code, of any file."""
    after_vllm = next((i for i, frame in enumerate(frames) if _VLLM.search(frame.file)), len(frames))
    ranks = (
        [frame for frame in frames if any(f"/{module}/" in frame.file for module in own)],
        [frame for frame in frames[after_vllm:] if _foreign(frame.file)],
        [frame for frame in frames if _MODELS.search(frame.file)],
        [frame for frame in frames if _VLLM.search(frame.file)],
        [*frames],
    )
    return next((found[-1] for found in ranks if found), None)


def _foreign(file: str) -> bool:
    """Code that belongs to no library: a port, installed or not, or a repo's own."""
    if _PACKAGE.search(file):
        return not _LIBRARY.search(file)
    return not (_STANDARD.search(file) or _VLLM.search(file))


def _shape(item: Raised) -> tuple[Shape, re.Match[str]] | None:
    place = f"{item.frames[-1].function} {item.frames[-1].text}" if item.frames else ""
    for shape, words, frame in zip(SHAPES, WORDS, FRAMES, strict=True):
        if shape.types and item.type and item.type not in shape.types:
            continue
        if (shape.frame or words.pattern.startswith("^")) and not item.type:
            continue
        found = words.search(item.message) or words.search(f"{item.type}: {item.message}")
        if found and (frame is None or frame.search(place)):
            return shape, found
    return None


def _cause(item: Raised, shape: Shape, found: re.Match[str]) -> Cause:
    said = defaultdict(lambda: "?", {name: " ".join(value.split()) for name, value in found.groupdict("?").items()})
    cause = shape.cause.format_map(said)
    line, text = _evidence(item, found)
    return Cause(shape.name, cause, shape.change, shape.rung, shape.threads, line, text, shape.rank)


def _evidence(item: Raised, found: re.Match[str]) -> tuple[int, str]:
    """The line of the message in which the telling words begin."""
    at = item.message.count("\n", 0, found.start()) if found.string == item.message else 0
    line = item.message.split("\n")[at].strip()
    shown = line if at else f"{item.type}: {line}".removesuffix(": ").removeprefix(": ")
    return item.lines[min(at, len(item.lines) - 1)], shown[:EVIDENCE]


def _kept(found: list[tuple[Cause, Raised]], unknown: Raised | None) -> list[tuple[Cause, Raised]]:
    """Only the best rank; that a process ended is news only where no traceback tells why."""
    best = min((ORDER[cause.rank] for cause, _ in found), default=0)
    if best == ORDER["consequence"] and unknown is not None and unknown.traced:
        return []
    return [pair for pair in found if ORDER[pair[0].rank] == best]


def _alone(item: Raised) -> bool:
    return bool(item.type) and not item.type.endswith("Warning")


def _first(item: Raised) -> str:
    line = next((line.strip() for line in item.message.splitlines() if line.strip()), "")
    return (f"{item.type}: {line}".removesuffix(": ") if item.type else line)[:EVIDENCE]
