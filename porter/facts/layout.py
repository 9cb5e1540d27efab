"""The weights layout: every checkpoint tensor in one group, each group with its role, by structure alone."""

from __future__ import annotations

from collections.abc import Iterator

from porter.facts.layout_match import Found, match_language, match_other, match_vision
from porter.facts.layout_model import ROLES, Hints, Layout, Part, patch_width, token_shape
from porter.facts.layout_names import names_of
from porter.facts.layout_networks import Forest, Network, Node, read_forest
from porter.facts.layout_rows import HOLE, Path, Row, rows_of
from porter.facts.layout_sides import split_sides
from porter.facts.layout_units import (
    CONNECTOR_WORDS,
    FOREIGN_WORDS,
    SEPARATOR_WORDS,
    Surroundings,
    Unit,
    connectors_among,
    words_of,
)
from porter.hub.snapshot import TensorTable

HEADS = ("lm_head", "output", "embed_out", "ff_out", "output_layer", "head")
OWN_STARTS = ("embed", "norm", "final", "ln", "wpe", "wte", "rot", "pos", "token", "layer_norm", "layernorm")
OWN_ENDS = ("norm", "_ln")
FAULTS = ("but in no file", "but not in", "in another file than", "stored more than once", "but the repo lacks")
MERGES = (1, 4, 9, 16)
MAX_NETWORKS = 64
MAX_TOWERS = 16
MAX_EXTRA = 64


def read_layout(table: TensorTable, hints: Hints | None = None, *, index: str | None = None) -> Layout:
    """Group every tensor of a table; `index` is the index file beside headers. Linear in their number."""
    weights, sides = split_sides(rows_of(table.tensors))
    forest = read_forest(weights)
    parts = [*_Reading(forest, hints or Hints()).parts()]
    for method, rows in sides.items():
        parts.append(Part(_common(rows), "side", method, tuple(rows)))
    ordered = sorted(parts, key=lambda part: (ROLES.index(part.role), part.prefix))
    source = "both" if table.source == "headers" and index else table.source
    file = index or (table.tensors[0].file if table.tensors else "")
    return Layout(source, len(table.tensors), tuple(ordered), _disagreements(table), forest.top, file, table.problems)


def _disagreements(table: TensorTable) -> tuple[str, ...]:
    """What the reader of index and headers found them to contradict each other in."""
    return tuple(note for note in table.notes if any(words in note for words in FAULTS))


class _Reading:
    """One pass over a forest: networks get their kinds, rows their owners, and what is left becomes units."""

    def __init__(self, forest: Forest, hints: Hints) -> None:
        self.forest, self.hints = forest, hints
        self.kinds: dict[Path, Found | None] = {}
        self.vision: list[Network] = []
        self.others: list[Network] = []
        self.language = self._classify()
        self.language_rows: set[Path] = set()
        self.head_rows: set[Path] = set()
        if self.language is not None:
            self.language_rows = {row.path for row in _own_rows(self.language)}
            self.head_rows = {row.path for row in _head_rows(self.language)} - self.language_rows
        self.owned: dict[Path, list[Row]] = {}
        self.left: list[Unit] = []
        self._share_out()

    def _classify(self) -> Network | None:
        """Sorts the networks into towers and others; the language model is what comes back."""
        candidates: list[Network] = []
        roots = {network.root.path for network in self.forest.networks}
        by_size = sorted(self.forest.networks, key=lambda network: (-_size(network), network.root.path))
        self.others.extend(by_size[MAX_NETWORKS:])
        for network in by_size[:MAX_NETWORKS]:
            names = names_of(network.root.path, network.main.path, network.own_rows(roots))
            found = match_vision(names) if network.patches or not network.tokens else None
            if found is not None or (network.patches and not network.tokens):
                self.vision.append(network)
            else:
                other, causal = match_other(names), match_language(names)
                found = other if other is not None and (causal is None or _closer(other, causal)) else causal
                causal_like = network.tokens or (found is not None and found.kind.family == "language")
                (candidates if causal_like else self.others).append(network)
            self.kinds[network.root.path] = found
        self.others += self.vision[MAX_TOWERS:]
        del self.vision[MAX_TOWERS:]
        language = max(candidates, key=self._causality, default=None)
        self.others += [network for network in candidates if network is not language]
        self._drop_false_towers()
        return language

    def _causality(self, network: Network) -> tuple[bool, bool, bool, bool, int]:
        """How much speaks for a network being the language model."""
        found = self.kinds[network.root.path]
        family = found.kind.family if found is not None else None
        foreign = bool(words_of(network.root.path) & (FOREIGN_WORDS - {"text"} | self.hints.foreign))
        same_depth = network.depth is not None and network.depth == self.hints.text_layers
        return family == "language", same_depth, bool(_head_rows(network)), not foreign, _size(network)

    def _drop_false_towers(self) -> None:
        """Beside a tower of a known kind, image networks without attention (decoders, tokenisers of pixels) and
        those of another modality are extra."""
        known = [network for network in self.vision if self.kinds[network.root.path] is not None]
        if len(self.vision) < 2 or not known:
            return
        for network in list(self.vision):
            strange = self.kinds[network.root.path] is None and not _attends(network)
            foreign = bool(words_of(network.root.path) & FOREIGN_WORDS)
            if (strange or foreign) and len(self.vision) > 1:
                self.vision.remove(network)
                self.others.append(network)

    def _share_out(self) -> None:
        """Give every row its owner: the language model's own, the nearest network around it, or a unit of its own."""
        roots = {network.root.path: network for network in (*self.vision, *self.others)}
        units: dict[Path, Unit] = {}
        waiting: list[tuple[Node, Path | None]] = [(self.forest.top, None)]
        while waiting:
            node, owner = waiting.pop()
            owner = node.path if node.path in roots else owner
            for row in node.rows:
                if row.path in self.language_rows or row.path in self.head_rows:
                    continue
                if owner is not None:
                    self.owned.setdefault(owner, []).append(row)
                else:
                    path = _unit_path(node, row)
                    units.setdefault(path, Unit(path, [])).rows.append(row)
            waiting.extend((child, owner) for child in reversed(node.children.values()))
        self.left = list(units.values())

    def parts(self) -> Iterator[Part]:
        """All groups, in no order that matters."""
        carved: list[Unit] = []
        for network in self.vision:
            found = self.kinds[network.root.path]
            rows = self.owned.get(network.root.path, [])
            taken = _carve(network, found, rows)
            carved += taken
            gone = {row.path for unit in taken for row in unit.rows}
            kept = tuple(row for row in rows if row.path not in gone)
            kind = found.kind.name if found is not None else None
            yield Part(network.root.path, "tower", kind, kept, network, found, _extra(network, found, kept))
        if self.language is not None:
            yield from self._language_parts(self.language)
        yield from self._between([*carved, *self.left, *self._other_units()])

    def _language_parts(self, network: Network) -> Iterator[Part]:
        found = self.kinds[network.root.path]
        rows = tuple(_own_rows(network))
        heads = [row for row in _head_rows(network) if row.path not in self.language_rows]
        kind = found.kind.name if found is not None else None
        extra = found.layer_extra if found is not None else ()
        yield Part(_causal_prefix(network), "language_model", kind, rows, network, found, extra)
        if heads:
            yield Part(_common(heads), "head", None, tuple(heads))

    def _other_units(self) -> list[Unit]:
        found: list[Unit] = []
        for network in self.others:
            rows = self.owned.get(network.root.path, [])
            if rows:
                found.append(Unit(network.root.path, rows, network=True))
        return found

    def _between(self, units: list[Unit]) -> Iterator[Part]:
        candidates = [unit for unit in units if not unit.loose and unit.holds_matrix and self._may_connect(unit)]
        chosen = connectors_among(candidates, self._surroundings()) if self.vision or len(candidates) == 1 else []
        taken = {id(unit) for unit in chosen}
        for unit in chosen:
            yield Part(unit.path, "connector", self._unit_kind(unit), tuple(unit.rows))
        extra = sorted((unit for unit in units if id(unit) not in taken), key=lambda unit: unit.path)
        for unit in extra[:MAX_EXTRA]:
            yield Part(unit.path, "extra", self._unit_kind(unit), tuple(unit.rows))
        if extra[MAX_EXTRA:]:
            rows = [row for unit in extra[MAX_EXTRA:] for row in unit.rows]
            yield Part(_common(rows), "extra", None, tuple(rows))

    def _may_connect(self, unit: Unit) -> bool:
        if not unit.network:
            return True
        found = self.kinds.get(unit.path)
        if found is not None:
            return found.kind.family == "connector"
        return unit.queries or any("cross" in piece.lower() for row in unit.rows for piece in row.path)

    def _unit_kind(self, unit: Unit) -> str | None:
        found = self.kinds.get(unit.path) if unit.network else None
        if found is not None:
            return found.kind.name
        if unit.loose:
            return "separator" if words_of(unit.path[-1:]) & SEPARATOR_WORDS else "parameter"
        return None

    def _surroundings(self) -> Surroundings:
        widths = {width for network in self.vision if (width := patch_width(network)) is not None}
        both = {*widths, sum(widths)} if widths else set[int]()
        vision = frozenset(width * merge for width in both for merge in MERGES)
        text = token_shape(self.language)[1] if self.language is not None else None
        container = self.language.root.path if self.language is not None else ()
        towers = tuple(network.root.path for network in self.vision)
        return Surroundings(vision, text or self.hints.text_width, towers, container, self.hints.foreign)


def _closer(one: Found, other: Found) -> bool:
    return len(one.layer_extra) < len(other.layer_extra) or one.kind.family != "language"


def _attends(network: Network) -> bool:
    return any("att" in piece.lower() for row in network.main.below() for piece in row.path)


def _size(network: Network) -> int:
    """Tensors in its main stack."""
    return sum(row.count for row in network.main.below())


def _own_rows(network: Network) -> Iterator[Row]:
    """What a language model holds under its root: its layers, its embeddings, and the norms beside them."""
    for stack in network.layers:
        yield from stack.below()
    inside = {stack.path for stack in network.layers}
    tokens = {row.path for row in network.tokens}
    yield from network.tokens
    for name, child in network.root.children.items():
        if child.path in inside or child.stacks or any(inner.children for inner in child.children.values()):
            continue
        lower = name.lower()
        named = lower.startswith(OWN_STARTS) or lower.endswith(OWN_ENDS)
        yield from (row for row in child.below() if row.path not in tokens and (named or _is_norm(row)))


def _is_norm(row: Row) -> bool:
    return row.parameter != "" and row.shape is not None and len(row.shape) == 1 and "norm" in row.module[-1].lower()


def _head_rows(network: Network) -> list[Row]:
    """The output head: at the network's root, beside it, or further up."""
    for level, node in enumerate((network.root, *network.root.ancestors())):
        for name in HEADS if level < 2 else HEADS[:1]:
            child = node.children.get(name)
            if child is not None and not child.stacks:
                return list(child.below())
    return []


def _causal_prefix(network: Network) -> Path:
    """The module that is the causal LM: the one that holds the network and nothing else but its head."""
    root, parent = network.root, network.root.parent
    if parent is None or parent.parent is None:
        return root.path
    strangers = [child for child in parent.children.values() if child is not root and child.path[-1] not in HEADS]
    return root.path if strangers or parent.rows else parent.path


def _unit_path(node: Node, row: Row) -> Path:
    """The outermost module around a row that lies beside the networks and holds none of them."""
    if node.stacks or (node.parent is None):
        return row.module if row.parameter and node.parent is None else row.path
    while node.parent is not None and node.parent.parent is not None and not node.parent.stacks:
        node = node.parent
    return node.path


def _carve(network: Network, found: Found | None, rows: list[Row]) -> list[Unit]:
    """Modules inside a tower that are not the tower's: a merger or a resampler at its end."""
    root = network.root
    unknown = {(*root.path, *path) for path in found.beside_extra} if found is not None else None
    units: dict[Path, Unit] = {}
    for row in rows:
        path = row.path[: len(root.path) + 1]
        if len(row.path) > len(path):
            units.setdefault(path, Unit(path, [], carved=True)).rows.append(row)
    kept: list[Unit] = []
    for unit in units.values():
        strange = unknown is None or all(row.module in unknown for row in unit.rows)
        named = bool(words_of(unit.path[-1:]) & CONNECTOR_WORDS)
        held = network.main.path[: len(unit.path)] == unit.path
        if strange and not held and unit.holds_matrix and (named or unit.queries):
            kept.append(unit)
    return kept


def _extra(network: Network, found: Found | None, rows: tuple[Row, ...]) -> tuple[str, ...]:
    """Module names of a tower that its kind does not know."""
    if found is None:
        return ()
    size = len(network.root.path)
    inside = ".".join((*network.main.path[size:], HOLE))
    present = {row.module[size:] for row in rows}
    beside = (".".join(path) for path in found.beside_extra if path in present)
    return (*(f"{inside}.{name}" if name else inside for name in found.layer_extra), *beside)


def _common(rows: list[Row]) -> Path:
    """The longest module path that all rows share."""
    low, high = min(row.path for row in rows), max(row.path for row in rows)
    size = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    size = next((i for i, piece in enumerate(low[:size]) if piece == HOLE), size)
    return low[: min(size, len(low) - 1, len(high) - 1)]
