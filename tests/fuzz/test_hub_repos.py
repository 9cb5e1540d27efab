# ruff: noqa: E501 (hostile values stand on one line each)
"""Hostile repos on a Hub: code maps in circles and chains, names that are paths, listings that lie."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.guard import CANARY
from tests.fuzz.hostile import SPELL
from tests.hub_server import HubServer

ROOT = Path(__file__).resolve().parents[2]
CODE = f"{SPELL}\nclass Model:\n    pass\nclass Config:\n    pass\n"


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


def config(**auto_map: object) -> str:
    return json.dumps({"architectures": ["Model"], "model_type": "m", "auto_map": auto_map})


def inspect(hub: HubServer, folder: Path, repo: str) -> dict[str, Any]:
    """The document of `porter inspect`; nothing else may have happened."""
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith("HF_") and "proxy" not in key.lower()
    }
    home = folder / "home"
    environment = {**clean, **hub.environment(home), "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", str(folder), "inspect", repo, "--json"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert not [path for path in folder.rglob("*") if CANARY in path.name]
    assert {path.name for path in folder.iterdir()} <= {"home"}
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_two_repos_that_name_each_other(hub: HubServer, tmp_path: Path) -> None:
    hub.add("org/a", {"config.json": config(AutoModel="org/b--m.Model", AutoConfig="m.Config"), "m.py": CODE})
    hub.add(
        "org/b",
        {
            "config.json": config(AutoModel="org/a--m.Model"),
            "m.py": "from .n import *\n" + CODE,
            "n.py": "from .m import *\n",
        },
    )
    found = inspect(hub, tmp_path, "org/a")
    assert found["facts"]["auto_map"]["value"]["AutoModel"]["repo"] == "org/b"
    assert len(hub.asked("/api/models/")) <= 4


def test_a_repo_that_names_itself(hub: HubServer, tmp_path: Path) -> None:
    hub.add(
        "org/a", {"config.json": config(AutoModel="org/a--org/a--m.Model", AutoConfig="org/a--m.Config"), "m.py": CODE}
    )
    inspect(hub, tmp_path, "org/a")


def test_many_repos_in_one_map(hub: HubServer, tmp_path: Path) -> None:
    """Each of them costs a question to the Hub; a repo may not cause any number of them."""
    hub.add("org/a", {"config.json": config(**{f"Auto{index}": f"org/r{index}--m.Model" for index in range(300)})})
    inspect(hub, tmp_path, "org/a")
    assert len(hub.asked("/api/models/")) <= 20


NAMES = (
    "../../x", "org/../../etc--m.Model", "../a--m.Model", "org/a--../../m.Model", "org/a--/etc/passwd.Model", "http://127.0.0.1:1/x--m.Model", "org/a@x--m.Model",
    f"{SPELL}.Model", f"m.{SPELL}", f"org/b--{SPELL}", "org/b--m\n.Model", "org/b%2f..--m.Model", "--m.Model", "org/b--", "datasets/org/b--m.Model", "a" * 5000 + "--m.M",
)  # fmt: skip


def test_names_that_are_paths(hub: HubServer, tmp_path: Path) -> None:
    """All of them in one map: none opens a file or a page that is no file of a repo."""
    hub.add(
        "org/a", {"config.json": config(**{f"Auto{index}": name for index, name in enumerate(NAMES)}), "m.py": CODE}
    )
    inspect(hub, tmp_path, "org/a")
    assert all(".." not in request.path and "etc" not in request.path for request in hub.requests)


LISTED = (
    "../evil.py",
    "/etc/evil.py",
    "a/../../evil.py",
    "a\\..\\evil.py",
    "config.json/x",
    "x\0y",
    "\x1b[31m.py",
    ".hidden.py",
    f"{CANARY}\n.py",
)


def test_listings_that_name_files_elsewhere(hub: HubServer, tmp_path: Path) -> None:
    code = "".join(f"from .{name} import x\n" for name in ("evil", "a.b", "hidden"))
    files = dict.fromkeys(LISTED, "x = 1")
    hub.add("org/a", {**files, "config.json": config(AutoModel="m.Model"), "m.py": code + CODE})
    assert inspect(hub, tmp_path, "org/a")["facts"]["auto_map"]["value"]["AutoModel"]["found"] is True
