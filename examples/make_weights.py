"""Writes random weights for a repo folder that has code but no weights.

python examples/make_weights.py FOLDER [--seed N] [--rename OLD=NEW]

Needs torch, transformers and safetensors. It executes the code of the folder. Every parameter is drawn from its own
generator (seed and name), with a spread at which each of them moves the logits: a model's own start values (zero
biases, ones, zero positions) would hide mistakes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

CLASS_KEYS = ("AutoModelForImageTextToText", "AutoModelForVision2Seq", "AutoModelForCausalLM", "AutoModel")
TIED_SPREAD = 0.15


def build_model(folder: Path) -> Any:
    """The repo's own model, or transformers' where it brings none, built from its config on the CPU in float32."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    auto_map = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("auto_map", {})
    reference = next((auto_map[key] for key in CLASS_KEYS if key in auto_map), None)
    torch.manual_seed(0)
    if reference is None:
        return AutoModelForImageTextToText.from_config(config).float().eval()
    return get_class_from_dynamic_module(reference, str(folder))(config).float().eval()


def generator_for(name: str, seed: int) -> torch.Generator:
    import torch

    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def drawn(module: Any, leaf: str, old: torch.Tensor, noise: torch.Tensor, tied: bool) -> torch.Tensor:
    """New values for parameter `leaf` of `module`, of the shape of `noise`."""
    from torch import nn

    if isinstance(module, nn.Embedding):
        return noise * (TIED_SPREAD if tied else 1.0)
    if leaf.endswith("bias"):
        return noise * 0.2
    if "norm" in type(module).__name__.lower():
        return noise * 0.2 + 1.0
    if isinstance(module, (nn.Linear, nn.Conv2d, nn.MultiheadAttention)):
        return noise * 1.5 / (old[0].numel() ** 0.5)
    is_gain = old.dim() == 1 and bool((old == old[0]).all()) and bool(old[0] != 0)
    return noise * 0.2 + 1.0 if is_gain else noise * 0.5


def owners(model: Any) -> Iterator[tuple[str, Any, str, torch.Tensor]]:
    """Each parameter once: full name, its module, its name there, its values."""
    for prefix, module in model.named_modules():
        for leaf, value in module.named_parameters(recurse=False):
            yield (f"{prefix}.{leaf}" if prefix else leaf), module, leaf, value


def tie(model: Any) -> bool:
    """Shares the embedding with the head wherever the model's own config says so."""
    config = getattr(model.config, "get_text_config", lambda: model.config)()
    tied = bool(getattr(config, "tie_word_embeddings", False))
    head = model.get_output_embeddings() if tied else None
    if head is not None:
        head.weight = model.get_input_embeddings().weight
    return head is not None


def draw(model: Any, seed: int) -> Any:
    """Draws all parameters of `model` in place; stored buffers keep what the code computes for them."""
    import torch

    tied = tie(model)
    seen: set[int] = set()
    with torch.no_grad():
        for name, module, leaf, value in owners(model):
            if id(value) not in seen:
                noise = torch.randn(value.shape, generator=generator_for(name, seed))
                value.copy_(drawn(module, leaf, value, noise, tied))
            seen.add(id(value))
    return model


def stored_tensors(model: Any) -> dict[str, torch.Tensor]:
    """The state dict without the second name of a shared tensor."""
    seen: set[int] = set()
    kept: dict[str, torch.Tensor] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        if id(value) not in seen:
            kept[name] = value.detach().contiguous().clone()
        seen.add(id(value))
    return kept


def renamed(name: str, renames: Sequence[tuple[str, str]]) -> str:
    """`name` with the first matching prefix replaced."""
    for old, new in renames:
        if name.startswith(old):
            return new + name[len(old) :]
    return name


def shard_files(count: int) -> list[str]:
    if count == 1:
        return ["model.safetensors"]
    return [f"model-{index:05d}-of-{count:05d}.safetensors" for index in range(1, count + 1)]


def make_weights(folder: Path, seed: int = 0, renames: Sequence[tuple[str, str]] = (), shards: int = 1) -> list[Path]:
    """Writes the safetensors files (and, for several, an index) into `folder`; a seed always gives the same bytes."""
    from safetensors.torch import save_file

    drawn_now = stored_tensors(draw(build_model(folder), seed))
    tensors = {renamed(name, renames): value for name, value in drawn_now.items()}
    files = shard_files(shards)
    placed = {name: files[index * shards // len(tensors)] for index, name in enumerate(sorted(tensors))}
    for file in files:
        part = {name: tensors[name] for name in tensors if placed[name] == file}
        save_file(part, folder / file, metadata={"format": "pt"})
    if shards > 1:
        total = sum(value.numel() * value.element_size() for value in tensors.values())
        index_json = {"metadata": {"total_size": total}, "weight_map": placed}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index_json, indent=2) + "\n", encoding="utf-8")
    return [folder / file for file in files]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write random weights for a repo folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rename", action="append", default=[], metavar="OLD=NEW", help="a prefix of stored names")
    parser.add_argument("--shards", type=int, default=1, help="how many files")
    args = parser.parse_args(argv)
    renames = [tuple(pair.split("=", 1)) for pair in args.rename]
    for path in make_weights(args.folder, args.seed, renames, args.shards):
        print(path)


if __name__ == "__main__":
    main()
