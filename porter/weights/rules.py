"""Matched units to rules: prefixes for what stands before the first layer number, dotted substrings behind it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from porter.weights.mapper import SHARD, NameRules
from porter.weights.match import Pair
from porter.weights.ordering import Rule, ordered
from porter.weights.trie import Edit, Move, fewest_edits
from porter.weights.units import Path, Unit

Scope = tuple[Path, ...]
_MODES = ("small", "deep", "regex")
_MAX_RULES = 500
_MAX_ROUNDS = 40


@dataclass
class _State:
    """How each stack of layers is treated, and which prefix edits are out of bounds."""

    modes: dict[Scope, int] = field(default_factory=dict)
    forbidden: frozenset[Path] = frozenset()
    owners: dict[str, set[Scope]] = field(default_factory=dict)

    def escalate(self, scopes: Iterable[Scope]) -> bool:
        """Treats the scopes more narrowly; False when none can be."""
        open_scopes = [scope for scope in scopes if self.modes.get(scope, 0) < len(_MODES) - 1]
        for scope in open_scopes:
            self.modes[scope] = self.modes.get(scope, 0) + 1
        return bool(open_scopes)


def rules_for(pairs: Sequence[Pair], extras: Sequence[Unit]) -> NameRules:
    """The fewest rules under which every pair maps as matched, as far as sequential renames can say it.

    `extras` are source units without a counterpart: no rule may carry one of them onto a target that is taken.
    """
    state = _State()
    rules = NameRules()
    taken = {target_of(source, target) for source, target in pairs}
    for _ in range(_MAX_ROUNDS):
        state.owners = {}
        rules = _with_stacked(_prefixes(pairs, state), _inner(pairs, state))
        wrong = [source for source, target in pairs if rules.apply(source.example) != target_of(source, target)]
        wrong += [unit for unit in extras if rules.apply(unit.example) in taken and unit.example not in taken]
        if not wrong or not _narrow(wrong, state):
            break
    return rules


def _with_stacked(prefix: dict[str, str | None], inner: dict[str, dict[str, str | None]]) -> NameRules:
    """Rules that end in a shard as stacked ones: only those can name the part of a fused parameter.

    A regex that must do so renames to a word of its own first, which the stacked rule then takes.
    """
    stacked: dict[str, str | None] = {}
    for table in (prefix, inner["substr"]):
        stacked |= {old: table.pop(old) for old, new in list(table.items()) if new is not None and SHARD in new}
    for pattern, new in inner["regex"].items():
        if new is not None and SHARD in new:
            part = new.removeprefix(r"\1")
            marked = part.replace(SHARD, "_shard_")
            inner["regex"][pattern] = r"\1" + marked
            stacked[marked] = part
    return NameRules(prefix=prefix, stacked=stacked, **inner)


def target_of(source: Unit, target: Unit) -> str:
    """The target's name for the layer numbers of the source's example."""
    return target.name_in(tuple(_numbers(source)))


def _numbers(unit: Unit) -> Iterator[int]:
    words, position = unit.example.split("."), 0
    for segment in unit.segments[:-1]:
        position += len(segment)
        yield int(words[position])
        position += 1


def _narrow(wrong: Sequence[Unit], state: _State) -> bool:
    """Blames the rules of other scopes that touch these names, else the scopes of the names themselves."""
    blamed: set[Scope] = set()
    for unit in wrong:
        own = set(_scopes(unit))
        touching = [scope for old, scopes in state.owners.items() if _touches(old, unit.example) for scope in scopes]
        foreign = set(touching) - own
        blamed |= foreign or own
    return state.escalate(sorted(blamed))


def _touches(old: str, name: str) -> bool:
    return old in name if old.endswith(".") else name.endswith(old)


def _scopes(unit: Unit) -> list[Scope]:
    return [unit.segments[:index] for index in range(1, len(unit.segments))]


def _prefixes(pairs: Sequence[Pair], state: _State) -> dict[str, str | None]:
    moves = {(source.head, target.head): Move(source.head, target.head, source.is_listed) for source, target in pairs}
    everywhere = _common_insertion(moves)
    if everywhere:
        return {"": everywhere}
    heads = [(_text(source.head, source.is_listed), _text(target.head, source.is_listed)) for source, target in pairs]
    while True:
        edits = fewest_edits(moves.values(), forbidden=state.forbidden)[:_MAX_RULES]
        rules = _claimed([(_text(e.old, not e.whole), _text(e.new, not e.whole), e.old) for e in edits], heads)
        chosen, obstacle = ordered(
            [rule for rule, _ in rules],
            lambda old, name: name.startswith(old),
            lambda old, other: other.startswith(old),
        )
        paths = {rule.old: path for rule, path in rules}
        if obstacle is None or paths[obstacle.old] in state.forbidden:
            return {rule.old: rule.new for rule in chosen}
        state.forbidden |= {paths[obstacle.old]}


def _common_insertion(moves: Mapping[tuple[Path, Path], Move]) -> str:
    """What every single name gains in front (`model.`), when that alone explains all heads; else empty."""
    gains = {
        place[: len(place) - len(path)] if place[len(place) - len(path) :] == path else () for path, place in moves
    }
    return ".".join(next(iter(gains))) + "." if len(gains) == 1 and gains != {()} else ""


def _text(path: Path, open_end: bool) -> str:
    return ".".join(path) + ("." if open_end and path else "")


def _claimed(edits: Sequence[tuple[str, str, Path]], heads: Sequence[tuple[str, str]]) -> list[tuple[Rule, Path]]:
    """Each edit with the heads for which it is the most specific one."""
    claims: dict[str, list[tuple[str, str]]] = {old: [] for old, _, _ in edits}
    for before, after in dict.fromkeys(heads):
        for end in range(len(before), 0, -1):
            if before[:end] in claims:
                claims[before[:end]].append((before, after))
                break
    return [(Rule(old, new, tuple(claims[old])), path) for old, new, path in edits]


def _inner(pairs: Sequence[Pair], state: _State) -> dict[str, dict[str, str | None]]:
    """Rules for the words behind layer numbers, per stack of layers, merged where stacks agree."""
    moves: dict[Scope, dict[tuple[Path, Path], Move]] = {}
    for source, target in pairs:
        for index, scope in enumerate(_scopes(source), 1):
            last = index == len(source.segments) - 1
            move = Move(source.segments[index], target.segments[index], not last)
            moves.setdefault(scope, {})[move.path, move.place] = move
    found: dict[str, dict[str, str | None]] = {"substr": {}, "suffix": {}, "regex": {}}
    for scope, table in moves.items():
        mode = _MODES[state.modes.get(scope, 0)]
        for edit in fewest_edits(table.values(), deep=mode != "small"):
            _place(edit, scope, mode, found, state)
    for name in ("substr", "suffix"):
        found[name] = _in_order(found[name])
    return found


def _place(edit: Edit, scope: Scope, mode: str, found: dict[str, dict[str, str | None]], state: _State) -> None:
    old, new = "." + _text(edit.old, not edit.whole), "." + _text(edit.new, not edit.whole)
    kind = "suffix" if edit.whole else "substr"
    other = found[kind].get(old)
    if mode == "regex" or (other is not None and other != new):
        front = "".join(
            re.escape(_text(path, True)) + r"\d+" + r"\." * (i < len(scope) - 1) for i, path in enumerate(scope)
        )
        pattern = f"^({front}){re.escape(old)}" + "$" * edit.whole
        found["regex"][pattern] = r"\1" + new.replace("\\", r"\\")
    else:
        found[kind][old] = new
        state.owners.setdefault(old, set()).add(scope)


def _in_order(table: Mapping[str, str | None]) -> dict[str, str | None]:
    """Longer texts first, and no rule behind one whose result it would touch again."""
    rules = [Rule(old, str(new), ((old, str(new)),)) for old, new in sorted(table.items(), key=lambda r: -len(r[0]))]
    chosen, obstacle = ordered(rules, _contains, _contains)
    if obstacle is None:
        return {rule.old: rule.new for rule in chosen}
    return {rule.old: rule.new for rule in rules}


def _contains(old: str, name: str) -> bool:
    return old in name
