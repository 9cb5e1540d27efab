"""What an engine takes of a device before it is started: weights, KV cache, encoder and activations. Pure.

An estimate, not a measurement: it holds within a factor of two, which is what is needed to not start what cannot fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from porter.facts.configs import Scope
from porter.facts.reading import RepoReading
from porter.hub.snapshot import TensorTable
from porter.jsontypes import JSON, JSONObject, as_int, objects

GIB = 1 << 30
BLOCK = 128
"""Tokens of the largest block in which a KV cache is given out."""
BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "BF16": 2, "F16": 2, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
DTYPES = {"float32": 4, "float": 4, "float64": 8}
RUNTIME = {"cpu": int(1.5 * GIB), "cuda": int(1.0 * GIB)}
"""What the interpreter with torch and vLLM (CPU) or the driver's context (CUDA) takes whatever the model."""
LARGEST_TP = 16


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a model that memory depends on. `kv_width`: elements of KV cache per token and layer, both together.

    `kv_split`: over how many devices a cache can be split (MLA keeps one latent: 1). `patches` of the largest image.
    """

    weights: int
    layers: int
    hidden: int
    intermediate: int
    vocab: int
    heads: int
    kv_width: int
    kv_split: int
    itemsize: int = 2
    tower_hidden: int = 0
    tower_intermediate: int = 0
    patches: int = 0
    positions: int | None = None
    source: str = "headers"


@dataclass(frozen=True, slots=True)
class Load:
    """How it is run: tokens of one request, tokens and images of one step, devices, and bytes per cache element."""

    length: int
    batch_tokens: int
    device: str = "cpu"
    images: int = 1
    sequences: int = 4
    tp: int = 1
    pp: int = 1
    itemsize: int = 2


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes per device."""

    weights: int
    cache: int
    encoder: int
    activations: int
    runtime: int

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.encoder + self.activations + self.runtime

    def to_json(self) -> JSONObject:
        parts = ("weights", "cache", "encoder", "activations", "runtime", "total")
        return {f"{name}_bytes": getattr(self, name) for name in parts}

    def __str__(self) -> str:
        parts = ("weights", "cache", "encoder", "activations", "runtime")
        return ", ".join(f"{name} {gib(getattr(self, name))}" for name in parts)


def estimate(sizes: Sizes, load: Load) -> Estimate:
    """Per device: weights over all of them, the cache by layers and heads, activations by heads alone."""
    ratio = load.itemsize / sizes.itemsize if sizes.source != "quantised" else 1
    tokens = math.ceil(load.length / BLOCK) * BLOCK
    layers = math.ceil(sizes.layers / load.pp)
    cache = tokens * layers * sizes.kv_width * load.itemsize // min(load.tp, sizes.kv_split)
    widest = 4 * sizes.hidden + 3 * sizes.intermediate // load.tp
    logits = load.sequences * sizes.vocab * 4
    patches = sizes.patches * load.images
    tower = patches * (5 * sizes.tower_hidden + 2 * sizes.tower_intermediate) * load.itemsize
    return Estimate(
        weights=int(sizes.weights * ratio) // (load.tp * load.pp),
        cache=cache,
        encoder=tower + load.batch_tokens * sizes.hidden * load.itemsize,
        activations=load.batch_tokens * widest * load.itemsize + 2 * logits,
        runtime=RUNTIME.get(load.device, RUNTIME["cuda"]),
    )


def proposals(sizes: Sizes, load: Load, room: int, devices: int = 1) -> tuple[str, ...]:
    """What would fit into `room` bytes per device, the least change first."""
    made = (_shorter(sizes, load, room), _split(sizes, load, room, devices), _fewer_layers(sizes, load, room))
    return (*(text for text in made if text), "--weights tiny keeps the structure and fits everywhere")


def _shorter(sizes: Sizes, load: Load, room: int) -> str:
    left = room - estimate(sizes, replace(load, length=0)).total
    per_token = estimate(sizes, replace(load, length=BLOCK)).cache / BLOCK
    length = int(left / per_token) // BLOCK * BLOCK if per_token else 0
    return f"max_model_len {length} instead of {load.length}" if 0 < length < load.length else ""


def _split(sizes: Sizes, load: Load, room: int, devices: int) -> str:
    if load.device != "cuda":
        return ""
    counts = (tp for tp in range(load.tp + 1, LARGEST_TP + 1) if sizes.heads and sizes.heads % tp == 0)
    tp = next((tp for tp in counts if estimate(sizes, replace(load, tp=tp)).total <= room), None)
    here = "" if tp is None or tp * load.pp <= devices else f" (this machine has {devices})"
    return f"--tp {tp}{here}" if tp else ""


def _fewer_layers(sizes: Sizes, load: Load, room: int) -> str:
    per_layer = 4 * sizes.hidden**2 + 3 * sizes.hidden * sizes.intermediate
    for layers in range(sizes.layers - 1, 0, -1):
        less = (sizes.layers - layers) * per_layer * sizes.itemsize
        fewer = replace(sizes, layers=layers, weights=max(sizes.weights - less, 0))
        if fewer.weights and estimate(fewer, load).total <= room:
            return f"{layers} of {sizes.layers} layers (hf_overrides)"
    return ""


def gib(count: int) -> str:
    return f"{count / GIB:.2f} GiB"


def sizes_of(reading: RepoReading) -> Sizes | None:
    """The sizes that a repo states; None when too few of them are known."""
    hidden, layers = _size(reading, "text", "hidden_size"), _size(reading, "text", "num_hidden_layers")
    heads, vocab = _size(reading, "text", "num_attention_heads"), _size(reading, "text", "vocab_size")
    if not (hidden and layers and heads and vocab):
        return None
    kv_heads = _size(reading, "text", "num_key_value_heads") or heads
    head = _size(reading, "text", "head_dim") or hidden // heads
    latent = _size(reading, "text", "kv_lora_rank")
    rope = _size(reading, "text", "qk_rope_head_dim") or 0
    known = Sizes(
        weights=0,
        layers=layers,
        hidden=hidden,
        intermediate=_size(reading, "text", "intermediate_size") or 4 * hidden,
        vocab=vocab,
        heads=heads,
        kv_width=latent + rope if latent else 2 * kv_heads * head,
        kv_split=1 if latent else kv_heads,
        itemsize=_itemsize(reading),
        tower_hidden=_tower(reading, "hidden_size"),
        tower_intermediate=_size(reading, "vision", "intermediate_size") or 4 * _tower(reading, "hidden_size"),
        patches=_patches(reading),
        positions=_size(reading, "text", "max_position_embeddings"),
    )
    weights, source = weights_of(reading.snapshot.tensors)
    quantised = reading.facts.value("quantization") is not None
    if weights is None:
        return replace(known, weights=_from_sizes(reading, known), source="sizes")
    return replace(known, weights=weights, source="quantised" if quantised else source)


def weights_of(table: TensorTable) -> tuple[int | None, str]:
    """Bytes of the checkpoint: from headers, else as its index sums them up."""
    stored = [tensor for tensor in table.stored() if tensor.shape is not None and tensor.dtype is not None]
    if stored and len(stored) == len(table.stored()):
        return sum(math.prod(item.shape or ()) * BYTES.get(item.dtype or "", 1) for item in stored), "headers"
    return table.bytes_total, "index"


def _size(reading: RepoReading, scope: Scope, name: str) -> int | None:
    found = reading.resolve(scope, name).value
    return as_int(found.get("value")) if isinstance(found, dict) else None


def _towers(reading: RepoReading) -> list[JSONObject]:
    return objects(reading.facts.value("vision_tower"))


def _tower(reading: RepoReading, name: str) -> int:
    stated = [as_int(tower.get(name)) or 0 for tower in _towers(reading)]
    return max(stated, default=0) or _size(reading, "vision", name) or 0


def _patches(reading: RepoReading) -> int:
    """Patches of the largest image: tiles and thumbnail, or the pixels that are the most."""
    facts = reading.facts
    patch = _largest(facts.value("patch_size")) or 14
    side, most = _largest(facts.value("image_size")), as_int(facts.value("max_pixels"))
    tiles = (as_int(facts.value("max_tiles")) or 1) + bool(facts.value("use_thumbnail"))
    if side:
        return tiles * (side // patch) ** 2
    return (most or 1 << 20) // patch**2


def _largest(value: JSON) -> int | None:
    return max((as_int(item) or 0 for item in value), default=None) if isinstance(value, list) else as_int(value)


def _itemsize(reading: RepoReading) -> int:
    config = reading.snapshot.config()
    stated = config.get("torch_dtype") or config.get("dtype")
    return DTYPES.get(str(stated), 2)


def _from_sizes(reading: RepoReading, known: Sizes) -> int:
    """Bytes of a decoder and a tower of these sizes, for a repo whose weights nobody has seen."""
    stated = [_size(reading, "text", key) for key in ("num_experts", "num_local_experts", "n_routed_experts")]
    experts = next((count for count in stated if count), 1)
    routed = _size(reading, "text", "moe_intermediate_size") if experts > 1 else None
    inner = routed or known.intermediate
    layer = 2 * known.hidden**2 + known.hidden * known.kv_width + 3 * known.hidden * inner * experts
    embeddings = known.vocab * known.hidden * (1 if reading.facts.value("tied_embeddings") else 2)
    depth = max((as_int(tower.get("layers")) or 0 for tower in _towers(reading)), default=0)
    tower = depth * (4 * known.tower_hidden**2 + 2 * known.tower_hidden * known.tower_intermediate)
    return (known.layers * layer + embeddings + tower) * known.itemsize
