"""The built wheel works away from the checkout: its templates are inside, its command starts."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, unpacked as an installer would."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("vllm_porter-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, folder: Path, *arguments: str) -> str:
    safe = {"PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment = {**os.environ, "PYTHONPATH": str(installed), **safe}
    result = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return result.stdout


def test_every_template_is_inside(installed: Path) -> None:
    sources = {path.relative_to(ROOT / "templates") for path in (ROOT / "templates").rglob("*.j2")}
    packed = installed / "porter" / "templates"
    assert sources
    assert {path.relative_to(packed) for path in packed.rglob("*.j2")} == sources


def test_the_tables_that_facts_read_are_inside(installed: Path) -> None:
    packed = {path.name for path in (installed / "porter" / "facts" / "data").iterdir()}
    assert packed == {path.name for path in (ROOT / "porter" / "facts" / "data").iterdir()}
    assert packed


def test_templates_are_found_from_another_folder(installed: Path, tmp_path: Path) -> None:
    shown = run(installed, tmp_path, "-c", "from porter.templates import folder; print(folder())")
    assert Path(shown.strip()) == installed / "porter" / "templates"


def test_the_command_starts(installed: Path, tmp_path: Path) -> None:
    assert "inspect" in run(installed, tmp_path, "-m", "porter", "--help")
    points = next(installed.glob("*.dist-info")) / "entry_points.txt"
    assert "porter = porter.cli:main" in points.read_text(encoding="utf-8")


def test_nothing_but_the_package_is_packed(installed: Path) -> None:
    top = {path.name for path in installed.iterdir()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"porter"}
    assert not list(installed.rglob("*.pyc"))
