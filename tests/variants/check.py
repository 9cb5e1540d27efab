"""Runs built variants with their own code and compares what happens with the expected facts.

python -m tests.variants.check FOLDER [--build]    (a sub-folder per variant; one JSON line per variant on stdout)

Imports torch and transformers and executes the code of the variants: run it as a child process.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tests.variants import Variant, variants
from tests.variants.weights import write_weights

if TYPE_CHECKING:
    import torch

TURNS = "<|im_start|>user\n{}\nwhat is in this picture?<|im_end|>\n<|im_start|>assistant\n"


def picture(width: int = 130, height: int = 64, seed: int = 3) -> Image.Image:
    """A picture with smooth and noisy parts, wider than high."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 200, width)[None, :, None] * np.ones((height, 1, 3))
    noise = rng.integers(0, 56, (height, width, 3))
    return Image.fromarray((ramp + noise).astype(np.uint8))


def load(variant: Variant, folder: Path) -> Any:
    """The repo's own model with the stored weights."""
    from safetensors.torch import load_file

    from examples.make_weights import build_model, renamed, tie

    model = build_model(folder)
    tie(model)
    back = [(new, old) for old, new in variant.recipe.weight_renames]
    tensors = {name: value for file in folder.glob("*.safetensors") for name, value in load_file(file).items()}
    stored = {renamed(name, back): value for name, value in tensors.items()}
    missing, unexpected = model.load_state_dict(stored, strict=False)
    tied = set(getattr(model, "_tied_weights_keys", None) or {})
    assert not unexpected and set(missing) <= tied, (missing, unexpected)
    return model


def own_pixels(variant: Variant, folder: Path, image: Image.Image) -> torch.Tensor:
    """Pixels as the repo itself makes them: `(tiles, 3, S, S)`."""
    import torch
    from transformers import AutoImageProcessor
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    names = variant.recipe.names
    if variant.recipe.images.source == "functions":
        model_class = get_class_from_dynamic_module(f"modeling_{names.stem}.{names.architecture}", str(folder))
        return sys.modules[model_class.__module__].load_image(image)
    processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=True)
    pixels = processor(image, return_tensors="pt")["pixel_values"]
    assert isinstance(pixels, torch.Tensor)
    return pixels


def grid_of(variant: Variant, image: Image.Image) -> tuple[int, int]:
    """Columns and rows by the expected facts."""
    truth = variant.truth
    lo, hi, size = int(truth["min_tiles"]), int(truth["max_tiles"]), int(truth["image_size"])  # type: ignore[call-overload]
    best, best_gap = (1, 1), float("inf")
    pairs = [(i, j) for i in range(1, hi + 1) for j in range(1, hi + 1) if lo <= i * j <= hi]
    for pair in sorted(pairs, key=lambda p: p[0] * p[1]):
        gap = abs(image.width / image.height - pair[0] / pair[1])
        roomy = image.width * image.height > 0.5 * size * size * pair[0] * pair[1]
        if gap < best_gap or (gap == best_gap and roomy):
            best, best_gap = pair, gap
    return best


def expected_pixels(variant: Variant, image: Image.Image) -> np.ndarray[Any, Any]:
    """Pixels by the expected facts alone."""
    truth = variant.truth
    size = int(truth["image_size"])  # type: ignore[call-overload]
    filters = Image.Resampling[str(truth["resample"]).upper()]
    columns, rows = grid_of(variant, image)
    sheet = image.resize((columns * size, rows * size), filters)
    tiles = [
        sheet.crop((x, y, x + size, y + size))
        for y in range(0, rows * size, size)
        for x in range(0, columns * size, size)
    ]
    if truth["use_thumbnail"] and len(tiles) > 1:
        tiles.append(image.resize((size, size), filters))
    pixels: np.ndarray[Any, Any] = np.stack([np.asarray(tile, np.float32).transpose(2, 0, 1) for tile in tiles])
    pixels = pixels / np.float32(255) if truth["rescale"] else pixels
    if truth["image_mean"] is None:
        return pixels
    mean, std = (np.asarray(truth[key], np.float32).reshape(1, 3, 1, 1) for key in ("image_mean", "image_std"))
    pixels -= mean
    pixels /= std
    return pixels


def fold(grid: torch.Tensor, version: str, ratio: float) -> torch.Tensor:
    """Pixel shuffle by its definition: `(n, H, W, C)` to `(n, tokens, C / ratio^2)`."""
    step = round(1 / ratio)
    n, height, width, channels = grid.shape
    out = grid.new_zeros(n, height // step, width // step, step * step * channels)
    for dy in range(step):
        for dx in range(step):
            at = (dy * step + dx) * channels
            out[..., at : at + channels] = grid[:, dy::step, dx::step]
    return (out.transpose(1, 2) if version == "v1" else out).flatten(1, 2)


def expected_features(variant: Variant, model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """What goes into the connector by the expected feature path, the tower itself being the repo's."""
    tower = model.get_submodule(variant.truth["vision_tower"][0]["prefix"])  # type: ignore[index]
    base = model.get_submodule(variant.recipe.module_prefix.rstrip("."))
    x = pixels
    for step in variant.truth["feature_path"]:  # type: ignore[attr-defined]
        if step["op"] == "normalize":
            mean, std = (getattr(base, step[key]).reshape(1, 3, 1, 1) for key in ("mean", "std"))
            x = (x - mean) / std
        elif step["op"] == "tower":
            states = tower(pixel_values=x, output_hidden_states=True)
            x = (
                states.last_hidden_state
                if step["output"] == "last_hidden_state"
                else states.hidden_states[step["layer"]]
            )
        elif step["op"] == "drop_tokens":
            x = x[:, step["count"] :]
        elif step["op"] == "pixel_shuffle":
            side = round(x.shape[1] ** 0.5)
            x = fold(x.unflatten(1, (side, side)), step["version"], step["ratio"])
    return x


def prompt_ids(variant: Variant, folder: Path, tiles: int) -> torch.Tensor:
    """Ids of one user turn with one image, expanded by the expected facts."""
    from transformers import AutoTokenizer

    truth = variant.truth
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    context = str(truth["image_context_token"])
    assert tokenizer.convert_tokens_to_ids(context) == truth["image_context_token_id"]
    run = context * (tiles * int(truth["tokens_per_tile"]))  # type: ignore[call-overload]
    text = TURNS.format(str(truth["image_start_token"]) + run + str(truth["image_end_token"]))
    return tokenizer(text, return_tensors="pt")["input_ids"]


def run_own_code(variant: Variant, folder: Path, image: Image.Image) -> dict[str, Any]:
    """Logits of the repo's own forward, with what went into and came out of its connector."""
    import torch

    model = load(variant, folder)
    if variant.recipe.chassis == "chat":
        setattr(model, variant.recipe.names.context_attr, variant.truth["image_context_token_id"])
    pixels = own_pixels(variant, folder, image)
    ids = prompt_ids(variant, folder, len(pixels))
    seen: dict[str, Any] = {}
    connector = model.get_submodule(variant.truth["connector"]["prefix"])  # type: ignore[index]
    connector.register_forward_hook(lambda _, inputs, output: seen.update(before=inputs[0], after=output))
    with torch.no_grad():
        logits = model(
            pixel_values=pixels,
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            position_ids=torch.arange(ids.shape[1])[None],
        ).logits
        blank = model(pixel_values=pixels * 0, input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        model(pixel_values=pixels, input_ids=ids)
        expected = expected_features(variant, model, pixels)
    return {
        "model": model,
        "pixels": pixels,
        "ids": ids,
        "logits": logits,
        "blank": blank,
        "expected": expected,
        **seen,
    }


def linear_shapes(variant: Variant) -> dict[str, list[int]]:
    """Stored weights of the connector by the expected facts."""
    connector: Mapping[str, Any] = variant.truth["connector"]  # type: ignore[assignment]
    shapes: dict[str, list[int]] = {}
    for layer in connector["layers"]:
        name = f"{connector['prefix']}.{layer['name']}"
        if layer["name"] is None:
            continue
        shapes[f"{name}.weight"] = [layer["in"]] if layer["op"] == "LayerNorm" else [layer["out"], layer["in"]]
        if layer["bias"]:
            shapes[f"{name}.bias"] = [layer["out"]]
    return shapes


def check(variant: Variant, folder: Path) -> dict[str, Any]:
    """What was measured, as JSON values; the caller judges."""
    image = picture()
    ran = run_own_code(variant, folder, image)
    wanted = expected_pixels(variant, image)
    stored = {name: list(value.shape) for name, value in ran["model"].state_dict().items()}
    prefix = variant.truth["connector"]["prefix"]  # type: ignore[index]
    same_pixels = tuple(ran["pixels"].shape) == wanted.shape
    return {
        "name": variant.name,
        "tiles": len(ran["pixels"]),
        "pixel_diff": float(abs(ran["pixels"].numpy() - wanted).max()) if same_pixels else None,
        "feature_rows": ran["after"].numel() // ran["after"].shape[-1],
        "feature_diff": float((ran["before"].reshape_as(ran["expected"]) - ran["expected"]).abs().max()),
        "context_tokens": int((ran["ids"] == variant.truth["image_context_token_id"]).sum()),
        "finite": bool(ran["logits"].isfinite().all()),
        "spread": float(ran["logits"].std()),
        "image_matters": float((ran["logits"] - ran["blank"])[0, -1].abs().max()),
        "connector": {name: shape for name, shape in stored.items() if name.startswith(f"{prefix}.")},
        "connector_expected": linear_shapes(variant),
        "norm_eps": [m.eps for m in ran["model"].get_submodule(prefix).modules() if hasattr(m, "eps")],
        "buffers": {b["name"]: stored.get(b["name"]) for b in variant.truth["buffers"]},  # type: ignore[attr-defined]
        "buffer_names": sorted(set(dict(ran["model"].named_buffers())) & set(stored)),
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.variants.check")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--build", action="store_true", help="write every variant and its weights first")
    args = parser.parse_args(argv)
    for one in variants():
        if args.build:
            write_weights(one, one.build(args.folder / one.name))
        if (args.folder / one.name).is_dir():
            print(json.dumps(check(one, args.folder / one.name)), flush=True)


if __name__ == "__main__":
    main()
