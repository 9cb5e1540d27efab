"""Which releases of transformers have everything that the remote code imports from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.needs_imports import Import
from porter.facts.needs_packages import completeness, no_code
from porter.facts.transformers_symbols import ROOT, SymbolTable, symbol_table
from porter.hub.snapshot import Snapshot

NAME = "transformers_range"
MAX_SHOWN = 3
RANGE_OF = "  (transformers "


@dataclass(frozen=True, slots=True)
class Symbol:
    """An imported name with the releases that have it."""

    item: Import
    mask: int

    @property
    def name(self) -> str:
        return self.item.module if self.item.name is None else f"{self.item.module}.{self.item.name}"

    def shown(self) -> str:
        return f"{self.name} ({self.item.file} line {self.item.line})"


def range_fact(snapshot: Snapshot, imports: Iterable[Import]) -> Fact:
    """A specifier such as `>=4.37,<5.0`, as far as the table of releases goes."""
    if not snapshot.python:
        missing = no_code(NAME, snapshot, None)
        return Fact(NAME, None, missing.confidence, _written_by(snapshot), note=missing.note)
    wanted = [item for item in imports if item.top == ROOT]
    if not wanted:
        return Fact(NAME, None, Confidence.UNKNOWN, _written_by(snapshot), note="the code imports nothing of it")
    return _ranged(snapshot, wanted, symbol_table())


def _ranged(snapshot: Snapshot, wanted: Sequence[Import], table: SymbolTable) -> Fact:
    symbols = _symbols((item for item in wanted if item.place.on_loading), table)
    nowhere = [symbol for symbol in symbols if not symbol.mask]
    common = table.everywhere
    for symbol in symbols:
        common &= symbol.mask
    covered = f"transformers {table.minors[0]} to {table.minors[-1]}"
    if nowhere:
        note = f"exists in no release of {covered}: {', '.join(item.shown() for item in nowhere[:MAX_SHOWN])}"
        return Fact(NAME, None, Confidence.UNKNOWN, tuple(item.item.evidence() for item in nowhere), note=note)
    if not common:
        note = f"no release of {covered} has all of it: {_conflict(symbols, table)}"
        return Fact(NAME, None, Confidence.UNKNOWN, _written_by(snapshot), note=note)
    bounding = _bounding(symbols, common, table)
    evidence = tuple(_evidence(symbol, table) for symbol in bounding) or (wanted[0].evidence(),)
    notes = [
        f"among {covered}, one release each",
        _outside(snapshot, common, bounding, table),
        _when_called(wanted, common, table),
        completeness(snapshot)[1],
    ]
    value, note = specifier(common, table), "; ".join(part for part in notes if part)
    return Fact(NAME, value, Confidence.LIKELY, (*evidence, *_written_by(snapshot)), note=note)


def _symbols(imports: Iterable[Import], table: SymbolTable) -> list[Symbol]:
    found: dict[tuple[str, str | None], Symbol] = {}
    for item in imports:
        key = (item.module, item.name)
        mask = None if key in found else table.mask(item.module, item.name)
        if mask is not None:
            found[key] = Symbol(item, mask)
    return list(found.values())


def specifier(mask: int, table: SymbolTable) -> str:
    """A mask as a version specifier; a gap inside is spelled `!=4.40.*`."""
    inside = [index for index in range(len(table.releases)) if mask >> index & 1]
    parts = [f">={table.minors[inside[0]]}"]
    if inside[-1] + 1 < len(table.releases):
        parts.append(f"<{table.minors[inside[-1] + 1]}")
    gaps = [index for index in range(inside[0], inside[-1]) if not mask >> index & 1]
    return ",".join([*parts, *(f"!={table.minors[index]}.*" for index in gaps)])


def _bounding(symbols: Sequence[Symbol], common: int, table: SymbolTable) -> list[Symbol]:
    """For each release just outside the range, and each gap in it, the first symbols that it lacks."""
    inside = [index for index in range(len(table.releases)) if common >> index & 1]
    gaps = [index for index in range(inside[0], inside[-1]) if not common >> index & 1]
    edges = [index for index in (inside[0] - 1, inside[-1] + 1, *gaps) if 0 <= index < len(table.releases)]
    found: dict[str, Symbol] = {}
    for edge in edges:
        lacking = [symbol for symbol in symbols if not symbol.mask >> edge & 1]
        found.update((symbol.name, symbol) for symbol in lacking[:MAX_SHOWN])
    return list(found.values())


def _evidence(symbol: Symbol, table: SymbolTable) -> Evidence:
    shown = symbol.item.evidence()
    return Evidence(shown.file, shown.where, f"{shown.text}{RANGE_OF}{specifier(symbol.mask, table)})")


def _conflict(symbols: Sequence[Symbol], table: SymbolTable) -> str:
    """The two symbols that exclude each other, or the ones with the fewest releases."""
    for first in symbols:
        other = next((symbol for symbol in symbols if not symbol.mask & first.mask), None)
        if other is not None:
            pair = (first, other)
            return " and ".join(f"{item.shown()} is in {specifier(item.mask, table)}" for item in pair)
    fewest = sorted(symbols, key=lambda symbol: bin(symbol.mask).count("1"))[:MAX_SHOWN]
    return ", ".join(f"{item.shown()} is in {specifier(item.mask, table)}" for item in fewest)


def _when_called(wanted: Sequence[Import], common: int, table: SymbolTable) -> str:
    """What functions import when they run, where a release of the range lacks it."""
    lazy = _symbols((item for item in wanted if item.place.lazy and not item.place.guard), table)
    narrower = [symbol for symbol in lazy if symbol.mask & common != common]
    shown = [
        f"{item.shown()} is in {specifier(item.mask, table) if item.mask else 'no release'}"
        for item in narrower[:MAX_SHOWN]
    ]
    return f"imported when called: {', '.join(shown)}" if shown else ""


def _written_by(snapshot: Snapshot) -> tuple[Evidence, ...]:
    version = snapshot.config().get("transformers_version")
    if not isinstance(version, str) or not version:
        return ()
    return (Evidence("config.json", "transformers_version", version),)


def _outside(snapshot: Snapshot, common: int, bounding: Sequence[Symbol], table: SymbolTable) -> str:
    """A conflict: config.json was written by a release that lacks something the code imports."""
    version = snapshot.config().get("transformers_version")
    index = release_index(version, table) if isinstance(version, str) else None
    if index is None or common >> index & 1:
        return ""
    lacking = next((symbol for symbol in bounding if not symbol.mask >> index & 1), None)
    return f"config.json was written by {version}, which lacks {lacking.shown()}" if lacking else ""


def release_index(version: str, table: SymbolTable) -> int | None:
    """The place in the table of a version's minor release; None outside the table."""
    try:
        release = Version(version).release
    except InvalidVersion:
        return None
    minor = ".".join(str(part) for part in (*release, 0)[:2])
    return table.minors.index(minor) if minor in table.minors else None
