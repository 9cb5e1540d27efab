"""Job: run a port's own load_weights on tensors without data and say where every tensor and every element went.

vLLM's own strictness is not enough: Linear, embedding and head layers may stay unfilled without an error, and
unexpected biases are skipped in silence. Here every checkpoint name and every parameter element is accounted for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from porter_worker.said import line_of

Tensor = tuple[str, Any]

_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8",
    "BOOL": "bool", "U16": "uint16", "U32": "uint32", "U64": "uint64",
}  # fmt: skip


def handle(payload: dict[str, Any]) -> dict[str, Any]:
    """`payload`: as for `build`, plus `tensors` [[name, dtype, shape]] or `cases`, a list of such lists, and
    `unseen`, names whose places alone are asked for.

    Each answer's `vllm_error` is what vLLM's own loading would say to the same tensors; null when it is content.
    """
    from vllm.config import set_current_vllm_config

    from porter_worker.build import build
    from porter_worker.parameters import builds_nothing, describe, prefix_faults
    from porter_worker.quantized import unmatched

    built = build(payload)
    records = describe(built.model)
    cases = payload.get("cases") or [payload["tensors"]]
    side = [_side_tensors(case) if built.unquantized else frozenset() for case in cases]
    with set_current_vllm_config(built.config):
        joined = [
            Join(built.model, records, _unpacked(case, beside), built.config, beside).run()
            for case, beside in zip(cases, side, strict=True)
        ]
        places = Join(built.model, records, [], built.config).destinations(payload.get("unseen", []))
    return {
        **built.about(),
        "parameters": records,
        "cases": joined,
        "destinations": places,
        "prefixes": prefix_faults(built.model),
        "inherited": builds_nothing(built.model),
        "unmatched": unmatched(Path(payload["model"]), built.model),
    }


@dataclass
class Join:
    """One checkpoint against one model. `current` is the name that the loader asked for last."""

    model: Any
    records: list[dict[str, Any]]
    tensors: list[Any]
    config: Any
    side: frozenset[str] = frozenset()
    current: str | None = None
    dropped: set[str] = field(default_factory=set)
    mapped: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    final_errors: list[str] = field(default_factory=list)
    parts: dict[tuple[str, Any], str] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)
    recorder: Any = None

    def run(self) -> dict[str, Any]:
        from porter_worker.own_loading import first_error

        self.recorder = self._recorder()
        self.parts = dict(_shards(self.records))
        before = self._parameters()
        with _watched_mappers(self._saw_name):
            sources = self._sources()
            with self.recorder.mode():
                self._feed(sources)
        self.shared = self._newly_shared(before)
        return {**self._answer(), "vllm_error": first_error(self.model, self.config, sources)}

    def _parameters(self) -> dict[str, Any]:
        return dict(self.model.named_parameters(remove_duplicate=False))

    def _newly_shared(self, before: dict[str, Any]) -> dict[str, str]:
        """Parameters that the class replaced by another one while it loaded, as one does with tied embeddings."""
        first = {id(tensor): name for name, tensor in reversed(before.items())}
        after = self._parameters()
        moved = {name: after[name] for name, tensor in before.items() if name in after and after[name] is not tensor}
        return {name: first[id(tensor)] for name, tensor in moved.items() if id(tensor) in first}

    def _recorder(self) -> Any:
        from porter_worker.parameters import tensors_of
        from porter_worker.recorder import Recorder, storage_of

        targets: dict[int, Any] = {}
        for name, tensor, _ in tensors_of(self.model):
            targets.setdefault(storage_of(tensor), (name, tuple(tensor.shape)))
        return Recorder(targets)

    def _sources(self) -> list[Tensor]:
        import torch

        accepted = {part["name"]: _stored_shape(part) for record in self.records for part in [record, *record["fused"]]}
        sources = []
        for name, dtype, shape in self.tensors:
            if name in self.side:
                continue
            if shape is None:
                shape = accepted.get(self._destination(name), [1])
            kind = getattr(torch, _DTYPES.get(dtype or "BF16", "uint8"), torch.uint8)
            tensor = torch.empty(shape, dtype=kind, device="meta")
            self.recorder.name_source(tensor, name)
            sources.append((name, tensor))
        return sources

    def _destination(self, name: str) -> str:
        mapper = getattr(self.model, "hf_to_vllm_mapper", None)
        with_shard = getattr(mapper, "_map_name_with_shard", None)
        if with_shard is not None:
            return self._place(with_shard(name)) or name
        return (mapper.apply_list([name]) or [name])[0] if mapper is not None else name

    def destinations(self, names: list[str]) -> dict[str, str]:
        """Where tensors that nobody has seen would go, as far as the class's own mapper tells."""
        self.parts = dict(_shards(self.records))
        return {name: self._destination(name) for name in names}

    def _saw_name(self, given: str, result: Any) -> None:
        if self.current is None:
            return
        place = self._place(result)
        if place is None:
            self.dropped.add(self.current)
        else:
            # The outermost mapper speaks first; inner ones only see the rest of the name.
            self.mapped.setdefault(self.current, place)

    def _place(self, result: Any) -> str | None:
        """The name that a mapper gave; where it chose a shard, the name of that part."""
        if not isinstance(result, tuple):
            return None if result is None else str(result)
        name, shard = result
        return str(name) if isinstance(shard, list) else self.parts.get((name, shard), str(name))

    def _feed(self, sources: list[Tensor]) -> None:
        """Goes on behind each tensor that makes the loader raise; a loader that reads ahead is bisected instead."""
        rest = sources
        while rest:
            before = {name: len(fills) for name, fills in self.recorder.fills.items()}
            stream = _Stream(self, rest)
            try:
                self.model.load_weights(iter(stream))
                return
            except Exception as error:
                if stream.read_ahead(before):
                    self._forget(before)
                    self._bisect(rest, error)
                    return
                if stream.exhausted:
                    self.final_errors.append(line_of(error))
                    return
                self.errors[rest[stream.count - 1][0]] = line_of(error)
                rest = rest[stream.count :]

    def _bisect(self, sources: list[Tensor], error: Exception) -> None:
        if len(sources) == 1:
            self.errors[sources[0][0]] = line_of(error)
            return
        middle = len(sources) // 2
        for half in (sources[:middle], sources[middle:]):
            before = {name: len(fills) for name, fills in self.recorder.fills.items()}
            try:
                self.model.load_weights(iter(_Stream(self, half)))
            except Exception as deeper:
                self._forget(before)
                self._bisect(half, deeper)

    def _forget(self, before: dict[str, int]) -> None:
        fills = self.recorder.fills
        self.recorder.fills = {name: fills[name][:count] for name, count in before.items()}

    def _answer(self) -> dict[str, Any]:
        filled: dict[str, dict[str, int]] = {}
        for target, fills in self.recorder.fills.items():
            for fill in fills:
                size = sum(high - low for low, high in fill.intervals)
                for source in fill.sources:
                    row = filled.setdefault(source, {})
                    row[target] = row.get(target, 0) + size
        return {
            "tensors": {
                name: {
                    "filled": filled.get(name, {}),
                    "error": self.errors.get(name),
                    "dropped": name in self.dropped,
                    "mapped": self.mapped.get(name, name),
                }
                for name, *_ in self.tensors
            },
            "parameters": {record["name"]: self._coverage(record) for record in self.records},
            "errors": self.final_errors,
            "shared": self.shared,
        }

    def _coverage(self, record: dict[str, Any]) -> dict[str, Any]:
        from porter_worker.recorder import coverage

        expected = 0 if record["name"] in self.shared else 1
        for position, size in enumerate(record["shape"]):
            rows = record["rows"] if position == 0 and record["rows"] is not None else size
            expected *= min(rows, size)
        covered, clashes = coverage(self.recorder.fills.get(record["name"], []), expected)
        return {"expected": expected, "covered": covered, "clashes": clashes}


class _Stream:
    """The tensors in order, noting how far the loader read and whether anything was written meanwhile."""

    def __init__(self, join: Join, tensors: list[Tensor]) -> None:
        self._join = join
        self._tensors = tensors
        self.count = 0
        self.exhausted = False
        self._fills_at_end: int | None = None

    def __iter__(self) -> Iterator[Tensor]:
        for name, tensor in self._tensors:
            self.count += 1
            self._join.current = name
            if self.count == len(self._tensors):
                self._fills_at_end = self._fills()
            yield name, tensor
        self.exhausted = True
        self._join.current = None

    def _fills(self) -> int:
        return sum(len(fills) for fills in self._join.recorder.fills.values())

    def read_ahead(self, before: dict[str, int]) -> bool:
        """All was read before anything was written, so the last name read is not the one to blame."""
        return len(self._tensors) > 1 and self.exhausted and self._fills_at_end == sum(before.values())


def _side_tensors(tensors: list[Any]) -> frozenset[str]:
    """What a quantiser stores beside a weight: `X.weight.absmax` beside `X.weight`."""
    names = {name for name, *_ in tensors}
    return frozenset(name for name in names if any(name[:end] in names for end in _dots(name)))


def _dots(name: str) -> list[int]:
    return [position for position, letter in enumerate(name) if letter == "."]


def _unpacked(tensors: list[Any], side: frozenset[str]) -> list[Any]:
    """The shape of a packed weight, which has side tensors, tells nothing about the plain one."""
    packed = {name[:end] for name in side for end in _dots(name)}
    return [[name, None, None] if name in packed else [name, dtype, shape] for name, dtype, shape in tensors]


def _shards(records: list[dict[str, Any]]) -> Iterator[tuple[tuple[str, Any], str]]:
    """The name of each part by its parameter and the ids that vLLM's loaders take for it."""
    for record in records:
        for number, part in enumerate(record["fused"]):
            yield (record["name"], number), part["name"]
            if len(record["fused"]) == 3:
                yield (record["name"], "qkv"[number]), part["name"]


def _stored_shape(part: dict[str, Any]) -> list[int]:
    """The shape in a checkpoint, where a vocabulary has no padding."""
    rows = part.get("rows")
    return part["shape"] if rows is None else [rows, *part["shape"][1:]]


class _watched_mappers:
    """Lets every WeightsMapper tell which names it drops, while the context is open."""

    _METHODS = ("_map_name_with_shard", "_map_name", "map_name")

    def __init__(self, saw: Callable[[str, Any], None]) -> None:
        self._saw = saw
        self._original: Any = None

    def __enter__(self) -> None:
        from vllm.model_executor.models.utils import WeightsMapper

        self._class = WeightsMapper
        self._name = next(name for name in self._METHODS if hasattr(WeightsMapper, name))
        original = self._original = getattr(WeightsMapper, self._name)
        saw = self._saw

        def watched(mapper: Any, key: str, *rest: Any) -> Any:
            result = original(mapper, key, *rest)
            saw(key, result)
            return result

        setattr(WeightsMapper, self._name, watched)

    def __exit__(self, *_: object) -> None:
        setattr(self._class, self._name, self._original)


if __name__ == "__main__":
    from porter_worker.runtime import serve

    serve(handle)
