"""The rungs `build` and `weights`: the class at full size on the meta device, and the join of check-weights."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from porter.errors import HubError, RepoError, WorkerError
from porter.hub import snapshot_of
from porter.hub.snapshot import Snapshot
from porter.process import WorkerSettings
from porter.smoke.engine import advised
from porter.smoke.report import Rung
from porter.smoke.rungs import WEIGHTS_RUNGS, without_trust
from porter.smoke.subject import SmokeOptions, Subject
from porter.weights.check import Against, check_weights, targets_for
from porter.weights.report import in_a_line

BY_CODE = "the repo's weights were not seen, these are what its own code saves"
NOT_SEEN = "weights layout not seen: the repo has no header and no index"


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint that the repo's own code saved: the folder of its model, and the file."""

    model: Path
    weights: Path


def weights_rungs(
    subject: Subject, settings: WorkerSettings, options: SmokeOptions, wanted: Collection[str], saved: Saved | None
) -> tuple[Rung, ...]:
    """Those of `wanted`. One worker builds the class and joins it with the checkpoint.

    Where nobody has seen the repo's weights, what its own code saves at tiny size stands in for them.
    """
    asked = [name for name in WEIGHTS_RUNGS if name in wanted]
    if not asked:
        return ()
    start = time.monotonic()
    try:
        made = _judged(subject, settings, options, saved)
    except WorkerError as error:
        made = (Rung("build", "failed", error.message), Rung("weights", "skipped", "needs build"))
    first, *others = (advised(without_trust(rung) if subject.untold(options) else rung) for rung in made)
    timed = (Rung(first.name, first.status, first.detail, time.monotonic() - start), *others)
    return tuple(rung for rung in timed if rung.name in asked)


def _judged(
    subject: Subject, settings: WorkerSettings, options: SmokeOptions, saved: Saved | None
) -> tuple[Rung, Rung]:
    snapshot, against = subject.reading.snapshot, Against(subject.plugin, subject.ported, trust=options.trust)
    settings = replace(settings, path=(*subject.path, *settings.path))
    unseen = not snapshot.tensors.tensors and not snapshot.tensors.problems
    if unseen and saved is None:
        places = len(targets_for(snapshot, settings, against))
        return Rung("build", "passed", f"{places} parameters, at full size"), Rung("weights", "skipped", NOT_SEEN)
    size, whose = ("at tiny size", f"; {BY_CODE}") if unseen else ("at full size", "")
    try:
        seen = _twin(saved, settings.scratch / "saved") if unseen and saved else snapshot
        report = check_weights(seen, settings, against)
    except (RepoError, HubError) as error:
        return Rung("build", "skipped", "needs readable headers"), Rung("weights", "failed", error.message)
    built = Rung("build", "passed", f"{report.totals.parameters} parameters, {size}")
    return built, Rung("weights", "passed" if report.ok else "failed", f"{in_a_line(report)}{whose}")


def _twin(saved: Saved, folder: Path) -> Snapshot:
    """The tiny model and its weights as one repo."""
    try:
        shutil.copytree(saved.model, folder)
        os.link(saved.weights, folder / "model.safetensors")
    except OSError as error:
        raise RepoError(f"what the repo's code saved cannot be read: {error.strerror}") from error
    return snapshot_of(str(folder), revision=None, offline=True)
