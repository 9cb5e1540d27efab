"""The kind of a tower from the shapes of its parameters alone, whatever its author called them.

The blocks of InternViT, CLIP and SigLIP differ by what they hold (layer scales), and the towers by what stands beside
the blocks (class token, norms, the bias of the patches). Anything that is not accounted for makes it none of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

KINDS = ("intern_vit", "clip", "siglip")
Shape = tuple[int, ...]
Shapes = Mapping[str, Shape | None]


@dataclass(slots=True)
class Modules:
    """Parameters of one block, or of what stands beside the blocks, told apart by form. Names are module paths."""

    norms: list[str] = field(default_factory=list)
    plain_norms: list[str] = field(default_factory=list)
    linears: Counter[tuple[Shape, bool]] = field(default_factory=Counter)
    convolutions: list[tuple[Shape, bool]] = field(default_factory=list)
    bare: list[Shape] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Block:
    """What every block holds: attention and one MLP, `scales` vectors that scale a branch, norms beside them."""

    norms: int
    scales: int
    head_norms: int
    unbiased: str
    """Which Linears lack a bias: none, those into the attention (a setting of InternViT's), or others."""


def kind_by_shapes(names: Shapes) -> str | None:
    """intern_vit, clip, siglip, or None for anything else and for shapes that are not known."""
    if not names or any(shape is None for shape in names.values()):
        return None
    blocks, beside = _split({name: shape for name, shape in names.items() if shape is not None})
    width = _width(beside)
    if width is None or not blocks or any(block != blocks[0] for block in blocks[1:]):
        return None
    block = _block(_modules(blocks[0]), width)
    return _kind(block, _modules(beside), width) if block is not None else None


def _split(names: Mapping[str, Shape]) -> tuple[list[dict[str, Shape]], dict[str, Shape]]:
    """The parameters of each block, and those beside the blocks: the longest numbered list is the blocks."""
    lists: dict[str, dict[int, dict[str, Shape]]] = {}
    for name, shape in names.items():
        words = name.split(".")
        at = next((index for index, word in enumerate(words) if word.isdecimal()), None)
        if at is not None:
            rest = ".".join(words[at + 1 :])
            lists.setdefault(".".join(words[:at]), {}).setdefault(int(words[at]), {})[rest] = shape
    if not lists:
        return [], dict(names)
    stem = max(lists, key=lambda head: sum(map(len, lists[head].values())))
    inside = {f"{stem}.{index}.{rest}".lstrip(".") for index, block in lists[stem].items() for rest in block}
    return list(lists[stem].values()), {name: shape for name, shape in names.items() if name not in inside}


def _width(beside: Mapping[str, Shape]) -> int | None:
    """The channels of the one convolution that makes patches."""
    convolutions = [shape for shape in beside.values() if len(shape) == 4]
    return convolutions[0][0] if len(convolutions) == 1 else None


def _modules(names: Mapping[str, Shape]) -> Modules:
    found = Modules()
    for name, shape in names.items():
        module, _, leaf = name.rpartition(".")
        bias = names.get(f"{module}.bias".lstrip("."))
        if leaf == "bias" and f"{module}.weight".lstrip(".") in names:
            continue
        if leaf != "weight" or len(shape) == 3:
            found.bare.append(shape)
        elif len(shape) == 1:
            (found.plain_norms if bias is None else found.norms).append(module)
        elif len(shape) == 2:
            found.linears[(shape, bias is not None)] += 1
        else:
            found.convolutions.append((shape, bias is not None))
    return found


def _block(modules: Modules, width: int) -> Block | None:
    """None unless all of a block is attention, one MLP of two layers, norms, and vectors of the tower's width."""
    counts = Counter(shape for shape, _ in modules.linears.elements())
    if modules.convolutions or not _is_attention_and_mlp(counts, width):
        return None
    if any(shape not in ((width,), (1, 1, width), (1, width)) for shape in modules.bare):
        return None
    norms = len(modules.norms) or min(2, len(modules.plain_norms))
    head_norms = len(modules.plain_norms) - (0 if modules.norms else norms)
    lacking = Counter({shape: count for (shape, bias), count in modules.linears.items() if not bias})
    into_attention = lacking in (Counter({(3 * width, width): 1}), Counter({(width, width): 3}))
    unbiased = "attention" if into_attention else "others" if lacking else "none"
    return Block(norms, len(modules.bare), head_norms, unbiased)


def _is_attention_and_mlp(counts: Counter[Shape], width: int) -> bool:
    """One attention, in one piece or in four, and one MLP, which may be as wide as the attention's matrices."""
    attentions = (Counter({(3 * width, width): 1, (width, width): 1}), Counter({(width, width): 4}))
    inner = {rows for rows, columns in counts if columns == width}
    mlps = [Counter([(size, width), (width, size)]) for size in inner]
    return any(counts == attention + mlp for attention in attentions for mlp in mlps)


def _kind(block: Block, beside: Modules, width: int) -> str | None:
    tokens = [shape for shape in beside.bare if shape in ((width,), (1, width), (1, 1, width))]
    tables = [s for s in beside.bare if len(s) > 1 and s[-1] == width and s not in tokens and s.count(1) >= len(s) - 2]
    embeddings = [shape for shape, bias in beside.linears.elements() if shape[1] == width and not bias]
    explained = len(tokens) + len(tables) == len(beside.bare) and len(embeddings) == beside.linears.total()
    if block.norms != 2 or not explained or len(tables) + len(embeddings) != 1 or len(beside.convolutions) != 1:
        return None
    patch_bias, outer = beside.convolutions[0][1], len(beside.norms)
    if beside.plain_norms or len(tokens) > 1:
        return None
    if block.scales == 2 and block.head_norms in (0, 2) and block.unbiased != "others":
        return "intern_vit" if tokens and patch_bias and not outer else None
    if block.scales or block.head_norms or block.unbiased != "none":
        return None
    if tokens:
        return "clip" if not patch_bias and outer in (1, 2) else None
    return "siglip" if patch_bias and outer == 1 else None
