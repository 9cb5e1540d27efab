"""The tests of a vLLM source tree for one architecture: which there are, what they need, and the rungs they make.

The tree's test files are read with ast and run as they are, by a worker (porter/workers/own_tests.py).
"""

from __future__ import annotations

import ast
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from porter.errors import WorkerError
from porter.jsontypes import JSONObject, objects
from porter.process import ENGINE_LIMITS, EventSink, WorkerSettings, run_worker
from porter.smoke.engine import Seen, advised, rung_of
from porter.smoke.report import Rung
from porter.smoke.subject import SmokeOptions, Subject

REGISTRY = "models/registry.py"
PROCESSING = "models/multimodal/processing"
NO_TREE = "the port is in no source tree, and an installed vLLM has no tests"
NEEDS_TRUST = "vLLM's test runs the repo's own code here (--trust-remote-code)"


@dataclass(frozen=True, slots=True)
class Kind:
    """One rung: `file` below tests/; its functions by the parameter that names the model, and those taken whole."""

    file: str
    parameter: Literal["model_arch", "model_id"]
    whole: tuple[str, ...] = ()
    loads: bool = True
    """Whether the tests read the repo, and so need an entry for it."""


# Those that fork come before the one that computes in pytest's own process: threads do not survive a fork.
KINDS: Mapping[str, Kind] = {
    "own-registry": Kind("models/test_registry.py", "model_arch", ("test_hf_registry_coverage",), loads=False),
    "own-schema": Kind(f"{PROCESSING}/test_tensor_schema.py", "model_id"),
    "own-init": Kind("models/test_initialization.py", "model_arch"),
    "own-processing": Kind(f"{PROCESSING}/test_common.py", "model_id"),
}


@dataclass(frozen=True, slots=True)
class OwnTests:
    """`root` is the tree's, None without one. `model` is a folder that stands in for the repo; `repo_id` its name."""

    architecture: str
    root: Path | None
    model: Path
    repo_id: str | None = None
    trust: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """An architecture's entry in the tests registry: the repos that its tests load, and at which revision."""

    default: str
    others: tuple[str, ...] = ()
    tokenizer: str | None = None
    revision: str | None = None
    trust: bool = False

    def chosen(self, repo_id: str | None) -> str:
        """The repo that is tested: this one where the entry lists it."""
        return repo_id if repo_id in self.others else self.default


@dataclass(frozen=True, slots=True)
class Suite:
    """What one rung runs: `functions` with the parameter that picks their cases, None for a function taken whole."""

    rung: str
    file: str
    functions: Mapping[str, str | None]
    value: str
    modules: tuple[str, ...]

    def to_json(self) -> JSONObject:
        return {
            "rung": self.rung,
            "file": self.file,
            "functions": dict(self.functions),
            "value": self.value,
            "modules": [*self.modules],
        }


def own_rungs(
    subject: Subject, settings: WorkerSettings, options: SmokeOptions, model: Path, wanted: Collection[str]
) -> tuple[Rung, ...]:
    """Those of the ladder's `wanted`, for the port of `subject`."""
    repo = subject.reading.snapshot.repo
    architecture = str(subject.reading.facts.value("architecture"))
    asked = OwnTests(architecture, subject.root, model, None if repo.local else repo.id, options.trust)
    settings = replace(settings, path=(*subject.path, *settings.path))
    return own_test_rungs(asked, settings, wanted, options.on_event)


def own_test_rungs(
    subject: OwnTests,
    settings: WorkerSettings,
    wanted: Collection[str] = tuple(KINDS),
    on_event: EventSink | None = None,
) -> tuple[Rung, ...]:
    """The rungs of `wanted`, in order. `settings.path` holds the overlay of the tree."""
    names = [name for name in KINDS if name in wanted]
    if subject.root is None:
        return tuple(Rung(name, "skipped", NO_TREE) for name in names)
    tests = subject.root / "tests"
    example = read_example(tests, subject.architecture)
    judged = {name: suite_or_reason(name, tests, subject, example) for name in names}
    suites = [suite for suite in judged.values() if isinstance(suite, Suite)]
    done = {name: Rung(name, "skipped", why) for name, why in judged.items() if isinstance(why, str)}
    done |= _Session(subject, tests, example, settings, on_event).run(suites)
    return tuple(done[name] for name in names)


def suite_or_reason(name: str, tests: Path, subject: OwnTests, example: Example | None) -> Suite | str:
    """What a rung runs, or why this tree cannot test this architecture so."""
    kind = KINDS[name]
    if not (tests / kind.file).is_file():
        return f"this tree has no tests/{kind.file}"
    functions = functions_by(parsed(tests / kind.file), kind)
    if not functions:
        return f"tests/{kind.file} of this tree has no test by {kind.parameter}"
    if kind.loads and example is None:
        return f"tests/{REGISTRY} has no entry for {subject.architecture}"
    if kind.loads and example is not None and example.trust and not subject.trust:
        return NEEDS_TRUST
    by_id = kind.parameter == "model_id" and example is not None
    value = example.chosen(subject.repo_id) if by_id and example else subject.architecture
    return Suite(name, kind.file, functions, value, outside_modules(tests, [tests / kind.file]))


def functions_by(module: ast.Module, kind: Kind) -> dict[str, str | None]:
    """The test functions of a file that take the model as `kind.parameter`, and those that are taken whole."""
    found: dict[str, str | None] = {}
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            if kind.parameter in parametrized(node):
                found[node.name] = kind.parameter
            elif node.name in kind.whole:
                found[node.name] = None
    return found


def parametrized(function: ast.FunctionDef) -> frozenset[str]:
    """The parameters that pytest.mark.parametrize gives a function."""
    calls = [node for node in function.decorator_list if isinstance(node, ast.Call) and node.args]
    marks = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "parametrize"]
    names = [_literal(mark.args[0]) for mark in marks]
    split = (name.split(",") if isinstance(name, str) else name for name in names)
    return frozenset(str(part).strip() for parts in split if isinstance(parts, (list, tuple)) for part in parts)


def read_example(tests: Path, architecture: str) -> Example | None:
    """The architecture's entry in any table of tests/models/registry.py; None without one that can be read."""
    for node in parsed(tests / REGISTRY).body:
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        for key, entry in zip(value.keys, value.values, strict=True) if isinstance(value, ast.Dict) else ():
            if key is not None and _literal(key) == architecture and isinstance(entry, ast.Call):
                return _example(entry)
    return None


def _example(call: ast.Call) -> Example | None:
    given = {word.arg: _literal(word.value) for word in call.keywords if word.arg}
    default = _literal(call.args[0]) if call.args else given.get("default")
    extras, tokenizer, revision = (given.get(name) for name in ("extras", "tokenizer", "revision"))
    if not isinstance(default, str):
        return None
    return Example(
        default,
        tuple(str(value) for value in extras.values()) if isinstance(extras, dict) else (),
        tokenizer if isinstance(tokenizer, str) else None,
        revision if isinstance(revision, str) else None,
        given.get("trust_remote_code") is True,
    )


def outside_modules(tests: Path, files: Iterable[Path]) -> tuple[str, ...]:
    """What the files import when they are loaded, over the tests' own modules, that comes from elsewhere."""
    waiting, seen, found = list(files), set[Path](), set[str]()
    while waiting:
        file = waiting.pop()
        if file in seen or not file.is_file():
            continue
        seen.add(file)
        for dotted in imported(parsed(file), ("tests", *file.relative_to(tests).with_suffix("").parts)):
            top, *rest = dotted.split(".")
            if top == "tests":
                place = tests.joinpath(*rest)
                waiting += [place.with_suffix(".py"), place / "__init__.py"]
            else:
                found.add(top)
    return tuple(sorted(found - sys.stdlib_module_names - {"vllm", "pytest", "_pytest"}))


def imported(module: ast.Module, place: Sequence[str]) -> Iterator[str]:
    """Dotted names of unconditional imports; of `from a import b` both a and a.b, which may be a module."""
    for node in module.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = place[: -node.level] if node.level else ()
            base = ".".join((*above, *([node.module] if node.module else [])))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def conftests(tests: Path, files: Iterable[str]) -> list[Path]:
    """The conftest.py files that pytest loads for test files."""
    folders = {folder for file in files for folder in (tests / file).parents if folder.is_relative_to(tests)}
    return sorted(folder / "conftest.py" for folder in folders if (folder / "conftest.py").is_file())


def parsed(file: Path) -> ast.Module:
    """A file as ast, empty when it cannot be read: pytest will say so."""
    try:
        return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.Module([], [])


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


@dataclass(frozen=True, slots=True)
class _Session:
    """Pytest over the suites, in a worker."""

    subject: OwnTests
    tests: Path
    example: Example | None
    settings: WorkerSettings
    on_event: EventSink | None

    def run(self, suites: list[Suite]) -> dict[str, Rung]:
        """Every suite as a rung. A worker that dies fails the rung it was in; the others run in another one."""
        done: dict[str, Rung] = {}
        for _ in suites:
            left = [suite for suite in suites if suite.rung not in done]
            done |= {rung.name: advised(rung) for rung in self._start(left)} if left else {}
        return done

    def _start(self, suites: list[Suite]) -> tuple[Rung, ...]:
        """The rungs that came to an end, at least one."""
        names, seen, start = [suite.rung for suite in suites], Seen(self.on_event), time.monotonic()
        try:
            answer = run_worker("own_tests", self._payload(suites), settings=self._limited(), on_event=seen)
        except WorkerError as error:
            ended = seen.after_crash(names, error)
            spent = time.monotonic() - start - sum(rung.seconds for rung in seen.done)
            return tuple(replace(rung, seconds=spent) if rung.status == "error" else rung for rung in ended)
        return tuple(rung_of(item) for item in objects(answer.get("rungs")))

    def _payload(self, suites: list[Suite]) -> JSONObject:
        ini = self.tests.parent / "pyproject.toml"
        loaded = conftests(self.tests, [suite.file for suite in suites])
        return {
            "tests": str(self.tests),
            "ini": str(ini) if ini.is_file() else None,
            "out": str(self.settings.scratch / "own-tests"),
            "model": str(self.subject.model),
            "repos": self._repos(),
            "conftest": [*outside_modules(self.tests, loaded)],
            "suites": [suite.to_json() for suite in suites],
        }

    def _repos(self) -> JSONObject:
        """The repo ids that the model folder stands in for, with their revisions."""
        example = self.example
        if example is None:
            return {}
        names = {example.default, example.chosen(self.subject.repo_id), example.tokenizer or example.default}
        return {name: [example.revision] if example.revision else [] for name in sorted(names)}

    def _limited(self) -> WorkerSettings:
        runs_code = self.subject.trust and self.example is not None and self.example.trust
        return replace(self.settings, limits=ENGINE_LIMITS) if runs_code else self.settings
