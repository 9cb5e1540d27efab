"""Model and config files of the example and of several variants, before and after as files under tests/golden."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from porter.facts import RepoReading
from porter.families import FAMILIES
from tests.families.repos import EXAMPLE, needs_vllm, read, read_variant, tree
from tests.llava import REPOS, write_repo

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "ports"
NAMES = (
    "skylark-vl",
    "osprey-prefixed",
    "siskin-siglip",
    "curlew-clip",
    "plover-image-token",
    "lapwing-deep",
    "knot-single",
    "snipe-internlm-tied",
    "godwit-one-linear",
    "heron-chat",
    "dabchick-normed",
    "whimbrel-full",
    "smew-subclass",
    "scoter-anyres",
    "pintail-normed-anyres",
)
VLLM_STYLE = """line-length = 88
[lint]
select = ["E", "F", "UP", "B", "ISC", "SIM", "I", "G"]
ignore = ["B905", "B007", "UP032"]
[lint.isort]
known-first-party = ["vllm"]
"""
pytestmark = [needs_vllm, pytest.mark.golden]


def rendered(name: str, folder: Path) -> dict[str, str]:
    family = FAMILIES[REPOS[name].family if name in REPOS else "internvl"]
    reading = reading_of(name, folder)
    match = family.match(reading, tree())
    spec = family.spec(match, reading, tree(), rules=family.draft_rules(match, reading))
    return {
        "modeling.py": family.model_file(spec, relative=False, own_config=True),
        "configuration.py": family.config_file(spec),
    }


def reading_of(name: str, folder: Path) -> RepoReading:
    if name in REPOS:
        return read(write_repo(REPOS[name], folder))
    return read(EXAMPLE) if name == EXAMPLE.name else read_variant(name, folder)


@pytest.mark.parametrize("name", NAMES)
def test_ports_are_as_reviewed(name: str, tmp_path: Path) -> None:
    found = rendered(name, tmp_path)
    if os.environ.get("PORTER_GOLDEN") == "write":
        (GOLDEN / name).mkdir(parents=True, exist_ok=True)
        for file, text in found.items():
            (GOLDEN / name / file).write_text(text)
    assert found == {file: (GOLDEN / name / file).read_text() for file in found}


def test_ports_are_clean_in_vllms_style(tmp_path: Path) -> None:
    config = tmp_path / "ruff.toml"
    config.write_text(VLLM_STYLE)
    shutil.copytree(GOLDEN, tmp_path / "ports")
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--config", str(config), "--no-cache", str(tmp_path / "ports")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_port_is_short(name: str) -> None:
    assert len((GOLDEN / name / "modeling.py").read_text().splitlines()) <= 160
