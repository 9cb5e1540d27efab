"""The answer of a worker that ran the repo's code: checked before anything of it is used or shown."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

from porter.errors import WorkerError
from porter.jsontypes import JSON, JSONObject, as_int, objects
from porter.smoke.inputs import ODD

DEEPEST = 6
MOST_ITEMS = 200
LONGEST = 500
LARGEST = 8192
MOST_PICTURES = 3
FILES = ("weights", "results")


def checked(answer: JSONObject, names: Sequence[str], out: Path) -> JSONObject:
    """`answer` cut to sane sizes, the files of each set in `out`. Raises WorkerError for another kind of answer."""
    kept = {key: _cut(value) for key, value in answer.items()}
    rows = objects(kept.get("sets"))
    if [item.get("name") for item in rows] != list(names):
        raise WorkerError("reference: gave an answer without the sets of weights that it was asked for")
    for item in rows:
        for kind in FILES:
            if not _own_file(item.get(kind), out):
                raise WorkerError(f"reference: gave no file of {kind} for the {item['name']} weights")
    return kept


def with_pictures(prompts: Sequence[JSONObject], pictures: JSON) -> list[JSONObject]:
    """The prompts that both sides run: an image that the reference found telling stands in the one of odd aspect,
    further ones in prompts of their own.

    Raises WorkerError for one that cannot be drawn here: the two sides would be asked about different images.
    """
    listed = [] if pictures is None else pictures
    if not isinstance(listed, list) or len(listed) > MOST_PICTURES or not all(_drawn(item) for item in listed):
        raise WorkerError("reference: asked about a picture of its own that cannot be drawn again")
    last = next((prompt for prompt in prompts if prompt["name"] == ODD), None)
    if last is None or not listed:
        return [*prompts]
    first, *others = ({**last, "images": [picture]} for picture in listed)
    more = [{**prompt, "name": f"{ODD} {at}"} for at, prompt in enumerate(others, 2)]
    return [*(first if prompt is last else prompt for prompt in prompts), *more]


def _drawn(picture: JSON) -> bool:
    """Whether it is a size and a seed, of an image that is not too large."""
    known = picture if isinstance(picture, dict) and set(picture) == {"width", "height", "seed"} else {}
    return bool(known) and all(0 < (as_int(number) or 0) <= LARGEST for number in known.values())


def _own_file(path: JSON, out: Path) -> bool:
    """Whether it names a file that stands directly in `out`, and no link."""
    if not isinstance(path, str) or Path(path).parent != out:
        return False
    try:
        return stat.S_ISREG(Path(path).lstat().st_mode)
    except (OSError, ValueError):
        return False


def _cut(value: JSON, depth: int = 0) -> JSON:
    if isinstance(value, str):
        return value[:LONGEST]
    if isinstance(value, (list, dict)) and depth == DEEPEST:
        return None
    if isinstance(value, list):
        return [_cut(item, depth + 1) for item in value[:MOST_ITEMS]]
    if isinstance(value, dict):
        return {key[:LONGEST]: _cut(item, depth + 1) for key, item in [*value.items()][:MOST_ITEMS]}
    return value
