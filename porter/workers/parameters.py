"""Job: every parameter and persistent buffer of an architecture, and the checkpoint-side names that fused ones take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def handle(payload: dict[str, Any]) -> dict[str, Any]:
    from porter_worker.build import build

    built = build(payload)
    return {
        **built.about(),
        "parameters": describe(built.model),
        "prefixes": prefix_faults(built.model),
        "inherited": builds_nothing(built.model),
    }


def prefix_faults(model: Any) -> list[list[str]]:
    """[path of a layer, the `prefix` it was built with] where they differ.

    vLLM looks up quantisation, LoRA targets and cache entries by that prefix.
    """
    return [
        [path, given]
        for path, module in model.named_modules()
        if isinstance(given := getattr(module, "prefix", None), str) and given and given != path
    ]


def builds_nothing(model: Any) -> bool:
    """Whether the class leaves it to its base what is built: then the layers' prefixes are the base's too."""
    return "__init__" not in vars(type(model))


def describe(model: Any) -> list[dict[str, Any]]:
    """One record per parameter or persistent buffer; see the keys in `_record`."""
    from porter_worker.fused import constituents

    first: dict[int, str] = {}
    records = []
    for name, tensor, kind in tensors_of(model):
        tied_to = first.setdefault(id(tensor), name)
        record = _record(name, tensor, kind, None if tied_to == name else tied_to)
        record["fused"] = constituents(model, name, tensor) if kind == "param" else []
        record["rows"] = _vocabulary_rows(model, name)
        record["loadable"] = kind == "param" or not _belongs_to_vllm(model, name)
        records.append(record)
    return records


def tensors_of(model: Any) -> Iterator[tuple[str, Any, str]]:
    """Parameters, aliases included, then the buffers that a checkpoint can hold."""
    for name, tensor in model.named_parameters(remove_duplicate=False):
        yield name, tensor, "param"
    for path, module in model.named_modules():
        volatile: set[str] = getattr(module, "_non_persistent_buffers_set", set())
        for leaf, tensor in module.named_buffers(recurse=False):
            if leaf not in volatile:
                yield f"{path}.{leaf}" if path else leaf, tensor, "buffer"


def _record(name: str, tensor: Any, kind: str, tied_to: str | None) -> dict[str, Any]:
    return {
        "name": name,
        "shape": list(tensor.shape),
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "kind": kind,
        "persistent": True,
        "tied_to": tied_to,
    }


def _belongs_to_vllm(model: Any, name: str) -> bool:
    """Buffers of vLLM's own layers (cache scales and the like) are set at run time, never by a checkpoint."""
    owner = model.get_submodule(name.rpartition(".")[0])
    return type(owner).__module__.startswith(("vllm.model_executor.layers.", "vllm.attention."))


def _vocabulary_rows(model: Any, name: str) -> int | None:
    """The rows that a checkpoint fills; the rest of a vocabulary is padding."""
    owner = model.get_submodule(name.rpartition(".")[0])
    rows = getattr(owner, "org_vocab_size", None)
    return int(rows) if rows is not None else None


if __name__ == "__main__":
    from porter_worker.runtime import serve

    serve(handle)
