"""What flows through a model, kept place by place, so that two implementations of it can be laid side by side.

A place is a module of the reference, named by its own path; the engine's module for it is the one that holds the same
weights. Kept are the input and the output of each place, as (…, width) float32, in the order of the calls.

File (.npz): `PROMPT|in|PATH` and `PROMPT|out|PATH` arrays, `order` (per prompt, JSON) and, from the reference, `layout`
(JSON: {parts: {tower, connector, language_model}, blocks: {tower, language_model: [path]}, leaves: {path: class}}).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LARGEST = 8_000_000
"""Elements of one array; larger ones are not kept."""


def file_of(side: str, name: str) -> str:
    """The recording of one side (reference, engine) under one set of weights."""
    return f"stages-{side}-{name}.npz"


def submodule(model: Any, path: str | None) -> Any:
    """The module at a dotted path, None when there is none."""
    for step in (path or "").strip(".").split("."):
        model = getattr(model, step, None) if step else None
    return model


def under(path: str, parent: str | None) -> bool:
    return bool(parent) and (path == parent or path.startswith(f"{parent}."))


def layout_of(model: Any, facts: dict[str, Any]) -> dict[str, Any]:
    """Where the parts of the reference stand, their blocks, and every module that holds parameters of its own."""
    parts = {name: _part(model, found) for name, found in _stated(facts).items()}
    vocabulary = _vocabulary(model)
    leaves = {
        path: type(module).__name__
        for path, module in model.named_modules()
        if path
        and (own := next(module.parameters(recurse=False), None)) is not None
        and tuple(own.shape[:1]) != (vocabulary,)
    }
    blocks = {name: _blocks(model, parts[name]) for name in ("tower", "language_model")}
    return {"parts": parts, "blocks": blocks, "leaves": leaves}


def _vocabulary(model: Any) -> int:
    """Rows of the input embeddings: modules of that size make logits, which are compared as answers."""
    with contextlib.suppress(Exception):
        return len(model.get_input_embeddings().weight)
    return -1


def _stated(facts: dict[str, Any]) -> dict[str, Any]:
    towers = facts.get("vision_tower")
    tower = towers[0] if isinstance(towers, list) and towers else towers
    return {"tower": tower, "connector": facts.get("connector"), "language_model": facts.get("language_model")}


def _part(model: Any, stated: Any) -> str | None:
    """The first of the stated paths that leads to a module."""
    known = [stated.get(key) for key in ("path", "prefix")] if isinstance(stated, dict) else []
    paths = [path.strip(".") for path in known if isinstance(path, str)]
    return next((path for path in paths if hasattr(submodule(model, path), "named_modules")), None)


def _blocks(model: Any, part: str | None) -> list[str]:
    """The longest list of modules of one class in a part: its layers."""
    from torch import nn

    found: list[str] = []
    for name, module in submodule(model, part).named_modules() if part else ():
        listed = isinstance(module, (nn.ModuleList, nn.Sequential)) and len({type(item) for item in module}) == 1
        if listed and len(module) > len(found):
            path = f"{part}.{name}" if name else str(part)
            found = [f"{path}.{index}" for index in range(len(module))]
    return found


def watched(layout: dict[str, Any]) -> list[str]:
    """Every place: leaves, blocks, parts."""
    blocks = [path for paths in layout["blocks"].values() for path in paths]
    parts = [layout["parts"][name] for name in ("tower", "connector") if layout["parts"][name]]
    return list(dict.fromkeys([*layout["leaves"], *blocks, *parts]))


class Recorder:
    """Keeps inputs and outputs of modules while it is on.

    `blocks`: on vLLM's side they hand on what is still to be added (the residual); the second call of the first one is
    decoding, and ends the recording. On the reference's side there are none.
    """

    def __init__(self, modules: dict[str, Any], blocks: list[str] | None = None) -> None:
        self.kept: dict[str, list[Any]] = {}
        self.on = False
        self.summed = blocks is not None
        self.blocks = blocks or []
        for path, module in modules.items():
            # Not by hooks: the call of a class that vLLM may compile goes past them.
            module.forward = self._watched(path, module, module.forward)

    def _watched(self, path: str, module: Any, forward: Any) -> Any:
        convolved = "conv" in type(module).__name__.lower()

        @functools.wraps(forward)
        def called(*args: Any, **kwargs: Any) -> Any:
            if self.on and path in self.blocks[:1] and f"out|{path}" in self.kept:
                self.on = False
            if not self.on:
                return forward(*args, **kwargs)
            self._keep(f"in|{path}", [*args, *kwargs.values()], summed=self.summed)
            made = forward(*args, **kwargs)
            self._keep(f"out|{path}", made, summed=path in self.blocks, convolved=convolved)
            return made

        return called

    def _keep(self, key: str, value: Any, *, summed: bool, convolved: bool = False) -> None:
        """A fault of the recording must never be one of the model."""
        with contextlib.suppress(Exception):
            array = _array(value, summed=summed)
            if array is not None:
                self.kept.setdefault(key, []).append(_channels_last(array) if convolved else array)

    def arrays(self, prompt: str) -> dict[str, Any]:
        """What was kept since the last time, and the order of the calls."""
        import numpy as np

        made = {f"{prompt}|{key}": joined(values) for key, values in self.kept.items()}
        made[f"{prompt}|order"] = np.asarray(json.dumps(list(self.kept)))
        self.kept = {}
        return made


def first_call(step: Any, recorder: Recorder) -> Any:
    """`step` whose first call is recorded."""
    first = iter([True])

    def called(*args: Any) -> Any:
        recorder.on = next(first, False)
        try:
            return step(*args)
        finally:
            recorder.on = False

    return called


def joined(values: list[Any]) -> Any:
    """Several calls one after the other, as one array."""
    import numpy as np

    if len(values) == 1:
        return values[0]
    same = len({value.shape[1:] for value in values}) == 1
    return np.concatenate(values if same else [value.reshape(-1, value.shape[-1]) for value in values])


def _floats(value: Any) -> Iterator[Any]:
    import torch

    if isinstance(value, torch.Tensor):
        if value.is_floating_point() and value.dim() >= 2:
            yield value
    elif isinstance(value, dict) or hasattr(value, "to_tuple"):
        yield from _floats(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _floats(item)


def _array(value: Any, *, summed: bool) -> Any:
    """The first tensor as a copy. `summed`: vLLM's layers hand on what is still to be added to it (the residual)."""
    import numpy as np

    found = list(_floats(value))
    if not found or found[0].numel() > LARGEST:
        return None
    tensor = found[0].detach()
    more = [other for other in found[1:] if other.shape == tensor.shape]
    if summed and len(more) == 1:
        tensor = tensor + more[0].detach()
    return np.array(tensor.float().cpu().numpy(), copy=True)


def _channels_last(array: Any) -> Any:
    """(N, C, …) as (N, places, C)."""
    import numpy as np

    if array.ndim < 4:
        return array
    moved = np.moveaxis(array, 1, -1)
    return moved.reshape(len(array), -1, array.shape[1])


class Watch:
    """The engine's side: records the first forward of each prompt with images. Empty: it records nothing."""

    def __init__(self, recorder: Recorder | None = None) -> None:
        self.recorder = recorder
        self.arrays: dict[str, Any] = {}

    @classmethod
    def of(cls, llm: Any, weights: str | None) -> Watch:
        """A watch on the model of an LLM in this process, when the reference left its layout beside its weights."""
        import numpy as np

        if weights is None:
            return cls()
        path = Path(weights)
        layout_file = path.with_name(file_of("reference", path.stem.removeprefix("weights-")))
        if not layout_file.is_file():
            return cls()
        with np.load(layout_file) as stored:
            layout = json.loads(str(stored["layout"]))
        made: list[Recorder] = []
        with contextlib.suppress(Exception):
            llm.apply_model(lambda model: made.append(recorder_of(model, path, layout)))
        return cls(made[0] if made else None)

    @contextlib.contextmanager
    def prompt(self, prompt: dict[str, Any]) -> Iterator[None]:
        if self.recorder is None or not prompt["images"]:
            yield
            return
        self.recorder.kept, self.recorder.on = {}, True
        try:
            yield
        finally:
            self.recorder.on = False
            self.arrays |= self.recorder.arrays(prompt["name"])

    def save(self, path: Path) -> None:
        import numpy as np

        if self.arrays:
            np.savez(str(path), **self.arrays)
        self.arrays = {}


def recorder_of(model: Any, weights: Path, layout: dict[str, Any]) -> Recorder:
    """A recorder on the engine's modules under the names of the reference's."""
    from safetensors.torch import load_file

    modules = dict(model.named_modules())
    pairs = paired(load_file(str(weights)), dict(model.named_parameters()), list(modules), layout)
    blocks = [path for part in ("language_model", "tower") for path in layout["blocks"][part]]
    return Recorder({path: modules[name] for path, name in pairs.items()}, blocks)


def paired(stored: dict[str, Any], parameters: dict[str, Any], modules: list[str], layout: Any) -> dict[str, str]:
    """Path of the reference -> path of the engine's module: by equal weights, else by the renaming seen nearby."""
    owners = {_print(tensor): name.rpartition(".")[0] for name, tensor in stored.items() if tensor.numel() > 1}
    known: dict[str, str] = {}
    for name, parameter in parameters.items():
        owner = owners.get(_print(parameter)) if parameter.numel() > 1 else None
        if owner is not None:
            known.setdefault(owner, name.rpartition(".")[0])
    renames = sorted({_rename(*pair) for pair in known.items()}, key=lambda pair: -len(pair[0]))
    names = set(modules)
    for path in watched(layout):
        found = known.get(path) or _renamed(path, renames, names) or _common(path, known)
        if found is not None:
            known[path] = found
    return {path: known[path] for path in watched(layout) if path in known and known[path] in names}


def _print(tensor: Any) -> bytes:
    values = tensor.detach().float().cpu().contiguous().reshape(-1).numpy()
    return hashlib.sha1(values.tobytes(), usedforsecurity=False).digest()


def _rename(path: str, name: str) -> tuple[str, str]:
    """What differs at the front of two paths: `model.vit.layers.0.norm`, `tower.layers.0.norm` -> model.vit, tower."""
    left, right = path.split("."), name.split(".")
    while len(left) > 1 and len(right) > 1 and left[-1] == right[-1]:
        left, right = left[:-1], right[:-1]
    return ".".join(left), ".".join(right)


def _renamed(path: str, renames: list[tuple[str, str]], names: set[str]) -> str | None:
    made = (new + path[len(old) :] for old, new in renames if under(path, old))
    return next((name for name in made if name in names), None)


def _common(path: str, known: dict[str, str]) -> str | None:
    """The module that holds all that is known of a place."""
    inside = [name.split(".") for place, name in known.items() if under(place, path) and place != path]
    if not inside:
        return None
    shared: list[str] = []
    for steps in zip(*inside, strict=False):
        if len(set(steps)) > 1:
            break
        shared.append(steps[0])
    return ".".join(shared) or None
