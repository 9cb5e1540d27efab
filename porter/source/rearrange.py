"""`einops.rearrange` and `torch.einsum` of one operand on symbolic features."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from porter.source.tensors import Features, ShapeError, permute, reshape
from porter.source.values import Src, Val, plain

if TYPE_CHECKING:
    from porter.source.interpreter import Frame, Interpreter

Group = tuple[str, ...]


def parse_side(text: str) -> list[Group]:
    """`b (h k) c` → [("b",), ("h", "k"), ("c",)].

    Raises: ShapeError for an unbalanced pattern.
    """
    groups: list[Group] = []
    inside: list[str] | None = None
    for token in text.replace("(", " ( ").replace(")", " ) ").split():
        if token == "(":
            if inside is not None:
                raise ShapeError(text)
            inside = []
        elif token == ")":
            if inside is None:
                raise ShapeError(text)
            groups.append(tuple(inside))
            inside = None
        elif inside is not None:
            inside.append(token)
        else:
            groups.append((token,))
    if inside is not None:
        raise ShapeError(text)
    return groups


def sizes_of(left: list[Group], shape: tuple[int, ...], given: dict[str, int]) -> dict[str, int]:
    """The size of each name, one unknown per group at most.

    Raises: ShapeError when the sizes do not fit.
    """
    sizes = dict(given)
    for group, total in zip(left, shape, strict=False):
        known = prod(sizes[name] for name in group if name in sizes)
        missing = [name for name in group if name not in sizes]
        if len(missing) > 1 or not known or total % known:
            raise ShapeError("sizes do not fit the pattern")
        if missing:
            sizes[missing[0]] = total // known
        elif known != total:
            raise ShapeError("sizes do not fit the pattern")
    return sizes


def rearranged(tensor: Features, pattern: str, given: dict[str, int]) -> Features:
    """Apply one pattern.

    Raises: ShapeError when the pattern does not fit.
    """
    before, arrow, after = pattern.partition("->")
    left, right = parse_side(before), parse_side(after)
    names = [name for group in left for name in group]
    wanted = [name for group in right for name in group]
    if not arrow or len(left) != len(tensor.axes) or sorted(names) != sorted(wanted):
        raise ShapeError(pattern)
    sizes = sizes_of(left, tensor.shape, given)
    split = reshape(tensor, [sizes[name] for name in names])
    moved = permute(split, [names.index(name) for name in wanted])
    return reshape(moved, [prod(sizes[name] for name in group) for group in right])


def rearrange(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    subject = args[0].value if args else None
    pattern = plain(args[1]) if len(args) > 1 else plain(kwargs.get("pattern"))
    given = {name: plain(value) for name, value in kwargs.items() if isinstance(plain(value), int)}
    if not isinstance(subject, Features) or not isinstance(pattern, str):
        return args[0] if args else None
    try:
        return Val(rearranged(subject, pattern, given), args[0].src)
    except ShapeError:
        return None


def einsum(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    """`torch.einsum` of one tensor that only reorders its axes; None for sums and products."""
    equation = plain(args[0]) if args else None
    subject = args[1].value if len(args) == 2 else None
    if not isinstance(subject, Features) or not isinstance(equation, str):
        return None
    before, arrow, after = equation.replace(" ", "").partition("->")
    if not arrow or not before.isalpha() or len(set(before)) != len(before):
        return None
    try:
        return Val(rearranged(subject, f"{' '.join(before)} -> {' '.join(after)}", {}), args[1].src)
    except ShapeError:
        return None
