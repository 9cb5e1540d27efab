"""What the model is: `infer(snapshot)` gives a RepoReading with every fact, its evidence and its confidence."""

from __future__ import annotations

from porter.facts.model import Confidence, Evidence, Fact, ModelFacts
from porter.facts.reading import RepoReading, infer

__all__ = ["Confidence", "Evidence", "Fact", "ModelFacts", "RepoReading", "infer"]
