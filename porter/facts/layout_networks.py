"""Networks in a checkpoint, by structure alone: a stack of layers, the embedding that feeds it, and the module that
holds both. Linear in the number of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from porter.facts.layout_rows import HOLE, Path, Row, is_patch_embedding, is_token_embedding


@dataclass(slots=True)
class Node:
    """A module by its path. `stacks`, `embeddings` and `tensors` count what its subtree holds."""

    path: Path
    parent: Node | None = None
    children: dict[str, Node] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    stacks: int = 0
    embeddings: int = 0

    def ancestors(self) -> Iterator[Node]:
        """The nodes above this one, nearest first."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    def below(self) -> Iterator[Row]:
        """Every row in the subtree, in order."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield from node.rows
            waiting.extend(reversed(node.children.values()))


@dataclass(slots=True)
class Network:
    """One network: `root` is the module that holds all of it; `layers` its stacks, the main one first."""

    root: Node
    layers: list[Node]
    patches: list[Row] = field(default_factory=list)
    tokens: list[Row] = field(default_factory=list)

    @property
    def main(self) -> Node:
        return self.layers[0]

    @property
    def depth(self) -> int | None:
        """How many layers the main stack has; None for stages of several blocks."""
        stack = self.main.children[HOLE]
        rows = list(stack.below())
        numbers = max((row.numbers[self._hole()] for row in rows), key=len)
        staged = sum(row.path.count(HOLE) - 1 > self._hole() for row in rows) * 2 > len(rows)
        return None if staged and len(numbers) < 6 else len(numbers)

    def own_rows(self, roots: set[Path]) -> list[Row]:
        """Its rows, those of networks deeper in it left out; `roots` are the modules that hold one."""
        found: list[Row] = []
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            found.extend(node.rows)
            waiting.extend(child for child in node.children.values() if child.path not in roots)
        return found

    def _hole(self) -> int:
        return self.main.path.count(HOLE)


@dataclass(frozen=True, slots=True)
class Forest:
    """All rows by path, and the networks among them, outer ones first."""

    top: Node
    networks: tuple[Network, ...]


def read_forest(rows: Iterable[Row]) -> Forest:
    top = Node(())
    for row in rows:
        _place(top, row)
    stacks = list(_stacks(top))
    for stack in stacks:
        for node in (stack, *stack.ancestors()):
            node.stacks += 1
    embeddings = [(node, row) for node in _outside(top) for row in node.rows if _feeds(node, row)]
    for node, _ in embeddings:
        for above in (node, *node.ancestors()):
            above.embeddings += 1
    return Forest(top, tuple(_networks(stacks, embeddings)))


def _place(top: Node, row: Row) -> None:
    node = top
    for index, piece in enumerate(row.path[:-1]):
        found = node.children.get(piece)
        if found is None:
            found = node.children[piece] = Node(row.path[: index + 1], node)
        node = found
    node.rows.append(row)


def _outside(top: Node) -> Iterator[Node]:
    """Every node that is not inside a numbered list."""
    waiting = [top]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(child for piece, child in reversed(node.children.items()) if piece != HOLE)


def _stacks(top: Node) -> Iterator[Node]:
    """Nodes whose numbered items are modules of several modules; a chain of plain layers is no stack."""
    for node in _outside(top):
        item = node.children.get(HOLE)
        if item is not None and len({row.module for row in item.below()}) > 1:
            yield node


def _feeds(node: Node, row: Row) -> bool:
    if is_patch_embedding(row) or is_token_embedding(row):
        return True
    return _is_first_convolution(node, row)


def _is_first_convolution(node: Node, row: Row) -> bool:
    """`conv1` of OpenCLIP; an audio encoder has a `conv2` beside it."""
    beside = node.parent.children if node.parent is not None else {}
    named = row.parameter == "weight" and node.path[-1:] == ("conv1",) and "conv2" not in beside
    return named and (row.shape is None or (len(row.shape) == 4 and row.shape[1] == 3))


def _networks(stacks: list[Node], embeddings: list[tuple[Node, Row]]) -> Iterator[Network]:
    """Stacks and embeddings that meet in the same module are one network; a stack alone is one by itself."""
    fed: dict[Path, list[tuple[Node, Row]]] = {}
    for node, row in embeddings:
        root = next((above for above in node.ancestors() if above.stacks), None)
        if root is not None:
            fed.setdefault(root.path, []).append((node, row))
    held: dict[Path, list[Node]] = {}
    roots: dict[Path, Node] = {}
    alone: list[Node] = []
    for stack in stacks:
        found = next((above for above in stack.ancestors() if above.embeddings), None)
        if found is None or found.path not in fed:
            alone.append(stack)
            continue
        roots[found.path] = found
        held.setdefault(found.path, []).append(stack)
    for path, members in held.items():
        near = [stack for stack in members if stack.parent is roots[path]]
        alone.extend(stack for stack in members if near and stack not in near)
        yield _network(roots[path], near or members, [row for _, row in fed[path]])
    yield from _unfed(alone)


def _network(root: Node, layers: list[Node], embeddings: list[Row]) -> Network:
    ordered = sorted(layers, key=lambda stack: (-sum(row.count for row in stack.below()), stack.path))
    tokens = [row for row in embeddings if is_token_embedding(row)]
    return Network(root, ordered, [row for row in embeddings if row not in tokens], tokens)


def _unfed(stacks: list[Node]) -> Iterator[Network]:
    """Networks without an embedding: rooted in the outermost module that holds no other network."""
    grouped: dict[Path, tuple[Node, list[Node]]] = {}
    for stack in stacks:
        root = stack
        for above in stack.ancestors():
            if above.parent is None or above.embeddings or above.stacks > root.stacks:
                break
            root = above
        grouped.setdefault(root.path, (root, []))[1].append(stack)
    for root, members in grouped.values():
        yield _network(root, members, [])
