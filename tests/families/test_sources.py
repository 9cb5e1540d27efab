from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from porter.facts.model import Confidence, Evidence, Fact, ModelFacts
from porter.families.internvl.sources import at, resolved
from porter.hub.snapshot import RepoRef, Snapshot
from porter.jsontypes import JSON, JSONObject


@dataclass(frozen=True)
class Given:
    """A reading that answers one fact."""

    fact: Fact
    snapshot: Snapshot
    facts: ModelFacts = field(default_factory=ModelFacts)

    def resolve(self, scope: str, attribute: str) -> Fact:
        return self.fact


def given(config: JSONObject, path: str | None, value: JSON, evidence: tuple[Evidence, ...] = ()) -> Given:
    files = {"config.json": config, "preprocessor_config.json": {"max_tiles": 6}}
    fact = Fact("x", {"path": path, "value": value}, Confidence.CERTAIN, evidence)
    return Given(fact, Snapshot(RepoRef("r", None, True), files))


@pytest.mark.parametrize(
    ("config", "path", "value", "kind"),
    [
        ({"a": {"b": 3}}, "a.b", 3, "config"),
        ({"merge": 2}, "merge", 0.5, "inverse"),
        ({"vit": {"width": 64, "mlp_ratio": 4.0}}, "vit.mlp_ratio", 256, "product"),
        ({"vit": {"width": 64, "depth": 4, "mlp_ratio": 4.0}}, "vit.width", 256, "product"),
        ({"vit": {"width": 64, "depth": 4}}, "vit.width", 256, "constant"),
        ({"flag": True}, "flag", "v2", "constant"),
        ({"flag": True}, "flag", 1, "constant"),
        ({}, None, 7, "constant"),
    ],
)
def test_a_place_is_proved_against_the_json(config: JSONObject, path: str | None, value: JSON, kind: str) -> None:
    source = resolved(given(config, path, value), "model", "x")  # type: ignore[arg-type]
    assert source is not None
    assert (source.kind, source.value) == (kind, value)


def test_a_product_names_the_ratio_and_its_width() -> None:
    source = resolved(given({"vit": {"width": 64, "depth": 4, "mlp_ratio": 4.0}}, "vit.depth", 256), "vision", "x")  # type: ignore[arg-type]
    assert source is not None
    assert (source.path, source.factor) == ("vit.mlp_ratio", "width")


def test_processor_keys_are_read_where_the_evidence_points() -> None:
    evidence = (Evidence("preprocessor_config.json", "max_tiles", "6"),)
    source = resolved(given({}, None, 6, evidence), "model", "x")  # type: ignore[arg-type]
    assert source is not None
    assert (source.kind, source.path) == ("processor", "max_tiles")


def test_silence_is_none() -> None:
    assert resolved(given({}, None, None), "model", "x") is None  # type: ignore[arg-type]


def test_paths_stop_at_what_is_no_object() -> None:
    assert at({"a": [1]}, "a.b") is None
    assert at({"a": {"b": None}}, "a.b") is None
