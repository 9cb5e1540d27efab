"""Shrink a model's JSON files to tiny sizes of the same structure. Pure: documents in, documents and changes out.

Kept: every switch, the ratio of query to key-value heads, ties, the distance of tapped layers from the end, the kinds
of layers, rope sections, whether windows act, patch size, merge ratio, tiling limits.
Changed: widths, depths, image size, vocabulary, experts, epsilons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from porter.facts.synonyms import TILE_TOKENS
from porter.jsontypes import JSON, JSONObject, as_int
from porter.tiny import sizes as rules
from porter.tiny.document import Change, Documents, Path, pair, walk
from porter.tiny.roles import ALIASES, FEATURE_LAYER_KEYS, Hints, Part, locate, sub_dict

CONFIG = "config.json"
WINDOW = 32
"""Tokens of a shrunken sliding window: shorter than the prompts of the proof, so that the window acts."""
TINY_IMAGE = 128
EXPERT_KEYS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
TOP_KEYS = ("num_experts_per_tok", "moe_topk", "top_k_experts", "moe_k")
WINDOW_KEYS = ("sliding_window", "sliding_window_size", "attention_window")
PERIOD_KEYS = (
    "full_attention_interval",
    "sliding_window_pattern",
    "decoder_sparse_step",
    "moe_layer_freq",
    "attn_layer_period",
)
QUANT_KEYS = ("quantization_config", "compression_config")
EPS_FIRST, EPS_STEP = 0.00137, 0.00083


@dataclass(frozen=True, slots=True)
class Request:
    """What to shrink by: the parts, the merge ratio (1 / downsample ratio, at least 1), the places of tapped layers,
    the rows that the tiny vocabulary needs (None: it stays), the side of a tile in pixels (None: the tower's; 0: must
    stay) and its tokens now."""

    text: Hints
    vision: tuple[Hints, ...] = ()
    merge: int = 1
    feature_layers: tuple[Path, ...] = ()
    vocab: int | None = None
    tile: int | None = None
    tokens_per_tile: int | None = None


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The shrunken documents, every change, and the sizes before and after by part."""

    files: dict[str, JSONObject]
    changes: tuple[Change, ...]
    tile: int | None = None


def shrink(files: Mapping[str, JSONObject], request: Request) -> Shrunk:
    """`files` holds config.json and, where they exist, the processor files."""
    docs = Documents.of(files)
    config = docs.files[CONFIG]
    text = locate(config, request.text)
    towers = [locate(config, hints) for hints in request.vision]
    widths = _shrink_text(docs, text, request)
    for tower in towers:
        widths |= _shrink_tower(docs, tower, request)
    _spread_widths(docs, text, towers, widths)
    tile = _shrink_images(docs, towers, request)
    for file, doc in docs.files.items():
        for path, _ in list(walk(doc)):
            if path[-1] in QUANT_KEYS:
                docs.remove(file, path)
    _odd_epsilons(docs, text.path)
    return Shrunk(docs.files, tuple(docs.changes), tile)


def _put(docs: Documents, part: Part, new: Mapping[str, int], *, need: Sequence[str] = ()) -> None:
    """Write new sizes where the old ones stand; a size that only the code states is written under its usual name."""
    for role, size in new.items():
        place = part.places.get(role)
        if place is not None:
            docs.set(CONFIG, place, size)
        elif role in need:
            docs.set(CONFIG, (*part.path, role), size)


def _stated_only_in_code(part: Part) -> list[str]:
    return [role for role in part.sizes if role not in part.places and role in ALIASES]


def _shrink_text(docs: Documents, text: Part, request: Request) -> dict[tuple[str, int], int]:
    """Shrink the decoder; answers old width -> new width by the role it played."""
    _shrink_vocab(docs, request.vocab)
    part = sub_dict(docs.files[CONFIG], text.path)
    old = text.sizes
    head = old.get("head_dim") or old.get("hidden_size", 0) // max(1, old.get("num_attention_heads", 1))
    if "hidden_size" not in old or (rules.is_tiny(old) and head in rules.HEAD_SIZES):
        return {}
    depth_old = old.get("num_hidden_layers", 0)
    depth = min(depth_old or 2, _text_depth(part, depth_old))
    head_dim, rope = _rope_head(part, head)
    new = rules.tiny_text(old, depth, head_dim)
    decoupled = new["hidden_size"] != new["num_attention_heads"] * new["head_dim"]
    _put(docs, text, new, need=[*_stated_only_in_code(text), *(["head_dim"] if decoupled else [])])
    for path, value in (*rope, *_rope_factors(part, head, new["head_dim"])):
        docs.set(CONFIG, (*text.path, *path), value)
    _shrink_lists(docs, text.path, depth_old, depth)
    _shrink_experts(docs, text.path)
    _shrink_windows(docs, text.path)
    _copies_at_top(docs, text)
    return {("text", old["hidden_size"]): new["hidden_size"]}


def _text_depth(part: JSONObject, depth_old: int) -> int:
    """Layers needed to meet every kind of layer, two at least."""
    needed = 2
    for value in part.values():
        if (
            isinstance(value, list)
            and depth_old
            and len(value) == depth_old
            and all(isinstance(v, (str, int)) for v in value)
        ):
            kinds = set(map(str, value))
            first = {kind: next(i for i, v in enumerate(value) if str(v) == kind) for kind in kinds}
            needed = max(needed, *(index + 1 for index in first.values())) if len(kinds) <= 4 else needed
    periods = [as_int(part.get(key)) or 0 for key in PERIOD_KEYS]
    dense = as_int(part.get("first_k_dense_replace")) or 0
    return max(needed, dense + 1, *(period for period in periods if period <= rules.MAX_DEPTH), 2)


def _rope_head(part: JSONObject, head: int) -> tuple[int | None, list[tuple[Path, JSON]]]:
    """The head size that rope sections allow, and the sections for it."""
    found: list[tuple[Path, list[int]]] = []
    for path, value in walk(part):
        if path[-1].endswith("section") and isinstance(value, list):
            numbers = [number for number in (as_int(item) for item in value) if number is not None]
            found.append((path, numbers))
    for size in rules.HEAD_SIZES if found else ():
        scaled = [(path, rules.sections(numbers, size)) for path, numbers in found]
        if all(value is not None for _, value in scaled):
            return size, [(path, [*value]) for path, value in scaled if value is not None]
    return (head if found else None), []


def _rope_factors(part: JSONObject, head: int, new: int) -> Iterator[tuple[Path, JSON]]:
    """Factors of long rope, one for each pair of rotated dimensions: as many as the new head has."""
    for path, value in walk(part):
        if path[-1].endswith("_factor") and isinstance(value, list) and head:
            yield path, value[: len(value) * new // head]


def _shrink_vocab(docs: Documents, vocab: int | None) -> None:
    if vocab is None:
        return
    for path, value in list(walk(docs.files[CONFIG])):
        size = as_int(value)
        if path[-1] in ALIASES["vocab_size"] and size is not None and size != vocab:
            docs.set(CONFIG, path, vocab)


def _shrink_lists(docs: Documents, base: Path, depth_old: int, depth: int) -> None:
    """Cut lists with one entry per layer, and numbers that count layers, to the new depth."""
    for key, value in list(sub_dict(docs.files[CONFIG], base).items()):
        if isinstance(value, list) and depth_old > depth and len(value) == depth_old:
            docs.set(CONFIG, (*base, key), value[:depth])
        elif key in ("max_window_layers", "first_k_dense_replace") and (as_int(value) or 0) > depth:
            docs.set(CONFIG, (*base, key), depth)


def _shrink_experts(docs: Documents, base: Path) -> None:
    part = sub_dict(docs.files[CONFIG], base)
    top = max([as_int(part.get(key)) or 0 for key in TOP_KEYS])
    groups = as_int(part.get("n_group")) or 1
    for key in EXPERT_KEYS:
        old = as_int(part.get(key))
        if old is not None and old > 0:
            enough = max(4, 2 * top, 2 * groups)
            docs.set(CONFIG, (*base, key), min(old, -(-enough // groups) * groups))
    for key in ("moe_intermediate_size", "shared_expert_intermediate_size"):
        old = as_int(part.get(key))
        if old is not None and old > 64:
            docs.set(CONFIG, (*base, key), 64)


def _shrink_windows(docs: Documents, base: Path) -> None:
    part = sub_dict(docs.files[CONFIG], base)
    for key in WINDOW_KEYS:
        old = as_int(part.get(key))
        if old is not None and old > WINDOW and part.get("use_sliding_window") is not False:
            docs.set(CONFIG, (*base, key), WINDOW)


def _copies_at_top(docs: Documents, text: Part) -> None:
    """Top-level copies of the decoder's fields follow it."""
    prefix = f"{CONFIG}:{'.'.join(text.path)}."
    if not text.path:
        return
    for change in list(docs.changes):
        key = change.path[len(prefix) :]
        direct = change.path.startswith(prefix) and key in docs.files[CONFIG]
        if direct and docs.get(CONFIG, (key,)) == change.old:
            docs.set(CONFIG, (key,), change.new)


def _layer_values(value: JSON) -> list[int]:
    items = value if isinstance(value, list) else [value]
    return [number for number in (as_int(item) for item in items) if number is not None]


def _tapped(docs: Documents, request: Request, tower: Part) -> list[tuple[Path, JSON]]:
    places = [*request.feature_layers, *((key,) for key in FEATURE_LAYER_KEYS)]
    places += [(*tower.path, key) for key in FEATURE_LAYER_KEYS]
    found = {place: docs.get(CONFIG, place) for place in places}
    return [(place, value) for place, value in found.items() if _layer_values(value)]


def _shrink_tower(docs: Documents, tower: Part, request: Request) -> dict[tuple[str, int], int]:
    old = tower.sizes
    if "hidden_size" not in old or rules.is_tiny(old):
        return {}
    depth_old = old.get("num_hidden_layers", 0)
    tapped = _tapped(docs, request, tower)
    depth = rules.depth_for([index for _, value in tapped for index in _layer_values(value)], depth_old)
    new = rules.tiny_vision(old, depth)
    _put(docs, tower, new, need=[role for role in _stated_only_in_code(tower) if role in new])
    for place, value in tapped:
        moved = [rules.moved_layer(index, depth_old, depth) for index in _layer_values(value)]
        unique: list[JSON] = [*dict.fromkeys(moved)]
        docs.set(CONFIG, place, unique if isinstance(value, list) else moved[0])
    _shrink_lists(docs, tower.path, depth_old, depth)
    return {("vision", old["hidden_size"]): new["hidden_size"]}


def _spread_widths(docs: Documents, text: Part, towers: Sequence[Part], widths: Mapping[tuple[str, int], int]) -> None:
    """Copies of a part's width under other keys (`projector_in`, `mm_hidden_size`, `out_hidden_size`) follow it."""
    own = {place for part in (text, *towers) for place in part.places.values()}
    done = {tuple(change.path.split(":", 1)[1].split(".")) for change in docs.changes}
    for path, value in list(walk(docs.files[CONFIG])):
        size = as_int(value)
        if size is None or path in own or path in done or not _is_width(path[-1]):
            continue
        new = _new_width(path, size, widths)
        if new is not None:
            docs.set(CONFIG, path, new)


def _is_width(key: str) -> bool:
    marks = ("hidden", "width", "dim", "embed", "proj", "channels", "in_features", "out_features")
    return any(mark in key for mark in marks) and not key.endswith(("_id", "_layers", "num_channels"))


def _new_width(path: Path, size: int, widths: Mapping[tuple[str, int], int]) -> int | None:
    """The new width of the part that had `size` (or `size` / merge area, for vision); by name when both had it."""
    vision_like = any(mark in part for part in path for mark in ("vis", "vit", "mm_", "image", "_in", "input"))
    ranked = sorted(widths.items(), key=lambda item: (item[0][0] == "vision") != vision_like)
    for (_, old), new in ranked:
        if size == old:
            return new
    for (part, old), new in ranked:
        if part == "vision" and size in (old * 4, old * 16):
            return new * (size // old)
    return None


def _shrink_images(docs: Documents, towers: Sequence[Part], request: Request) -> int | None:
    """Shrink the tile everywhere it is stated; answers the tile's side afterwards."""
    patch = next((part.sizes["patch_size"] for part in towers if "patch_size" in part.sizes), None)
    stated = next((part.sizes["image_size"] for part in towers if "image_size" in part.sizes), None)
    tile = stated if request.tile is None else request.tile
    if patch is None or tile is None or tile <= TINY_IMAGE or not _states_tile(docs, towers, tile):
        return tile
    new = rules.tiny_grid(patch, request.merge)
    sizes = {tile: new}
    if stated is not None and stated != tile:
        sizes[stated] = new * (stated // tile) if stated % tile == 0 else new
    for part in towers:
        if "image_size" in part.sizes and "image_size" not in part.places:
            docs.set(CONFIG, (*part.path, "image_size"), sizes.get(part.sizes["image_size"], new))
    for file, doc in docs.files.items():
        for path, value in list(walk(doc)):
            _shrink_image_value(docs, file, path, value, sizes)
            tokens = as_int(value)
            if request.tokens_per_tile and path[-1] in TILE_TOKENS and tokens == request.tokens_per_tile:
                docs.set(file, path, max(1, tokens * new * new // (tile * tile)))
    return new


def _states_tile(docs: Documents, towers: Sequence[Part], tile: int) -> bool:
    """Whether the tile stands in a document, or the tower's config class takes it: code alone cannot be shrunk."""
    stated = any(as_int(value) == tile and _is_size(path) for doc in docs.files.values() for path, value in walk(doc))
    return stated or any(part.sizes.get("image_size") == tile for part in towers)


def _is_size(path: Path) -> bool:
    named = any(mark in step for step in path for mark in ("size", "resolution", "tile"))
    return named and not path[-1].startswith(("hidden", "intermediate", "vocab"))


def _shrink_image_value(docs: Documents, file: str, path: Path, value: JSON, sizes: Mapping[int, int]) -> None:
    size = as_int(value)
    if size is not None and size in sizes and _is_size(path):
        docs.set(file, path, sizes[size])
    elif isinstance(value, list) and value and all(pair(item) for item in value):
        resolutions = [item for item in map(pair, value) if item is not None]
        docs.set(file, path, [[_scaled(side, sizes) for side in item] for item in resolutions])


def _scaled(side: int, sizes: Mapping[int, int]) -> int:
    """As many tiles of the new size: one side of a resolution by which images are cut."""
    return next((new * (side // tile) for tile, new in sizes.items() if side % tile == 0), side)


def _epsilons(doc: JSONObject) -> Iterator[tuple[Path, float]]:
    for path, value in walk(doc):
        named = path[-1].endswith(("eps", "epsilon"))
        if named and isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 0.1:
            yield path, float(value)


def _odd_epsilons(docs: Documents, text: Path) -> None:
    """Give each epsilon a value of its own; a top-level copy of the decoder's shares the decoder's."""
    given: dict[Path, float] = {}
    found = list(_epsilons(docs.files[CONFIG]))
    for path, _ in found:
        twin = (*text, path[-1])
        shared = len(path) == 1 and text and any(other == twin for other, _ in found)
        key = twin if shared else path
        given.setdefault(key, round(EPS_FIRST + EPS_STEP * len(given), 5))
        docs.set(CONFIG, path, given[key])
