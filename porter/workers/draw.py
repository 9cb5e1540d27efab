"""Draw every parameter of a model from a seed, so that each of them moves the result: no zeros, no ones left."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any

RESIDUAL = re.compile(r"(^|\.)(o_proj|out_proj|wo|w2|down_proj|fc2|c_proj|proj|lin2|linear2|fc_out|dense_4h_to_h|o)$")
GAIN = 1.25
"""Standard deviation of a layer's output for inputs of 1: above 1 each layer shows, far above it rounding does too.

Rounding on the bundled example over four seeds: 0.9e-5 to 1.0e-5 of a logprob at 1.25, 1.2e-5 to 1.7e-5 at 1.5; the
smaller one keeps a factor of three below the limit of the proof (3e-5).
"""
TIED_SCALE = 0.15
STRESS_SCALE = 0.02


def generator(seed: int, name: str) -> Any:
    """A generator for one tensor, independent of the order of drawing. torch uses 32 bits of a seed."""
    import torch

    return torch.Generator().manual_seed(zlib.crc32(f"{seed}:{name}".encode()))


def _owners(model: Any) -> Iterator[tuple[str, str, Any, Any]]:
    """(full name, leaf name, module, parameter) of every parameter, a shared one once."""
    seen: set[int] = set()
    for prefix, module in model.named_modules():
        for leaf, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield (f"{prefix}.{leaf}" if prefix else leaf), leaf, module, parameter


def _is_norm(module: Any, name: str) -> bool:
    kind = type(module).__name__.lower()
    return "norm" in kind or kind.startswith("ln") or re.search(r"(norm|ln)\w*\.weight$", name) is not None


def _centred(parameter: Any) -> bool:
    """Whether a fresh norm has zeros for weights: its gain is one more than they say, as in Gemma's."""
    if not hasattr(parameter, "porter_centred"):
        parameter.porter_centred = bool((parameter == 0).all())
    return bool(parameter.porter_centred)


def _drawn(name: str, leaf: str, module: Any, parameter: Any, noise: Any, tied: bool) -> Any:
    """Values for one parameter, of the shape of `noise` (standard normal)."""
    from torch import nn

    if isinstance(module, nn.Embedding):
        return noise * (TIED_SCALE if tied else 1.0)
    if leaf.endswith("bias"):
        return noise * 0.2
    if parameter.dim() == 1 and _is_norm(module, name):
        return (0.0 if _centred(parameter) else 1.0) + 0.2 * noise
    if parameter.dim() >= 2 and isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        return noise * (GAIN / parameter[0].numel() ** 0.5)
    if parameter.dim() == 2 and 1 not in parameter.shape:
        return noise * (GAIN / parameter.shape[-1] ** 0.5)
    first = parameter.flatten()[0].float()
    is_gain = parameter.dim() == 1 and bool((parameter == first).all()) and bool(first != 0)
    return first * (1.0 + 0.2 * noise) if is_gain else noise * 0.5


def _stressed(name: str, module: Any) -> bool:
    """Embeddings and matrices that write to the residual stream of a layer."""
    from torch import nn

    path = name.rpartition(".")[0]
    in_layer = any(step.isdigit() for step in path.split("."))
    writes = isinstance(module, nn.Linear) and in_layer and RESIDUAL.search(path) is not None
    embeds = isinstance(module, (nn.Embedding, nn.Conv2d, nn.Conv3d)) or re.search(r"pos\w*emb", name) is not None
    return embeds or writes


def draw_parameters(model: Any, seed: int, kind: str) -> None:
    """Overwrite every parameter and the persistent buffers that hold trivial values. `kind`: normal or stress."""
    import torch

    tied = _is_tied(model)
    with torch.no_grad():
        for name, leaf, module, parameter in _owners(model):
            noise = torch.randn(parameter.shape, generator=generator(seed, name), dtype=torch.float32)
            new = _drawn(name, leaf, module, parameter, noise, tied)
            scale = STRESS_SCALE if kind == "stress" and _stressed(name, module) else 1.0
            parameter.copy_((new * scale).to(parameter.dtype))
        for name, buffer in _persistent_buffers(model):
            if buffer.is_floating_point() and buffer.numel() and _trivial(buffer):
                noise = torch.rand(buffer.shape, generator=generator(seed, name), dtype=torch.float32)
                buffer.copy_((0.3 + 0.4 * noise).to(buffer.dtype))


def _trivial(buffer: Any) -> bool:
    return bool((buffer == 0).all()) or bool((buffer == 1).all())


def _persistent_buffers(model: Any) -> Iterator[tuple[str, Any]]:
    kept = model.state_dict(keep_vars=True)
    for name, buffer in model.named_buffers():
        if name in kept:
            yield name, buffer


def _is_tied(model: Any) -> bool:
    """Whether an input embedding and an output head share one tensor."""
    import torch

    rows = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    return any(isinstance(m, torch.nn.Linear) and id(m.weight) in rows for m in model.modules())


def state_to_save(model: Any) -> dict[str, Any]:
    """The state dict under the repo's own names, contiguous; of tensors that share memory only the first is kept."""
    import torch

    embeddings = {
        f"{prefix}.weight" for prefix, module in model.named_modules() if isinstance(module, torch.nn.Embedding)
    }
    state = model.state_dict()
    kept: dict[int, str] = {}
    for name in sorted(state, key=lambda key: key not in embeddings):
        tensor = state[name]
        kept.setdefault(tensor.data_ptr() if tensor.numel() else id(tensor), name)
    names = set(kept.values())
    return {name: tensor.detach().clone().contiguous() for name, tensor in state.items() if name in names}
