"""Image features as the repo's own code makes them: which of its methods do, and their rows."""

from __future__ import annotations

import inspect
from typing import Any

from porter_worker import preprocess

NOT_FEATURES = ("forward", "generate", "chat", "batch_chat", "prepare_inputs_for_generation")


def feature_methods(module: Any, given: dict[str, Any]) -> list[Any]:
    """Bound methods of a module that take pixel values first and need nothing that was not `given`."""
    found = []
    for name, function in inspect.getmembers(type(module), inspect.isfunction):
        if name.startswith("_") or name in NOT_FEATURES or function.__module__.startswith("torch"):
            continue
        parameters = list(inspect.signature(function).parameters.values())[1:]
        named = [p for p in parameters[1:] if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        needed = [p for p in named if p.default is p.empty and p.name not in given]
        if parameters and preprocess.takes_pixels(parameters[0].name) and not needed:
            found.append(getattr(module, name))
    return found


def call_by_name(method: Any, tensors: dict[str, Any]) -> Any:
    names = list(inspect.signature(method).parameters)
    more = {name: tensors[name] for name in names[1:] if name in tensors}
    return method(tensors["pixel_values"], **more)


def as_rows(made: Any, width: int) -> Any:
    """(rows, width) out of a tensor, a list of tensors or a model output; None when it is something else."""
    import torch

    deeper = getattr(made, "deepstack_features", None)
    for name in ("pooler_output", "last_hidden_state"):
        if hasattr(made, name) and getattr(made, name) is not None:
            made = getattr(made, name)
    if isinstance(made, (list, tuple)) and made and all(isinstance(item, torch.Tensor) for item in made):
        made = torch.cat([item.reshape(-1, item.shape[-1]) for item in made])
    if not isinstance(made, torch.Tensor) or made.shape[-1] != width:
        return None
    # What lower layers of the tower add later on is part of an image's embedding in vLLM: side by side.
    return torch.cat([made.reshape(-1, width), *(as_rows(item, width) for item in deeper or ())], dim=-1)
