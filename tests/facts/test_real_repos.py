"""Data files of real repos (code and weights left out): nothing crashes, nothing certain lacks evidence.

What the facts must say stands in `test_truth.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from porter.facts import Confidence, RepoReading
from tests.facts.compare import read

ROOT = Path(__file__).resolve().parents[3] / "shared" / "hf_repos"
FOLDERS = sorted(path for path in ROOT.iterdir() if (path / "config.json").is_file()) if ROOT.is_dir() else []
pytestmark = pytest.mark.skipif(not FOLDERS, reason="needs ../shared/hf_repos")


@pytest.fixture(scope="module", autouse=True)
def _empty_cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Code of other repos is looked for in the Hub cache: an empty one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        yield


def reading_of(name: str) -> RepoReading:
    return read(ROOT / name)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_every_repo_is_read(folder: Path) -> None:
    reading = read(folder)
    json.dumps(reading.facts.to_json())
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert reading.facts.value("architecture") == config["architectures"][0]
    for fact in reading.facts.values():
        assert fact.confidence is not Confidence.CERTAIN or fact.evidence, fact.name


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_absent_code_is_named(folder: Path) -> None:
    reading = read(folder)
    entries = [entry for entry in reading.snapshot.auto_map if not entry.found]
    note = reading.facts["auto_map"].note
    assert all(entry.file in note for entry in entries)
    if any(entry.owner == "config.json" and entry.key.startswith("AutoModel") for entry in entries):
        assert any("which is not in the repo" in problem for problem in reading.problems)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_without_code_no_computation_is_certain(folder: Path) -> None:
    facts = read(folder).facts
    for fact in ("connector", "feature_path", "tokens_per_tile"):
        assert facts[fact].confidence is not Confidence.CERTAIN


def test_code_of_another_repo_is_named() -> None:
    assert (
        "moonshotai/MoonViT-SO-400M" in reading_of("oguzaybilir__LocateAnything-3B-FineTuning").facts["auto_map"].note
    )


def test_a_flag_that_is_off_beats_the_ratio() -> None:
    """Eagle2.5 in GR00T states downsample_ratio 0.5 beside use_pixel_shuffle false."""
    fact = reading_of("dengpingsong__gr00t").facts["downsample_ratio"]
    assert fact.value == 1.0
    assert "use_pixel_shuffle" in fact.note


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_evidence_points_into_the_repo(folder: Path) -> None:
    """Every file that is named is there, and every path in a JSON file leads to a value."""
    indices = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.index.json")]
    shards = {shard for index in indices for shard in index["weight_map"].values()}
    for fact in read(folder).facts.values():
        for shown in fact.evidence if fact.confidence in (Confidence.CERTAIN, Confidence.LIKELY) else ():
            path = folder / shown.file
            assert path.is_file() or shown.file in shards, (fact.name, shown)
            if path.suffix == ".json" and not path.name.endswith(".index.json"):
                assert leads(json.loads(path.read_text(encoding="utf-8")), shown.where), (fact.name, shown)


def leads(value: object, where: str) -> bool:
    """Whether a path such as `added_tokens_decoder.5`, `architectures[0]` or `a key.with.dots` leads to a value."""
    where = where.lstrip(".")
    if not where or where.startswith(("(", "line ")):
        return True
    if isinstance(value, list):
        index, _, rest = where.removeprefix("[").partition("]")
        return index.isdigit() and int(index) < len(value) and leads(value[int(index)], rest)
    if not isinstance(value, dict):
        return False
    keys = [key for key in value if where == key or where.startswith((f"{key}.", f"{key}["))]
    return any(leads(value[key], where[len(key) :]) for key in keys)
