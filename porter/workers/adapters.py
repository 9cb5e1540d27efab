"""Which modules an adapter may name, and where vLLM puts them: read from the model that a LoRA manager has wrapped.

An adapter names modules as the repo's own code does; vLLM finds them through the port's mapper. So a module that no
tensor name of the checkpoint leads to is one that a trained adapter cannot reach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

RANK = 4
ALPHA = 8
WITHOUT_STACKING = ("get_rename_mapper", "get_unstacked_mapper")
"""What vLLM calls the mapper that adapters are read with, newest first; without either it is the mapper itself."""

Source = tuple[str, tuple[int, ...] | None]
Sources = Callable[[str], Source | None]


class LoRAFault(Exception):
    """Adapters do not do to this model what they should."""


@dataclass(frozen=True)
class Target:
    """One pair of matrices: the module's name in an adapter and in vLLM, and its weight's shape."""

    source: str
    name: str
    rows: int
    columns: int
    embedding: bool

    def tensors(self, scale: float) -> Iterator[tuple[str, Any]]:
        """A, (rank, columns), and B, (rows, rank) times `scale`. Those of an embedding have its sizes swapped."""
        import numpy as np

        random = np.random.Generator(np.random.PCG64(len(self.name) * self.rows + self.columns))
        wide, tall = (self.rows, self.columns) if self.embedding else (self.columns, self.rows)
        first = random.normal(0.0, wide**-0.5, (RANK, wide))
        second = random.normal(0.0, scale * RANK**-0.5, (tall, RANK))
        kind, end = ("lora_embedding_", "") if self.embedding else ("lora_", ".weight")
        for letter, value in (("A", first), ("B", second)):
            yield f"base_model.model.{self.source}.{kind}{letter}{end}", value.astype(np.float32)

    def change(self, scale: float) -> Any:
        """(rows, columns): what the adapter adds to the weight."""
        (_, first), (_, second) = self.tensors(scale)
        made = (second @ first) * (ALPHA / RANK)
        return made.T if self.embedding else made


@dataclass(frozen=True)
class Wrapped:
    """What vLLM's LoRA manager made of the model.

    `unreached` has wrapped linear layers, `left` other wrapped modules (embeddings, heads, experts) without a target,
    `unwrapped` vLLM's linear layers, `plain` torch's, which vLLM never wraps.
    `language` is the language model's place, `others` are those that get_mm_mapping gives tower and connector.
    """

    targets: tuple[Target, ...]
    unreached: tuple[str, ...]
    left: tuple[str, ...]
    unwrapped: tuple[str, ...]
    plain: tuple[str, ...]
    language: str
    others: tuple[str, ...]

    def of_language(self, names: tuple[str, ...]) -> list[str]:
        return [name for name in names if not self.language or name.startswith(f"{self.language}.")]

    def beside(self) -> list[Target]:
        """Targets in the tower and the connector."""
        return [target for target in self.targets if target.name.startswith(self.others)]


def tied(config: Any) -> bool:
    """A change of such an embedding would change the head too when merged, but not in an adapter."""
    model = config.model_config
    return any(getattr(part, "tie_word_embeddings", False) for part in (model.hf_config, model.hf_text_config))


def wrapped_modules(checkpoint: dict[str, tuple[int, ...]], tied: bool) -> Callable[[Any], Wrapped]:
    """A function that runs where the model is. `tied`: without targets for embeddings."""

    def read(model: Any) -> Wrapped:
        from torch.nn import Linear
        from vllm.model_executor.layers.linear import LinearBase

        manager, mapping = model.lora_manager, model.get_mm_mapping()
        linear = {bare(name) for name, module in model.named_modules() if isinstance(module, LinearBase)}
        root = language_place(model)
        sources = named_sources(model, checkpoint)
        found = {name: targets_of(manager, name, sources, tied) for name in manager.modules}
        missed = [name for name, targets in found.items() if not all(targets)]
        return Wrapped(
            tuple(target for targets in found.values() for target in targets if target),
            tuple(name for name in missed if name in linear),
            tuple(name for name in missed if name not in linear),
            tuple(sorted(linear - set(manager.modules))),
            tuple(name for name, module in model.named_modules() if isinstance(module, Linear)),
            root,
            (*mapping.tower_model, *mapping.connector),
        )

    return read


def language_place(model: Any) -> str:
    """The name of the language model within the model; "" when it is the whole."""
    language = model.get_language_model()
    found = next((name for name, module in model.named_modules() if module is language), None)
    if found is None:
        raise LoRAFault(f"get_language_model() of {type(model).__name__} answers no submodule of it")
    return str(found)


def bare(name: str) -> str:
    """A wrapped layer stays inside its wrapper."""
    return name.removesuffix(".base_layer")


def named_sources(model: Any, checkpoint: dict[str, tuple[int, ...]]) -> Sources:
    """From a module's name in vLLM to its name in an adapter and its weight's shape."""
    from vllm.lora.utils import parse_fine_tuned_lora_name

    mapper = renames(model)

    def mapped(source: str) -> str | None:
        try:
            return str(parse_fine_tuned_lora_name(f"base_model.model.{source}.lora_A.weight", mapper)[0])
        except ValueError:
            return None

    known = {}
    for tensor, shape in checkpoint.items():
        source = tensor.removesuffix(".weight")
        if len(shape) == 2 and source != tensor:
            known[mapped(source)] = (source, shape)
    if known:
        return known.get
    return lambda name: next(((old, None) for old in olds(mapper, name) if mapped(old) == name), None)


def renames(model: Any) -> Any:
    mapper = getattr(model, "hf_to_vllm_mapper", None)
    for name in WITHOUT_STACKING:
        if hasattr(mapper, name):
            return getattr(mapper, name)()
    return mapper


def olds(mapper: Any, name: str) -> Iterator[str]:
    """Names that a mapper's rules might lead from to `name`."""
    yield name
    prefixes = dict(getattr(mapper, "orig_to_new_prefix", None) or {})
    for old, new in prefixes.items():
        if new is not None and name.startswith(new):
            yield old + name[len(new) :]


def targets_of(manager: Any, name: str, sources: Sources, tied: bool) -> list[Target | None]:
    """One for each matrix that an adapter may hold for a wrapped module; None where no name leads."""
    module = manager.modules[name]
    embedding = type(module).__name__.startswith("VocabParallelEmbedding")
    if embedding and tied:
        return [None]
    parts = manager.packed_modules.get(name) or [name]
    return [target_of(part, sources(part), shape_of(module, index), embedding) for index, part in enumerate(parts)]


def target_of(part: str, found: Source | None, shape: tuple[int, int] | None, embedding: bool) -> Target | None:
    """`shape` is what the manager made room for, in case there is no checkpoint to ask."""
    if found is None or not (found[1] or shape):
        return None
    rows, columns = found[1] or shape or (0, 0)
    return Target(found[0], part, int(rows), int(columns), embedding)


def shape_of(module: Any, index: int) -> tuple[int, int] | None:
    """(rows, columns) of one part of a wrapped linear layer; None of other kinds of modules."""
    first, second = (getattr(module, f"lora_{letter}_stacked", None) for letter in "ab")
    if not isinstance(first, (list, tuple)) or not isinstance(second, (list, tuple)) or index >= len(first):
        return None
    return int(second[index].shape[-2]), int(first[index].shape[-1])


def untouched(adapter: int) -> Callable[[Any], list[str]]:
    """Names of wrapped modules that hold nothing of an active adapter."""

    def read(model: Any) -> list[str]:
        manager = model.lora_manager
        slot = manager.lora_index_to_id.index(adapter)
        held = {name: [*filled(module, slot)] for name, module in manager.modules.items()}
        return [name for name, stacks in held.items() if not stacks or not all(stacks)]

    return read


def filled(module: Any, slot: int) -> Iterator[bool]:
    for name, value in vars(module).items():
        if name.endswith("lora_b_stacked"):
            for stack in value if isinstance(value, (list, tuple)) else (value,):
                yield bool(stack[slot].any())
