"""Job: the tests of a vLLM tree for one architecture, by pytest, as they are and offline.

Request  {tests, ini, out, model, repos: {id: [revisions]}, conftest: [modules],
          suites: [{rung, file, functions: {name: parameter or null}, value, modules: [names]}]}
Answer   {rungs: [{name, status, detail, seconds}]}; each rung is an event too

`tests` is the tree's folder, reached through a link: neither the `vllm` beside it nor a cache of pytest's gets in the
way. The model folder stands in for `repos` in a Hub cache of its own. A function's cases are those whose `parameter` is
the suite's `value`; one without a parameter is taken whole.
"""

from __future__ import annotations

import importlib.util
import json
import os
import time
from pathlib import Path
from typing import Any

from porter_worker import runtime

COMMIT = "0" * 40
ENVIRONMENT = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    # vLLM's init test patches the engine core, and the patch does not reach another process.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}


def missing(modules: list[str]) -> list[str]:
    """The modules that this interpreter lacks."""
    return [name for name in modules if importlib.util.find_spec(name) is None]


def lay_out(payload: dict[str, Any]) -> Path:
    """The folder that pytest runs in: links to the tests and to their settings."""
    root = Path(payload["out"]) / "root"
    root.mkdir(parents=True, exist_ok=True)
    for target, name in ((payload["tests"], "tests"), (payload["ini"], "pyproject.toml")):
        if target:
            (root / name).unlink(missing_ok=True)
            (root / name).symlink_to(target)
    return root


def hub_cache(payload: dict[str, Any]) -> None:
    """A Hub cache that holds the model folder under each repo id, at each revision that is asked for."""
    home = Path(payload["out"]) / "hf"
    os.environ["HF_HOME"] = str(home)
    for repo, revisions in payload["repos"].items():
        folder = home / "hub" / f"models--{repo.replace('/', '--')}"
        for revision in ("main", *revisions):
            commit = revision if len(revision) == len(COMMIT) else COMMIT
            link_files(Path(payload["model"]), folder / "snapshots" / commit)
            place = folder / "refs" / revision
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(commit)


def link_files(source: Path, target: Path) -> None:
    for path in source.rglob("*"):
        place = target / path.relative_to(source)
        if path.is_file() and not place.is_symlink():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path.resolve())


class ForkedSkips:
    """Skips in a forked test: vLLM's decorator ends such a process as if the test had passed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.write_text("")
        self.parent = os.getpid()
        self.seen = 0

    def watch(self, skipped: Any) -> None:
        original = skipped.__init__

        def recorded(error: BaseException, *args: Any, **kwargs: Any) -> None:
            original(error, *args, **kwargs)
            if os.getpid() != self.parent:
                with self.path.open("a") as stream:
                    stream.write(json.dumps(str(error)) + "\n")

        skipped.__init__ = recorded

    def new(self) -> list[str]:
        """The reasons since the last call."""
        lines = self.path.read_text().splitlines()
        found, self.seen = lines[self.seen :], len(lines)
        return [json.loads(line) for line in found]


class Outcomes:
    """A pytest plugin: keeps the tests that were asked for, in the order of the suites, and makes rungs of them."""

    def __init__(self, suites: list[dict[str, Any]], skips: ForkedSkips, note: str, start: float) -> None:
        self.suites = suites
        self.skips = skips
        self.note = note
        self.clock = start
        self.suite_of: dict[str, dict[str, Any]] = {}
        self.broken: dict[str, str] = {}
        self.found: list[tuple[str, str, str]] = []
        self.current: dict[str, Any] | None = None
        self.rungs: dict[str, dict[str, Any]] = {}

    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        kept = [item for suite in self.suites for item in items if wanted(item, suite)]
        self.suite_of = {item.nodeid: suite for suite in self.suites for item in kept if wanted(item, suite)}
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in self.suite_of])
        items[:] = kept

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.broken[report.nodeid] = reason(report)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        suite = self.suite_of[nodeid]
        if suite is not self.current:
            self.finish()
            self.current = suite
            runtime.event({"rung": suite["rung"], "event": "start"})
        runtime.event({"stage": "vLLM's", "set": test_name(nodeid)})

    def pytest_runtest_logreport(self, report: Any) -> None:
        forked = self.skips.new() if report.when == "call" else []
        test = test_name(report.nodeid)
        if report.failed:
            self.found.append(("failed", test, reason(report)))
        elif report.skipped or forked:
            self.found.append(("skipped", test, forked[-1] if forked else reason(report)))
        elif report.when == "call":
            self.found.append(("passed", test, ""))

    def pytest_sessionfinish(self) -> None:
        self.finish()

    def finish(self) -> None:
        """The suite that ran is a rung now; its seconds run from the end of the one before."""
        if self.current is not None:
            made = summary(self.found) if meant(self.current, self.found) else ("skipped", no_case(self.current))
            rung = rung_of(self.current, *made, time.monotonic() - self.clock, self.note)
            self.rungs[rung["name"]] = rung
            runtime.event({"rung": rung["name"], "event": "finish", **rung})
            self.current, self.found, self.clock = None, [], time.monotonic()

    def rung(self, suite: dict[str, Any]) -> dict[str, Any]:
        files = tuple(other["file"] for other in self.suites)
        broken = [why for name, why in self.broken.items() if name.endswith(suite["file"])]
        anywhere = [why for name, why in self.broken.items() if not name.endswith(files)]
        ran = self.rungs.get(suite["rung"])
        if broken or (anywhere and ran is None):
            return rung_of(suite, "failed", f"pytest cannot collect {suite['file']}: {(broken or anywhere)[0]}")
        return ran or rung_of(suite, "skipped", no_case(suite))


def wanted(item: Any, suite: dict[str, Any]) -> bool:
    """Whether a suite asks for a test: one of its functions, with its value for the parameter."""
    name = getattr(item, "originalname", item.name)
    if name not in suite["functions"] or not str(item.path).endswith(f"/{suite['file']}"):
        return False
    parameter, call = suite["functions"][name], getattr(item, "callspec", None)
    return parameter is None or (call is not None and call.params.get(parameter) == suite["value"])


def meant(suite: dict[str, Any], found: list[tuple[str, str, str]]) -> bool:
    """Whether a test failed or was about the suite's value: one taken whole says nothing about it by passing."""
    cases = any(parameter is not None for parameter in suite["functions"].values())
    return not cases or any(kind == "failed" or "[" in test for kind, test, _ in found)


def no_case(suite: dict[str, Any]) -> str:
    return f"pytest found no test for {suite['value']} in {suite['file']}"


def test_name(nodeid: str) -> str:
    return nodeid.partition("::")[2]


def reason(report: Any) -> str:
    """The line that says why: of a skip its reason, of a failure what was raised and where."""
    text = report.longrepr
    if isinstance(text, tuple):
        return str(text[2]).removeprefix("Skipped: ")
    crash = getattr(text, "reprcrash", None)
    if crash is None:
        lines = [line for line in str(text).splitlines() if line.startswith("E ")]
        return (lines or str(text).splitlines() or [""])[-1].removeprefix("E").strip()[:400]
    lines = [line.strip() for line in crash.message.splitlines() if line.strip()]
    return f"{' '.join(lines[:2])[:400]} ({Path(crash.path).name}:{crash.lineno})"


def summary(found: list[tuple[str, str, str]]) -> tuple[str, str]:
    """(status, detail) of a rung from what became of its tests; skipped ones alone are no pass."""
    failed, skipped, passed = ([one for one in found if one[0] == kind] for kind in ("failed", "skipped", "passed"))
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return "failed", f"{failed[0][1]}: {failed[0][2]}{more}"
    if not passed:
        return "skipped", f"{len(skipped)} skipped: {skipped[0][2]}" if skipped else "pytest ran no test"
    tests = ", ".join(dict.fromkeys(test.partition("[")[0] for _, test, _ in passed))
    besides = f", {len(skipped)} skipped: {skipped[0][2]}" if skipped else ""
    return "passed", f"{len(passed)} passed ({tests}){besides}"


def rung_of(suite: dict[str, Any], status: str, detail: str, seconds: float = 0.0, note: str = "") -> dict[str, Any]:
    return {"name": suite["rung"], "status": status, "detail": detail + note, "seconds": round(seconds, 2)}


def run(payload: dict[str, Any], suites: list[dict[str, Any]], lacking: list[str]) -> Outcomes:
    """One session of pytest over the files of all suites; without conftest files when they import what is lacking."""
    start = time.monotonic()
    import pytest

    root = lay_out(payload)
    skips = ForkedSkips(Path(payload["out"]) / "skips.jsonl")
    skips.watch(pytest.skip.Exception)
    note = f"; without the tree's conftest.py, which imports {', '.join(lacking)}" if lacking else ""
    outcomes = Outcomes(suites, skips, note, start)
    os.chdir(root)
    options = [
        *("-c", str(root / "pyproject.toml") if payload["ini"] else os.devnull, f"--rootdir={root}", "-q"),
        *("--tb=short", "-p", "no:cacheprovider", "-p", "no:faulthandler", "--continue-on-collection-errors"),
        *(["--noconftest"] if lacking else []),
    ]
    files = dict.fromkeys(str(root / "tests" / suite["file"]) for suite in suites)
    code = pytest.ExitCode(pytest.main([*options, *files], plugins=[outcomes]))
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise RuntimeError(f"pytest stopped with {code.name}; its own words are in the log")
    return outcomes


def handle(payload: dict[str, Any]) -> dict[str, Any]:
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        os.environ.pop(name, None)
    os.environ |= ENVIRONMENT
    hub_cache(payload)
    lacking = {suite["rung"]: missing(["pytest", *suite["modules"]]) for suite in payload["suites"]}
    able = [suite for suite in payload["suites"] if not lacking[suite["rung"]]]
    outcomes = run(payload, able, missing(payload["conftest"])) if able else None
    rungs = []
    for suite in payload["suites"]:
        lacks = lacking[suite["rung"]]
        why = f"vLLM's test imports {', '.join(lacks)}, which this interpreter lacks"
        rungs.append(rung_of(suite, "skipped", why) if lacks or outcomes is None else outcomes.rung(suite))
    return {"rungs": rungs}


def main() -> None:
    runtime.serve(handle)


if __name__ == "__main__":
    main()
