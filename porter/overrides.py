"""Facts given by a person: `--set FACT=VALUE`, `--facts FILE` and the file that `--save-facts` writes."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from porter.errors import UsageError
from porter.facts.model import Confidence, Evidence, Fact, ModelFacts
from porter.facts.plausible import fault
from porter.facts.reading import RepoReading
from porter.facts.vocabulary import read_vocabulary
from porter.hub.jsonfiles import MAX_DEPTH, is_shallow
from porter.hub.snapshot import Snapshot
from porter.jsontypes import JSON, JSONObject

Kinds = tuple[type, ...]

TEXT: Kinds = (str,)
WHOLE: Kinds = (int,)
FLAG: Kinds = (bool,)
NUMBER: Kinds = (int, float)
ITEMS: Kinds = (list,)
TABLE: Kinds = (dict,)
SIZE: Kinds = (int, list)

KINDS: Mapping[str, Kinds] = {
    "architecture": TEXT,
    "model_type": TEXT,
    "text_config_key": TEXT,
    "vision_config_key": TEXT,
    "config_map": TABLE,
    "image_context_token": TEXT,
    "image_context_token_id": WHOLE,
    "image_start_token": TEXT,
    "image_end_token": TEXT,
    "image_placeholder": TEXT,
    "image_size": SIZE,
    "patch_size": SIZE,
    "tokens_per_tile": WHOLE,
    "downsample_ratio": NUMBER,
    "pixel_shuffle": TEXT,
    "tokens_formula": TEXT,
    "image_separators": ITEMS,
    "native_resolution": FLAG,
    "min_pixels": WHOLE,
    "max_pixels": WHOLE,
    "merge_size": WHOLE,
    "feature_layer": (int, list, str),
    "feature_path": ITEMS,
    "min_tiles": WHOLE,
    "max_tiles": WHOLE,
    "use_thumbnail": FLAG,
    "resize_scheme": TEXT,
    "rescale": FLAG,
    "image_mean": ITEMS,
    "image_std": ITEMS,
    "resample": (int, str),
    "vision_tower": ITEMS,
    "connector": TABLE,
    "language_model": TABLE,
    "weight_prefixes": TABLE,
    "buffers": ITEMS,
    "tied_embeddings": FLAG,
    "quantization": TABLE,
    "attention_backends": ITEMS,
    "modalities": ITEMS,
    "auto_map": TABLE,
    "python_dependencies": ITEMS,
    "transformers_range": TEXT,
    "license": TEXT,
}
SOURCES = 3
NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list", dict: "a table"}


def parse_set(options: Iterable[str]) -> dict[str, JSON]:
    """`FACT=VALUE` each: JSON unless the fact is a text. Raises UsageError for an unknown name or a wrong type."""
    found: dict[str, JSON] = {}
    for option in options:
        name, equals, text = option.partition("=")
        name = name.strip()
        if not equals:
            raise UsageError(f"--set {option} is not FACT=VALUE")
        _known(name, "--set")
        found[name] = _checked(name, _value(name, text), "--set")
    return found


def load_facts(path: Path, inferred: ModelFacts) -> dict[str, JSON]:
    """The facts of a TOML file that differ from the inferred ones as they would be saved, and the guesses that it
    confirms.

    Raises UsageError with the file and line when it cannot be used.
    """
    document = _read_toml(path)
    found: dict[str, JSON] = {}
    for name, value in document.items():
        _known(name, str(path))
        said, before = _plain(name, value, path), inferred[name]
        if not _same(said, _without_nulls(before.value)) or before.confidence is Confidence.GUESS:
            found[name] = _checked(name, _with_nulls(said, before.value), str(path))
    return found


def with_given(facts: ModelFacts, snapshot: Snapshot, given: Mapping[str, JSON], source: str) -> ModelFacts:
    """`facts` with what a person said, and every derived fact that it changes recomputed, unless a person gave that
    one too, now or before."""
    for name, value in given.items():
        before = facts[name]
        said = Evidence(source, name, json.dumps(value, ensure_ascii=False), origin="given")
        sure = Confidence.ABSENT if value is None else Confidence.CERTAIN
        fact = Fact(name, value, sure, (said, *before.evidence), before.about, _contradiction(before, value))
        facts = facts.with_fact(fact)
    for name, sources, derive in DERIVED:
        if not facts[name].given and any(source_name in given for source_name in sources):
            facts = _derived(facts, snapshot, name, sources, derive)
    return facts


def with_recorded(reading: RepoReading, overrides: JSON) -> RepoReading:
    """What a person said when the port was made, as its porter.json keeps it."""
    known = {name: value for name, value in overrides.items() if name in KINDS} if isinstance(overrides, dict) else {}
    return reading.with_facts(with_given(reading.facts, reading.snapshot, known, "porter.json")) if known else reading


def save_facts(facts: ModelFacts, path: Path, repo: str) -> None:
    """Writes an editable file. Raises UsageError when it cannot be written."""
    try:
        path.write_bytes(facts_toml(facts, repo).encode("utf-8", errors="replace"))
    except OSError as error:
        raise UsageError(f"--save-facts {path} cannot be written: {error.strerror}") from error


def facts_toml(facts: ModelFacts, repo: str) -> str:
    """Facts as TOML: each with its confidence and sources as comments, an unknown one as a commented line."""
    import tomli_w

    plain: list[str] = []
    tables: list[str] = []
    for name in KINDS:
        fact = facts[name]
        if name == "config_map" and fact.value is None:
            continue
        value = _without_nulls(fact.value)
        if value is None or not _storable(value):
            plain.append(f"# {name} =    # {_comment(fact)}\n")
            continue
        chunk = tomli_w.dumps({name: value})
        (tables if chunk.startswith("[") else plain).append(f"# {_comment(fact)}\n{chunk}")
    head = f"# Facts of {_one_line(repo)}. Edit, then: porter new-model REPO --facts THIS_FILE\n"
    return "\n".join([head, *plain, *tables])


def _storable(value: JSON) -> bool:
    """False for what a TOML file cannot give back as it was: half of a surrogate pair, a number that is none."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except ValueError:
        return False
    return True


def _known(name: str, where: str) -> None:
    if name in KINDS:
        return
    from difflib import get_close_matches

    near = get_close_matches(name, KINDS, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"{where}: there is no fact called {name!r}{meant}", hint="porter inspect REPO lists all facts")


def _value(name: str, text: str) -> JSON:
    if KINDS[name] == TEXT:
        return text
    try:
        value: JSON = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        if str in KINDS[name]:
            return text
        raise UsageError(f"--set {name}: {text!r} is not JSON ({error})") from error
    return value


def _no_constant(text: str) -> JSON:
    raise ValueError(f"{text} is not a number that JSON has")


def _checked(name: str, value: JSON, where: str) -> JSON:
    kinds = KINDS[name]
    fits = isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)
    if not is_shallow(value):
        raise UsageError(f"{where}: {name} is nested deeper than {MAX_DEPTH} levels")
    wanted = fault(name, value)
    if value is None or (fits and not wanted and not (isinstance(value, float) and not math.isfinite(value))):
        return value
    wanted = wanted or " or ".join(NAMES[kind] for kind in kinds)
    raise UsageError(f"{where}: {name} must be {wanted}, not {json.dumps(value)}")


def _read_toml(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--facts {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--facts {path} is not TOML: {error}", where=str(path)) from error


def _plain(name: str, value: Any, path: Path) -> JSON:
    """TOML also has dates, which no fact is."""
    try:
        result: JSON = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {name} has a value that no fact can have ({error})") from error
    return result


def _contradiction(before: Fact, value: JSON) -> str:
    """What a person's word stands against: the repo, or an earlier word of theirs."""
    if before.confidence in (Confidence.UNKNOWN, Confidence.GUESS) or before.value == value:
        return before.note
    stated = json.dumps(before.value, ensure_ascii=False)
    if before.given:
        return "; ".join(part for part in (f"overrules {before.evidence[0].file}: {stated}", before.note) if part)
    return f"contradicts the repo: {stated} ({before.confidence.value})"


def _comment(fact: Fact) -> str:
    sources = "; ".join(f"{item.file}: {item.where}" for item in fact.evidence[:SOURCES])
    return _one_line("  ".join(part for part in (fact.confidence.value, sources, fact.note) if part))


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _without_nulls(value: JSON) -> JSON:
    """TOML has no null: keys without a value are left out, and come back from the inferred fact."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    return value


def _with_nulls(value: JSON, inferred: JSON) -> JSON:
    """`value` with the nulls that saving left out: under the same keys, and in a list of the same other items."""
    if isinstance(value, dict) and isinstance(inferred, dict):
        nulls: JSONObject = {key: None for key, item in inferred.items() if item is None and key not in value}
        return {**{key: _with_nulls(item, inferred.get(key)) for key, item in value.items()}, **nulls}
    if isinstance(value, list) and isinstance(inferred, list):
        if len(value) != sum(item is not None for item in inferred):
            return value
        items = iter(value)
        return [None if old is None else _with_nulls(next(items), old) for old in inferred]
    return value


def _same(left: JSON, right: JSON) -> bool:
    """Equal, with 1, 1.0 and true kept apart."""
    return left == right and json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


Derive = Callable[[ModelFacts, Snapshot], JSON]


def _derived(facts: ModelFacts, snapshot: Snapshot, name: str, sources: tuple[str, ...], derive: Derive) -> ModelFacts:
    value = derive(facts, snapshot)
    if value is None or value == facts.value(name):
        return facts
    sure = max((facts[source].confidence for source in sources), key=list(Confidence).index)
    text = json.dumps(value, ensure_ascii=False)
    evidence = (Evidence("derived", ", ".join(sources), text, origin="derived"),)
    return facts.with_fact(Fact(name, value, sure, evidence, note=f"recomputed; was {json.dumps(facts.value(name))}"))


def _token_id(facts: ModelFacts, snapshot: Snapshot) -> JSON:
    return read_vocabulary(snapshot).ids.get(str(facts.value("image_context_token")))


def _token(facts: ModelFacts, snapshot: Snapshot) -> JSON:
    index = facts.value("image_context_token_id")
    return read_vocabulary(snapshot).token(index) if isinstance(index, int) else None


def _tokens_per_tile(facts: ModelFacts, snapshot: Snapshot) -> JSON:
    size, patch, ratio = (facts.value(name) for name in ("image_size", "patch_size", "downsample_ratio"))
    sides = size if isinstance(size, list) else [size, size]
    if not isinstance(patch, int) or patch <= 0 or not isinstance(ratio, (int, float)):
        return None
    grids = [side // patch * ratio for side in sides if isinstance(side, int)]
    return int(grids[0] * grids[1]) if len(grids) == 2 else None


def _prefixes(facts: ModelFacts, snapshot: Snapshot) -> JSON:
    towers, connector, language = (facts.value(name) for name in ("vision_tower", "connector", "language_model"))
    parts = {
        "vision_tower": towers[0] if isinstance(towers, list) and towers else None,
        "connector": connector,
        "language_model": language,
    }
    return {name: part.get("prefix") if isinstance(part, dict) else None for name, part in parts.items()}


DERIVED: tuple[tuple[str, tuple[str, ...], Derive], ...] = (
    ("image_context_token_id", ("image_context_token",), _token_id),
    ("image_context_token", ("image_context_token_id",), _token),
    ("tokens_per_tile", ("image_size", "patch_size", "downsample_ratio"), _tokens_per_tile),
    ("weight_prefixes", ("vision_tower", "connector", "language_model"), _prefixes),
)
