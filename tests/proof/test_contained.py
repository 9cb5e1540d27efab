"""Code of a repo that misbehaves: contained in the child, one line about it, and porter's own answer is untouched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from porter.facts import infer
from porter.hub import snapshot_of
from porter.process import WorkerSettings
from porter.smoke.ladder import Reference, _Run
from porter.smoke.subject import SmokeOptions, Subject
from tests.variants import variants

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("transformers") is None, reason="this interpreter has no transformers"),
]
ROOT = Path(__file__).parents[2]
VARIANT = variants()[0]
MODELING = f"modeling_{VARIANT.recipe.names.stem}.py"
HEAD = f"class {VARIANT.recipe.names.architecture}("
FORWARD = "        input_embeds = "
INIT = "        super().__init__(config)\n"


def misbehaving(folder: Path, *, at_import: str = "", in_init: str = "", in_forward: str = "") -> Path:
    """The smallest variant, with lines of ours in its model file."""
    VARIANT.build(folder)
    path = folder / MODELING
    before, head, after = path.read_text(encoding="utf-8").partition(HEAD)
    assert INIT in after and FORWARD in after
    start, init, rest = after.partition(INIT)
    forward = "        self.misbehave()\n" if in_forward else ""
    rest = rest.replace(FORWARD, forward + FORWARD, 1)
    lines = [f"        {line}\n" for line in in_init.splitlines()]
    method = "".join(f"        {line}\n" for line in (in_forward or "pass").splitlines())
    start = start.replace(":\n", f":\n    def misbehave(self):\n{method}\n", 1)
    path.write_text(f"{at_import}\n{before}{head}{start}{init}{''.join(lines)}{rest}", encoding="utf-8")
    return folder


def reference(repo: Path, room: Path, timeout: float = 120.0) -> Reference:
    """What porter's reference worker makes of a repo; no vLLM."""
    reading = infer(snapshot_of(str(repo), revision=None, offline=True))
    settings = WorkerSettings(sys.executable, room / "scratch", room / "worker.log", timeout)
    return _Run(Subject(reading), settings, SmokeOptions(trust=True)).reference()


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """Lines of code, where they stand, and what porter says."""

    place: str
    code: str
    said: str
    timeout: float = 120.0


FATAL: Mapping[str, Misbehaviour] = {
    "exits": Misbehaviour("at_import", "import sys; sys.exit(3)", "gave no answer (exit code 3)"),
    "ends at once": Misbehaviour("in_init", "import os; print('bye'); os._exit(0)", "gave no answer (exit code 0)"),
    "kills itself": Misbehaviour("in_init", "import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
    "never ends": Misbehaviour(
        "at_import",
        "import signal, sys\nfor number in (1, 2, 15):\n    signal.signal(number, signal.SIG_IGN)\n"
        "while True:\n    open(sys.argv[3], 'a').write('{}\\n')",
        "timed out after 20s",
        20.0,
    ),
    "allocates 100 GB": Misbehaviour("in_forward", "self.hoard = bytearray(100 << 30)", "MemoryError"),
    "recurses": Misbehaviour("in_init", "f = lambda: f()\nf()", "RecursionError"),
    "raises past Exception": Misbehaviour(
        "in_init", "raise type('Hostile', (BaseException,), {})('\\x1b[31mred')", "Hostile: ?[31mred"
    ),
    "writes an answer of its own": Misbehaviour(
        "in_init",
        'import os, sys\nopen(sys.argv[2], \'w\').write(\'{"answer": {"sets": [{"name": 1}]}}\')\nos._exit(0)',
        "gave an answer without the sets of weights",
    ),
    "breaks json": Misbehaviour("in_init", "import json; json.dumps = None", "'NoneType' object is not callable"),
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reference]:
    def run(name: str) -> Reference:
        found = FATAL[name]
        repo = misbehaving(room / name / "repo", **{found.place: found.code})
        return reference(repo, room / name, found.timeout)

    room = tmp_path_factory.mktemp("ends")
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(FATAL, pool.map(run, FATAL), strict=True))


@pytest.mark.parametrize("name", FATAL)
def test_no_answer_is_one_line_and_unproven(name: str, ended: dict[str, Reference]) -> None:
    found = ended[name]
    assert found.status == "unproven" and found.answer is None
    assert found.why.startswith("the reference could not run: reference: ")
    assert FATAL[name].said in found.why
    assert found.why.isprintable() and len(found.why) < 500


TRIES = """
import no_such_package_here
import json, os, signal, socket, subprocess, sys, time

@no_such_package_here.register("model")
def decorated():
    return 1

def attempt(what):
    try:
        return what()
    except BaseException as error:
        return type(error).__name__

def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)

found = {
    "connects": attempt(lambda: socket.create_connection(("192.0.2.1", 80), 5) and "connected"),
    "writes": attempt(lambda: open(OUTSIDE, "w").write("x") and "written"),
    "model": attempt(lambda: open(os.path.join(MODEL, "config.json"), "a").write(" ") and "written"),
    "secret": attempt(lambda: open(SECRET).read()),
    "environment": sorted(name for name in os.environ if "TOKEN" in name),
    "porter": attempt(lambda: open(f"/proc/{PORTER}/environ").read() and "read"),
    "ends": attempt(lambda: os.kill(PORTER, 0) or "reached"),
    "home": os.path.expanduser("~"),
}
with open("found.json", "w") as stream:
    json.dump(found, stream)
print('{"schema": 1, "ok": true}')
os.write(1, b'{"schema": 1, "ok": true}')
attempt(daemon)
os.chdir("/")
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.closerange(3, 64)
"""


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> tuple[Reference, dict[str, Any], Path]:
    """A repo that tries what it should not, and goes on; the home of the user has a key in it."""
    room = tmp_path_factory.mktemp("tries")
    home = room / "user"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id").write_text("a key", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("HF_TOKEN", "secret-value")
        names = {"OUTSIDE": str(room / "outside"), "SECRET": str(home / ".ssh" / "id"), "PORTER": os.getpid()}
        names["MODEL"] = str(room / "scratch" / "tiny" / "model")
        code = "\n".join(f"{name} = {value!r}" for name, value in names.items()) + TRIES
        answer = reference(misbehaving(room / "repo", at_import=code), room)
    (found,) = (room / "scratch" / "runs").glob("reference-*/found.json")
    return answer, json.loads(found.read_text(encoding="utf-8")), room


def test_code_that_goes_on_is_still_the_reference(tried: tuple[Reference, dict[str, Any], Path]) -> None:
    answer, found, room = tried
    assert answer.status == "passed", answer.why
    assert answer.answer is not None
    assert "stand-in for the missing package no_such_package_here" in answer.answer["shims"]
    assert found["environment"] == []
    assert Path(found["home"]).is_relative_to(room / "scratch")


@pytest.mark.parametrize(
    ("part", "outcomes"),
    [
        ("network", {"connects": {"OSError"}}),
        ("files", {"writes": {"OSError"}, "model": {"OSError"}, "secret": {"FileNotFoundError"}}),
        ("processes", {"ends": {"ProcessLookupError"}, "porter": {"FileNotFoundError"}}),
    ],
)
def test_what_is_said_to_be_contained_is(
    part: str, outcomes: Mapping[str, set[str]], tried: tuple[Reference, dict[str, Any], Path]
) -> None:
    answer, found, room = tried
    assert answer.answer is not None
    contained = answer.answer["contained"]
    assert isinstance(contained, dict)
    if str(contained[part]).startswith("not contained"):
        pytest.skip(f"{part}: {contained[part]}")
    assert {name: found[name] for name in outcomes} == {name: next(iter(kinds)) for name, kinds in outcomes.items()}
    assert not (room / "outside").exists()


def test_no_process_stays(tried: tuple[Reference, dict[str, Any], Path]) -> None:
    scratch = str(tried[2] / "scratch").encode()
    for _ in range(100):
        left = [path for path in Path("/proc").glob("[0-9]*/environ") if scratch in environment(path)]
        if not left:
            break
        time.sleep(0.05)
    assert not left


def environment(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.skipif(find_spec("vllm") is None, reason="this interpreter has no vLLM")
def test_the_document_on_stdout_is_porters_own(tmp_path: Path) -> None:
    shout = "import os, sys\nprint('{\"ok\": true}')\nos.write(1, b'{\"ok\": true}')\nos._exit(0)"
    repo = misbehaving(tmp_path / "repo", in_init=shout)
    command = [sys.executable, "-m", "porter", "smoke-test", "--repo", str(repo), "--native", "--trust-remote-code"]
    command += ["--rungs", "parity", "--offline", "--json", "--log", str(tmp_path / "log")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert document["command"] == "smoke-test" and document["ok"] is False
    parity = next(rung for rung in document["rungs"] if rung["name"] == "parity")
    assert parity["status"] == "unproven"
    assert "gave no answer (exit code 0)" in parity["detail"]
