"""Model and config files of the example and of several variants, before and after as files under tests/golden."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from porter.families import FAMILIES
from porter.planning import config_file, model_file
from porter.planning.draft import draft_rules
from porter.planning.render import render_python
from tests.families.repos import EXAMPLE, needs_vllm, read, read_variant, tree

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
    reading = read(EXAMPLE) if name == EXAMPLE.name else read_variant(name, folder)
    family = FAMILIES["internvl"]
    spec = family.spec(family.match(reading, tree()), reading, tree(), rules=draft_rules(reading))
    return {
        "modeling.py": render_python("model.py.j2", **model_file.context(spec, relative=False, own_config=True)),
        "configuration.py": render_python("configuration.py.j2", **config_file.context(spec)),
    }


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
