"""An order in which sequential renames do not undo each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Test = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """`old` becomes `new`; `claims` are the (before, after) names that this rule itself must see."""

    old: str
    new: str
    claims: tuple[tuple[str, str], ...]


def ordered(rules: Sequence[Rule], hits: Test, covers: Test) -> tuple[list[Rule], Rule | None]:
    """The rules in order, or what could be ordered and a rule that stands in the way.

    `hits(old, name)`: a rule applies to a name. `covers(general, special)`: whatever the special one hits, both hit.
    """
    before: dict[int, set[int]] = {index: set() for index in range(len(rules))}
    for i, rule in enumerate(rules):
        for j, other in enumerate(rules):
            if i != j:
                if covers(other.old, rule.old):
                    before[j].add(i)
                if any(hits(other.old, after) for _, after in rule.claims):
                    before[i].add(j)
    order: list[int] = []
    while len(order) < len(rules):
        ready = [i for i in before if i not in order and before[i] <= set(order)]
        if not ready:
            return [rules[i] for i in order], _most_general(rules, before, order)
        order.append(ready[0])
    return [rules[i] for i in order], None


def _most_general(rules: Sequence[Rule], before: Mapping[int, set[int]], order: Sequence[int]) -> Rule:
    stuck = [rules[i] for i in before if i not in order]
    return min(stuck, key=lambda rule: (len(rule.old), rule.old))
