"""Image inputs of the reference: from the repo's own processor or functions, else re-written from the facts.

Each way answers `Inputs`; the first that works for the first image is kept for the run.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from porter_worker import older_images
from porter_worker.standin_packages import REMOTE, with_stubs

IMAGE_NAMES = ("image", "img", "image_file", "image_path", "pil_image", "images")
SIZE_NAMES = ("input_size", "image_size", "size", "img_size", "tile_size")
PIXEL_NAMES = ("pixel_values", "images", "image", "pixel_values_flat", "pixel_values_images", "image_tensor")
PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json")
NOT_PIXELS = (
    "flag",
    "size",
    "mask",
    "id",
    "count",
    "num",
    "embed",
    "grid",
    "token",
    "index",
    "path",
    "feature",
    "bound",
    "pos",
)
MIN_NAMES = ("min_num", "min_tiles", "min_dynamic_patch", "min_patches")
MAX_NAMES = ("max_num", "max_tiles", "max_dynamic_patch", "max_patches", "max_num_tiles")


@dataclass
class Inputs:
    """`tensors` go to forward by name (`pixel_values` among them); `counts` are the tiles of each image."""

    tensors: dict[str, Any] = field(default_factory=dict)
    counts: list[int] = field(default_factory=list)
    input_ids: Any = None


Way = Callable[[str, list[Any]], Inputs]


def auto_map_entry(folder: Path, key: str) -> str | None:
    """The first file of the folder that maps `key`."""
    for name in ("processor_config.json", "preprocessor_config.json", "config.json", "tokenizer_config.json"):
        path = folder / name
        doc = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        found = (doc.get("auto_map") or {}).get(key)
        if isinstance(found, str):
            return found
    return None


def ways(folder: Path, facts: dict[str, Any], used: list[str], *, trust: bool) -> Iterator[tuple[str, Way]]:
    """(where it comes from, how), the repo's own code first; `rewritten from facts` is the last.

    What had to be replaced for it is told in `used`.
    """
    entry = auto_map_entry(folder, "AutoProcessor") if trust else None
    if entry:
        yield f"processor {entry}", _lazy(lambda: with_stubs(lambda: _processor(folder, trust, used), used))
    entry = auto_map_entry(folder, "AutoImageProcessor") if trust else None
    if entry:
        yield f"image processor {entry}", _lazy(lambda: with_stubs(lambda: _image_processor(folder, entry), used))
    elif facts.get("native"):
        yield "processor of transformers", _lazy(lambda: _processor(folder, trust, used))
    named = None if entry else named_class(folder)
    if named is not None:
        yield f"{named.__name__} of transformers", _lazy(lambda: _processor(folder, trust, used, named))
    yield from _code_ways(facts)
    if named_processor(folder):
        yield "image processor of transformers", _lazy(lambda: _image_processor(folder, None))
    yield "rewritten from facts", _per_image(lambda image: rewritten(image, facts["tiling"]))


def named_class(folder: Path) -> Any:
    """The processor class of transformers that a file of the repo names, in transformers' own order; None without."""
    import transformers

    for name in PROCESSOR_FILES:
        path = folder / name
        doc = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        found = getattr(transformers, str(doc.get("processor_class")), None)
        if isinstance(found, type):
            return found if auto_map_entry(folder, "AutoProcessor") is None else None
    return None


def named_processor(folder: Path) -> bool:
    """Whether the repo's file asks for an image processor that transformers has, not for code of its own."""
    import transformers

    path = folder / "preprocessor_config.json"
    doc = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    name = doc.get("image_processor_type") or doc.get("feature_extractor_type")
    return isinstance(name, str) and hasattr(transformers, name) and "auto_map" not in doc


def _lazy(make: Callable[[], Way]) -> Way:
    made: list[Way] = []

    def way(prompt: str, images: list[Any]) -> Inputs:
        if not made:
            made.append(make())
        return made[0](prompt, images)

    return way


def _processor(folder: Path, trust: bool, used: list[str], cls: Any = None) -> Way:
    from transformers import AutoProcessor

    def load() -> Any:
        return (cls or AutoProcessor).from_pretrained(folder, trust_remote_code=trust)

    processor = older_images.with_plain_arguments(load, used)

    def way(prompt: str, images: list[Any]) -> Inputs:
        made = processed(processor, prompt, images)
        tensors = {key: value for key, value in made.items() if key not in ("input_ids", "attention_mask")}
        if images and not tensors:
            raise ValueError(f"{type(processor).__name__} found no image in {prompt!r}")
        return Inputs(with_pixels(tensors), [], made["input_ids"])

    return way


def processed(processor: Any, prompt: str, images: list[Any]) -> Any:
    """What a processor makes of one prompt, in the shape in which it takes it."""
    try:
        return processor(text=[prompt], images=images, return_tensors="pt")
    except (AttributeError, TypeError):  # one that takes a single prompt as it is
        return processor(text=prompt, images=images, return_tensors="pt")
    except ValueError as error:  # one that takes a flat list for the images of many prompts, if that helps
        try:
            return processor(text=[prompt], images=[images], return_tensors="pt")
        except Exception:
            raise error from None


def with_pixels(tensors: dict[str, Any]) -> dict[str, Any]:
    """The tensors with `pixel_values` among them, whatever the processor calls its one stack of images."""
    stacks = [value for value in tensors.values() if getattr(value, "ndim", 0) >= 4]
    return tensors if "pixel_values" in tensors or len(stacks) != 1 else {**tensors, "pixel_values": stacks[0]}


def takes_pixels(name: str) -> bool:
    """Whether a parameter of this name takes the images themselves."""
    lower = name.lower()
    return name in PIXEL_NAMES or (
        any(word in lower for word in ("pixel", "image", "img", "tiles", "crops"))
        and not any(word in lower for word in NOT_PIXELS)
    )


def _image_processor(folder: Path, entry: str | None) -> Way:
    if entry:
        from transformers.dynamic_module_utils import get_class_from_dynamic_module

        processor = get_class_from_dynamic_module(entry, str(folder)).from_pretrained(str(folder))
    else:
        from transformers import AutoImageProcessor

        processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=False)

    def one(image: Any) -> Any:
        made = processor(images=image, return_tensors="pt")
        return _tiles(made["pixel_values"] if "pixel_values" in made else next(iter(made.values())))

    return _per_image(one)


def _tiles(value: Any) -> Any:
    """A (tiles, 3, H, W) tensor out of what a processor calls pixel values."""
    import torch

    if isinstance(value, (list, tuple)):
        value = torch.cat([_tiles(item) for item in value])
    if value.dim() == 3:
        value = value.unsqueeze(0)
    return value.flatten(0, value.dim() - 4).float()


def _per_image(one: Callable[[Any], Any]) -> Way:
    def way(_: str, images: list[Any]) -> Inputs:
        import torch

        made = [one(image) for image in images]
        return Inputs({"pixel_values": torch.cat(made)}, [len(tiles) for tiles in made])

    return way


def _code_ways(facts: dict[str, Any]) -> Iterator[tuple[str, Way]]:
    """Functions of the repo's loaded modules that turn an image into a tensor, or into tiles plus a transform."""
    modules = [module for name, module in sorted(sys.modules.items()) if name.partition(".")[0] == REMOTE]
    functions = [
        fn for m in modules for fn in vars(m).values() if inspect.isfunction(fn) and fn.__module__ == m.__name__
    ]
    takes_image = [fn for fn in functions if next(iter(inspect.signature(fn).parameters), "") in IMAGE_NAMES]
    transforms = [fn for fn in functions if next(iter(inspect.signature(fn).parameters), "") in SIZE_NAMES]
    for fn in sorted(takes_image, key=lambda fn: -len(_calls(fn, takes_image))):
        yield f"function {fn.__name__} of the repo's code", _per_image(_call_function(fn, transforms, facts["tiling"]))


def _calls(fn: Any, others: list[Any], seen: frozenset[str] = frozenset()) -> frozenset[str]:
    """Which of the others a function calls, itself or through them: the outermost one makes the whole input."""
    for other in others:
        if other is not fn and other.__name__ in fn.__code__.co_names and other.__name__ not in seen:
            seen = _calls(other, others, seen | {other.__name__})
    return seen


def _call_function(fn: Callable[..., Any], transforms: list[Any], tiling: dict[str, Any]) -> Callable[[Any], Any]:
    def one(image: Any) -> Any:
        import torch

        made = fn(**_arguments(fn, image, tiling))
        if isinstance(made, (list, tuple)) and made and not isinstance(made[0], torch.Tensor):
            transform = transforms[0](**_arguments(transforms[0], image, tiling))
            made = torch.stack([transform(tile) for tile in made])
        if not isinstance(made, (torch.Tensor, list, tuple)):
            raise TypeError(f"{fn.__name__} answers {type(made).__name__}")
        return _tiles(made)

    return one


def _arguments(fn: Callable[..., Any], image: Any, tiling: dict[str, Any]) -> dict[str, Any]:
    """Arguments by parameter name; parameters nobody knows keep their defaults."""
    known = dict.fromkeys(IMAGE_NAMES, image) | dict.fromkeys(SIZE_NAMES, tiling["size"])
    known |= dict.fromkeys(MIN_NAMES, tiling["min"]) | dict.fromkeys(MAX_NAMES, tiling["max"])
    known |= {"use_thumbnail": tiling["thumbnail"]}
    return {name: known[name] for name in inspect.signature(fn).parameters if known.get(name) is not None}


def rewritten(image: Any, tiling: dict[str, Any]) -> Any:
    """The facts' resize scheme, written anew: (tiles, 3, size, size), rescaled and normalised as the facts say."""
    import numpy as np
    import torch

    size, resample = tiling["size"], tiling.get("resample", 3)
    tiles = [image.resize((size, size), resample)]
    if tiling.get("scheme") == "internvl_tiles":
        tiles = _cut(image, tiling, resample)
    stacked = torch.from_numpy(np.stack([np.asarray(tile, dtype=np.float32) for tile in tiles])).permute(0, 3, 1, 2)
    stacked = stacked / 255.0 if tiling.get("rescale", True) else stacked
    if tiling.get("mean") and tiling.get("std"):
        mean = torch.tensor(tiling["mean"], dtype=torch.float32).view(1, 3, 1, 1)
        stacked = (stacked - mean) / torch.tensor(tiling["std"], dtype=torch.float32).view(1, 3, 1, 1)
    return stacked


def _cut(image: Any, tiling: dict[str, Any], resample: int) -> list[Any]:
    size = tiling["size"]
    columns, rows = closest_grid(image.width, image.height, tiling["min"], tiling["max"], size)
    whole = image.resize((columns * size, rows * size), resample)
    boxes = [(c * size, r * size, (c + 1) * size, (r + 1) * size) for r in range(rows) for c in range(columns)]
    tiles = [whole.crop(box) for box in boxes]
    thumbnail = [image.resize((size, size), resample)] if tiling["thumbnail"] and len(tiles) > 1 else []
    return tiles + thumbnail


def closest_grid(width: int, height: int, least: int, most: int, size: int) -> tuple[int, int]:
    """(columns, rows) closest in aspect; among equals the larger one when the image covers over half of its area."""
    grids = {(c, r) for c in range(1, most + 1) for r in range(1, most + 1) if least <= c * r <= most}
    best, best_gap = (1, 1), float("inf")
    for columns, rows in sorted(grids, key=lambda grid: grid[0] * grid[1]):
        gap = abs(width / height - columns / rows)
        covers = width * height > 0.5 * size * size * columns * rows
        if gap < best_gap or (gap == best_gap and covers):
            best, best_gap = (columns, rows), gap
    return best
