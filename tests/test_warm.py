"""Jobs as forks of one process: each in its own environment, with its own end."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import porter.process
from porter.errors import WorkerError
from porter.jsontypes import JSONObject
from porter.process import WorkerSettings
from tests.warm import Warm

JOB = """
import json, os, sys, time
from porter_worker.runtime import event

def handle(payload):
    event({"at": payload["do"]})
    if payload["do"] == "crash":
        os.abort()
    if payload["do"] == "sleep":
        time.sleep(60)
    if payload["do"] == "raise":
        raise ValueError("said why")
    sys.modules["json"].mark = getattr(json, "mark", 0) + 1
    print("in its own log")
    found = {name: os.environ.get(name) for name in ("HOME", "MINE")}
    return {"mark": json.mark, "cwd": os.getcwd(), "path": sys.path[0], "parent": os.getppid(), **found}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    room = tmp_path_factory.mktemp("warm")
    package = room / "package"
    shutil.copytree(Path(porter.process.__file__).with_name("workers"), package / "workers")
    (package / "workers" / "probe.py").write_text(textwrap.dedent(JOB), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(porter.process, "__file__", str(package / "process.py"))
        one = Warm(room, together=2, preload=["json"])
        yield one
        assert one.close()["threads"] == 1


def asked(made: Warm, room: Path, do: str, timeout: float = 30.0) -> JSONObject:
    settings = WorkerSettings(
        sys.executable, room, room / "log", timeout, path=(room / "own",), env={"MINE": room.name}
    )
    seen: list[JSONObject] = []
    answer = made.run("probe", {"do": do}, settings=settings, on_event=seen.append)
    assert seen == [{"at": do}]
    return answer


def test_a_fork_lives_in_its_own_folder_and_leaves_nothing_to_the_next(made: Warm, tmp_path: Path) -> None:
    first, second = (asked(made, tmp_path / name, "answer") for name in ("one", "two"))
    assert first["mark"] == second["mark"] == 1
    assert first["parent"] == second["parent"]
    for name, answer in (("one", first), ("two", second)):
        assert answer["MINE"] == name
        assert answer["HOME"] == str(tmp_path / name / "home")
        assert str(answer["cwd"]).startswith(str(tmp_path / name / "runs"))
        assert answer["path"] == str(tmp_path / name / "own")
        assert (tmp_path / name / "log").read_text(encoding="utf-8") == "in its own log\n"


@pytest.mark.parametrize(
    ("do", "words"),
    [("raise", "ValueError: said why"), ("crash", "killed by SIGABRT"), ("sleep", "timed out after 1s")],
)
def test_a_fork_that_fails_says_what_a_worker_would(made: Warm, tmp_path: Path, do: str, words: str) -> None:
    with pytest.raises(WorkerError, match=words):
        asked(made, tmp_path, do, timeout=1.0 if do == "sleep" else 30.0)
    assert asked(made, tmp_path / "after", "answer")["mark"] == 1
