"""Towers that a copy makes known to AutoModel: what `AutoModel.from_config` builds is walked like anything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from porter.families import FAMILIES
from porter.families.verdict import decide
from tests.families.repos import needs_vllm, read, tree
from tests.twins import TWINS, write_repo

pytestmark = needs_vllm
FILE, BUILT = "modeling_robin.py", "RobinVisionModel._from_config("
REGISTERED = "\n\nAutoModel.register(RobinVisionConfig, {cls})\n"
OTHER = """

class OtherTower(RobinVisionModel):
    def forward(self, hidden_states, grid_thw, **kwargs):
        return super().forward(hidden_states * 2, grid_thw, **kwargs)
"""


def registering(folder: Path, added: str, *edits: tuple[str, str]) -> Path:
    """The copy with its tower built by AutoModel, and `added` at the end of its file."""
    write_repo(TWINS["robin-copy"], folder)
    text = (folder / FILE).read_text(encoding="utf-8")
    for old, new in ((BUILT, "AutoModel.from_config("), *edits):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / FILE).write_text(text + added, encoding="utf-8")
    return folder


def verdict(folder: Path) -> tuple[str, list[str]]:
    """The level, and what the original's family says against a port."""
    reading = read(folder)
    return decide(reading, tree()).level, [item.why for item in FAMILIES["qwen3_vl"].match(reading, tree()).blockers]


def test_the_registered_tower_is_the_original_s(tmp_path: Path) -> None:
    assert verdict(registering(tmp_path, REGISTERED.format(cls="RobinVisionModel"))) == ("inherit", [])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self.act_fn(self.linear_fc1(x))", "self.act_fn(self.linear_fc1(x)) * 2"),
        ("self.linear_fc2(self.act_fn(self.linear_fc1(x)))", "self.linear_fc2(self.linear_fc1(x))"),
    ],
)
def test_a_registered_tower_with_another_operator_is_no_copy(tmp_path: Path, old: str, new: str) -> None:
    level, why = verdict(registering(tmp_path, REGISTERED.format(cls="RobinVisionModel"), (old, new)))
    assert level in ("compose", "refuse") and "Qwen3VLVisionPatchMerger" in why[0]


def test_another_class_registered_for_the_config_is_walked(tmp_path: Path) -> None:
    level, _ = verdict(registering(tmp_path, OTHER + REGISTERED.format(cls="OtherTower")))
    assert level in ("compose", "refuse")


def test_what_is_registered_and_met_nowhere_is_a_difference(tmp_path: Path) -> None:
    added = "\n\nclass Lost(nn.Module):\n    pass\n\n\nAutoModelForCausalLM.register(RobinConfig, Lost)\n"
    level, why = verdict(registering(tmp_path, REGISTERED.format(cls="RobinVisionModel") + added))
    assert level in ("compose", "refuse") and any("registers AutoModelForCausalLM" in item for item in why)


def test_a_processor_made_known_at_import_is_a_difference(tmp_path: Path) -> None:
    added = "\n\nAutoImageProcessor.register(RobinConfig, slow_image_processor_class=RobinVisionModel)\n"
    level, why = verdict(registering(tmp_path, REGISTERED.format(cls="RobinVisionModel") + added))
    assert level in ("compose", "refuse") and "AutoImageProcessor" in why[0]
