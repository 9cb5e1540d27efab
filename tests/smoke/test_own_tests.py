"""vLLM's own tests as rungs: pytest really runs, over a tree whose tests are laid out as vLLM's are."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from porter.commands.new_model import NewModelRequest, new_model
from porter.commands.session import Settings
from porter.facts import infer
from porter.hub import snapshot_of
from porter.jsontypes import JSONObject
from porter.process import WorkerSettings
from porter.smoke.own_tests import KINDS, NEEDS_TRUST, NO_TREE, OwnTests, own_rungs, own_test_rungs, read_example
from porter.smoke.report import Rung
from porter.smoke.rungs import OWN_RUNGS
from porter.smoke.subject import SmokeOptions, Subject
from porter.tiny.materialise import materialise
from porter.tiny.model import tiny_model
from porter.vllm_tree import locate
from porter.vllm_tree.overlay import make_overlay
from tests.smoke.climbing import EXAMPLE, NEEDS_VLLM
from tests.smoke.own_tests import ARCHITECTURE, FILES, LOADS, REGISTRY, REPO, REVISION, TEST_SCHEMA, write_own_tests

LOADING = ("own-schema", "own-init", "own-processing")
INIT, SCHEMA, COMMON = (KINDS[name].file for name in ("own-init", "own-schema", "own-processing"))
PASSING = '    assert model_type(EXAMPLES[model_arch]) == "skylark"\n'


def subject(tmp_path: Path, changed: Mapping[str, str | None] | None = None) -> OwnTests:
    model = tmp_path / "model"
    model.mkdir()
    # A new folder, never a real overlay: that is made of links into the installation.
    package = tmp_path / "stand-in" / "vllm"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("OVERLAY = True\n")
    (model / "config.json").write_text(json.dumps({"model_type": "skylark"}))
    return OwnTests(ARCHITECTURE, write_own_tests(tmp_path / "tree", changed), model)


def settings(tmp_path: Path) -> WorkerSettings:
    return WorkerSettings(sys.executable, tmp_path / "scratch", tmp_path / "log", path=(tmp_path / "stand-in",))


def climb(asked: OwnTests, tmp_path: Path, *names: str) -> dict[str, Rung]:
    rungs = own_test_rungs(asked, settings(tmp_path), names or tuple(KINDS))
    assert [rung.name for rung in rungs] == [name for name in KINDS if name in (names or KINDS)]
    return {rung.name: rung for rung in rungs}


def init_test(body: str) -> dict[str, str]:
    """The init test with another body; it runs in a fork that leads a group of its own."""
    assert PASSING in FILES[INIT]
    return {INIT: FILES[INIT].replace(PASSING, body).replace("import pytest", "import os, time, pytest")}


def listing(root: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in root.rglob("*")}


def test_the_ladder_knows_these_rungs() -> None:
    assert tuple(OWN_RUNGS) == tuple(KINDS)


def test_tests_of_the_architecture_run_as_they_are(tmp_path: Path) -> None:
    asked = subject(tmp_path)
    events: list[JSONObject] = []
    before = listing(tmp_path / "tree")
    rungs = own_test_rungs(asked, settings(tmp_path), on_event=events.append)
    assert {rung.name: (rung.status, rung.detail) for rung in rungs} == {
        "own-registry": ("passed", "2 passed (test_imports, test_hf_registry_coverage)"),
        "own-schema": ("passed", "1 passed (test_schema)"),
        "own-init": ("passed", "1 passed (test_can_initialize)"),
        "own-processing": ("passed", "2 passed (test_processing)"),
    }
    assert listing(tmp_path / "tree") == before, "something was written into the tree"
    assert [event["rung"] for event in events if event.get("event") == "start"] == list(KINDS)
    assert rungs[0].seconds > 0, "starting pytest is the first rung's time"


def test_the_ladder_says_where_the_tree_is(tmp_path: Path) -> None:
    asked = subject(tmp_path)
    port = Subject(infer(snapshot_of(str(EXAMPLE), revision=None, offline=True)))
    names = ["config", "own-registry"]
    rungs = own_rungs(port, settings(tmp_path), SmokeOptions(), asked.model, names)
    assert [(rung.name, rung.status, rung.detail) for rung in rungs] == [("own-registry", "skipped", NO_TREE)]
    rungs = own_rungs(replace(port, root=asked.root), settings(tmp_path), SmokeOptions(), asked.model, names)
    assert [(rung.name, rung.status) for rung in rungs] == [("own-registry", "passed")]


def test_a_wrong_entry_fails_the_registry_test_with_its_assertion(tmp_path: Path) -> None:
    wrong = REGISTRY.replace(f'"{ARCHITECTURE}"', f'"{ARCHITECTURE}X"')
    rungs = climb(subject(tmp_path, {"models/registry.py": wrong}), tmp_path)
    assert rungs["own-registry"].status == "failed"
    assert f"AssertionError: no example of {ARCHITECTURE}" in rungs["own-registry"].detail
    assert "(test_registry.py:10)" in rungs["own-registry"].detail and "(and 1 more)" in rungs["own-registry"].detail
    for name in LOADING:
        assert rungs[name].status == "skipped"
        assert rungs[name].detail == f"tests/models/registry.py has no entry for {ARCHITECTURE}"


def test_the_model_folder_stands_in_at_the_revision_of_the_entry(tmp_path: Path) -> None:
    pinned = REGISTRY.replace(f'Example("{REPO}")', f'Example("{REPO}", revision="{REVISION}")')
    asked = subject(tmp_path, {"models/registry.py": pinned})
    assert {rung.status for rung in climb(asked, tmp_path, *LOADING).values()} == {"passed"}
    (asked.model / "config.json").write_text(json.dumps({"model_type": "another"}))
    failed = climb(asked, tmp_path, "own-schema")["own-schema"]
    assert failed.status == "failed" and "'another' == 'skylark'" in failed.detail


def test_a_skip_is_no_pass_not_even_in_a_fork(tmp_path: Path) -> None:
    changed = init_test("    pytest.skip('needs a GPU')\n")
    changed[COMMON] = FILES[COMMON].replace("assert", "hit_rate < 1 or pytest.skip('too long')\n    assert")
    changed[SCHEMA] = TEST_SCHEMA.replace("def test_schema", "@pytest.mark.skip(reason='not today')\ndef test_schema")
    rungs = climb(subject(tmp_path, changed), tmp_path, *LOADING)
    assert (rungs["own-init"].status, rungs["own-init"].detail) == ("skipped", "1 skipped: needs a GPU")
    assert (rungs["own-schema"].status, rungs["own-schema"].detail) == ("skipped", "1 skipped: not today")
    assert rungs["own-processing"].status == "passed"
    assert rungs["own-processing"].detail == "1 passed (test_processing), 1 skipped: too long"


def test_a_list_without_the_model_is_a_skip(tmp_path: Path) -> None:
    fixed = FILES[COMMON].replace("[info.default for info in EXAMPLES.values()]", "['org/other']")
    rung = climb(subject(tmp_path, {COMMON: fixed}), tmp_path, "own-processing")["own-processing"]
    assert (rung.status, rung.detail) == ("skipped", f"pytest found no test for {REPO} in {COMMON}")


def test_a_missing_module_is_named(tmp_path: Path) -> None:
    changed = {"conftest.py": f"import no_such_plugin\n{FILES['conftest.py']}", "loads.py": f"import no_hub\n{LOADS}"}
    rungs = climb(subject(tmp_path, changed), tmp_path)
    for name in ("own-schema", "own-init"):
        assert rungs[name].status == "skipped"
        assert rungs[name].detail == "vLLM's test imports no_hub, which this interpreter lacks"
    for name in ("own-registry", "own-processing"):
        assert rungs[name].status == "passed"
        assert rungs[name].detail.endswith("; without the tree's conftest.py, which imports no_such_plugin")


def test_a_file_that_does_not_load_fails_its_rung_alone(tmp_path: Path) -> None:
    rungs = climb(subject(tmp_path, {SCHEMA: f"{TEST_SCHEMA}\nINFOS['nobody']\n"}), tmp_path)
    why = "KeyError: 'nobody' (test_tensor_schema.py:16)"
    assert rungs.pop("own-schema").detail == f"pytest cannot collect {SCHEMA}: {why}"
    assert {rung.status for rung in rungs.values()} == {"passed"}


def test_a_crash_costs_the_rung_it_happens_in(tmp_path: Path) -> None:
    changed = {SCHEMA: TEST_SCHEMA.replace("assert os", "os._exit(9)\n    assert os")}
    rungs = climb(subject(tmp_path, changed), tmp_path)
    assert rungs.pop("own-schema").status == "error"
    assert {rung.status for rung in rungs.values()} == {"passed"}


def test_the_end_of_the_worker_is_the_end_of_a_forked_test(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    endless = f"    open({str(pid_file)!r}, 'w').write(str(os.getpid()))\n    time.sleep(600)\n"
    asked = subject(tmp_path, init_test(endless))

    def interrupt(event: JSONObject) -> None:
        if event.get("stage") and until(lambda: pid_file.exists() and bool(pid_file.read_text())):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        own_test_rungs(asked, settings(tmp_path), ["own-init"], interrupt)
    pid = int(pid_file.read_text())
    assert until(lambda: not running(pid))


def until(holds: Callable[[], bool]) -> bool:
    for _ in range(500):
        if holds():
            return True
        time.sleep(0.02)
    return False


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def test_what_cannot_run_says_why(tmp_path: Path) -> None:
    asked = subject(tmp_path, {SCHEMA: None, INIT: "def test_other(): ...\n"})
    rungs = climb(asked, tmp_path, "own-schema", "own-init")
    assert rungs["own-schema"].detail == f"this tree has no tests/{SCHEMA}"
    assert rungs["own-init"].detail == f"tests/{INIT} of this tree has no test by model_arch"
    bare = climb(replace(asked, root=None), tmp_path)
    assert {(rung.status, rung.detail) for rung in bare.values()} == {("skipped", NO_TREE)}


def test_the_repos_code_runs_only_when_trusted(tmp_path: Path) -> None:
    entry = REGISTRY.replace(f'Example("{REPO}")', f'Example("{REPO}", trust_remote_code=True)')
    asked = subject(tmp_path, {"models/registry.py": entry})
    rungs = climb(asked, tmp_path)
    assert rungs["own-registry"].status == "passed", "it runs no code of the repo"
    assert {rungs[name].detail for name in LOADING} == {NEEDS_TRUST}
    assert climb(replace(asked, trust=True), tmp_path, "own-init")["own-init"].status == "passed"


def test_the_entry_is_read_as_it_stands(tmp_path: Path) -> None:
    entry = "Example('a/b', extras={'big': 'c/d'}, tokenizer='e/f', revision='v1', trust_remote_code=True)"
    root = write_own_tests(tmp_path, {"models/registry.py": f"T: dict = {{'X': {entry}, **Y, 'Z': made()}}\n"})
    found = read_example(root / "tests", "X")
    assert found is not None
    assert (found.default, found.others, found.tokenizer, found.revision) == ("a/b", ("c/d",), "e/f", "v1")
    assert found.trust and found.chosen("c/d") == "c/d" and found.chosen("g/h") == "a/b"
    assert read_example(root / "tests", "Z") is None and read_example(root / "tests", "Q") is None
    (root / "tests/models/registry.py").write_text("T = {")
    assert read_example(root / "tests", "X") is None


TREE = os.environ.get("PORTER_VLLM_TREE", "")
REAL = [*NEEDS_VLLM, pytest.mark.skipif(not TREE, reason="PORTER_VLLM_TREE names no source tree of the installed vLLM")]


@pytest.fixture(scope="module")
def ported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled example as a port in a copy of the tree that PORTER_VLLM_TREE names."""
    root = tmp_path_factory.mktemp("own") / "tree"
    for name in ("vllm", "tests", "docs/models"):
        shutil.copytree(Path(TREE) / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in Path(TREE).glob("*.*"):
        if file.is_file():
            shutil.copyfile(file, root / file.name)
    given = Settings(python=sys.executable, offline=True)
    made = new_model(NewModelRequest(str(EXAMPLE), given, tree=root, yes=True, smoke=False, repo_id="acme/skylark-vl"))
    assert made.error is None, made.error
    return root


def real(root: Path, tmp_path: Path, *names: str) -> dict[str, Rung]:
    reading = infer(snapshot_of(str(EXAMPLE), revision=None, offline=True))
    model = materialise(reading.snapshot, tiny_model(reading).files, tmp_path / "model", trust=False)
    overlay = make_overlay(locate(tree=root), locate(python=sys.executable), tmp_path).path
    asked = OwnTests(str(reading.facts.value("architecture")), root, model, "acme/skylark-vl")
    rungs = own_test_rungs(asked, replace(settings(tmp_path), path=(overlay,)), names or tuple(KINDS))
    return {rung.name: rung for rung in rungs}


class TestVllmsOwn:
    """The real ones, over a real tree."""

    pytestmark = REAL

    def test_they_pass_for_a_port(self, ported: Path, tmp_path: Path) -> None:
        rungs = real(ported, tmp_path)
        assert {name: rung.status for name, rung in rungs.items()} == dict.fromkeys(KINDS, "passed"), rungs

    def test_a_wrong_entry_is_caught(self, ported: Path, tmp_path: Path) -> None:
        registry = ported / "tests/models/registry.py"
        text = registry.read_text()
        registry.write_text(text.replace('"SkylarkVLForCausalLM":', '"SkylarkVLForCausalLm":'))
        try:
            rung = real(ported, tmp_path, "own-registry")["own-registry"]
        finally:
            registry.write_text(text)
        assert rung.status == "failed" and "SkylarkVLForCausalLM" in rung.detail
