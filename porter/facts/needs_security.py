"""What running this repo would mean: whose code, which pickles, and what that code does when it is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

from porter.facts.code import CodeReading
from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.needs_walk import Seen
from porter.hub.reference import is_repo_id
from porter.hub.snapshot import AutoMapEntry, Snapshot
from porter.source.codebase import snippet, where

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
SAFE = (".safetensors", ".gguf")
WEIGHT_NAMES = ("pytorch_model", "model", "consolidated", "adapter_model", "checkpoint")
RISKY_MODULES = frozenset({"socket", "requests", "urllib", "httpx", "ctypes", "pickle", "marshal", "shutil", "ftplib"})
COMMANDS = frozenset({"subprocess", "pty"})
RISKY_CALLS = frozenset({"eval", "exec", "compile"})
RISKY_OS = frozenset(
    {"system", "popen", "remove", "unlink", "rmdir", "execv", "execve", "execvp", "spawnl", "spawnv", "kill", "fork"}
)
LOADERS = frozenset({"torch.load", "numpy.load", "np.load", "pickle.load", "pickle.loads", "joblib.load", "dill.load"})
PARTS = (
    ("tokenizer", ("AutoTokenizer",)),
    ("processor", ("AutoProcessor", "AutoImageProcessor", "AutoFeatureExtractor", "AutoVideoProcessor")),
)


def security_fact(snapshot: Snapshot, code: CodeReading, seen: Iterable[Seen]) -> Fact:
    """Notes, each with its evidence; an empty list when there is nothing to say."""
    notes = [
        *_foreign(snapshot),
        *_trust(snapshot),
        *_refused(snapshot),
        *_pickles(snapshot),
        *_risky(code, seen),
        *_loads_code(seen),
    ]
    if not notes:
        shown = (Evidence("config.json", "auto_map", "absent: no code of the repo would run"),)
        return Fact("security", [], Confidence.ABSENT, shown)
    return Fact("security", [text for text, _ in notes], Confidence.CERTAIN, tuple(evidence for _, evidence in notes))


def entry_evidence(entry: AutoMapEntry) -> Evidence:
    file, _, within = entry.owner.partition(":")
    where_ = ".".join(part for part in (within, "auto_map", entry.key) if part)
    return Evidence(file, where_, f"{entry.module}.{entry.class_name}" if entry.module else entry.class_name)


Note = tuple[str, Evidence]


def _foreign(snapshot: Snapshot) -> Iterator[Note]:
    """Code of other repos: what is there when it is loaded is what runs."""
    first: dict[str, AutoMapEntry] = {}
    for entry in snapshot.auto_map:
        if entry.repo:
            first.setdefault(entry.repo, entry)
    for repo, entry in sorted(first.items()):
        owner = snapshot.repo.id.partition("/")[0] if "/" in snapshot.repo.id else None
        whose = "of the same owner" if repo.partition("/")[0] == owner else "a third party's"
        read = f"; read here at {entry.commit[:12]}" if entry.commit else ""
        yield f"code of {repo} ({whose}) would run, at no pinned commit{read}", entry_evidence(entry)


def _trust(snapshot: Snapshot) -> Iterator[Note]:
    """Which parts are the repo's own code, in one note."""
    first: dict[str, AutoMapEntry] = {}
    for entry in snapshot.auto_map:
        what = next((part for part, keys in PARTS if entry.key in keys), "model")
        if entry.file and (what != "model" or entry.key.startswith(("AutoConfig", "AutoModel"))):
            first.setdefault(what, entry)
    if first:
        entry = min(first.items())[1]
        yield f"{', '.join(sorted(first))}: code of the repo, needs --trust-remote-code", entry_evidence(entry)


def _refused(snapshot: Snapshot) -> Iterator[Note]:
    for entry in snapshot.auto_map:
        if not entry.file:
            yield f"an auto_map entry names no class in a file of a repo: {entry.reason}", entry_evidence(entry)


def _pickles(snapshot: Snapshot) -> Iterator[Note]:
    """Weights in no other form than pickles, which run code when they are loaded."""
    tables = {tensor.file for tensor in snapshot.tensors.tensors}
    names = {*snapshot.listing, *tables}
    weights = sorted(name for name in names if _is_weight(name, tables))
    indexed = sorted(name for name in names if name.endswith(tuple(f"{end}.index.json" for end in PICKLES)))
    if any(name.endswith(SAFE) or name.endswith(".safetensors.index.json") for name in names):
        return
    if weights or indexed:
        first = (weights or indexed)[0]
        yield "the weights are pickle files only; loading a pickle can run code", Evidence(first, "", "a pickle")


def _is_weight(name: str, tables: set[str]) -> bool:
    base = name.rpartition("/")[2]
    return name.endswith(PICKLES) and (name in tables or base.startswith(WEIGHT_NAMES))


def _risky(code: CodeReading, seen: Iterable[Seen]) -> Iterator[Note]:
    """Calls that act on the machine: on import, or (those that run text or commands) anywhere; one note per kind."""
    found: dict[tuple[str, str, bool], list[ast.Call]] = {}
    meanings: dict[str, dict[str, str]] = {}
    for item in seen:
        if isinstance(item.node, ast.Call) and item.place.guard != "main":
            file = item.place.file
            names = meanings.get(file) or meanings.setdefault(file, _meanings(code, file))
            what = _risk(item.node, names, not item.place.lazy)
            if what:
                found.setdefault((file, what, not item.place.lazy), []).append(item.node)
    for (path, what, on_import), nodes in found.items():
        more = f" and {len(nodes) - 1} more" if len(nodes) > 1 else ""
        when = "on import" if on_import else "when called"
        text = f"{what} runs {when}: {path} {where(nodes[0])}{more}"
        yield text, Evidence(path, where(nodes[0]), snippet(nodes[0]))


def _meanings(code: CodeReading, path: str) -> dict[str, str]:
    """What the names of a file stand for: dotted for imports, something of the file itself for definitions."""
    file = code.run.code.file(path)
    if file is None:
        return {}
    own = {name: f"{path}:{name}" for name in file.definitions}
    return {**own, **{name: ".".join(part for part in meant if part) for name, meant in file.imports.items()}}


def _loads_code(seen: Iterable[Seen]) -> Iterator[Note]:
    """`from_pretrained("ORG/NAME", trust_remote_code=True)`: the code itself takes another repo's."""
    for item in seen:
        node = item.node
        first = node.args[0] if isinstance(node, ast.Call) and node.args else None
        repo = first.value if isinstance(first, ast.Constant) else None
        if (
            isinstance(node, ast.Call)
            and isinstance(repo, str)
            and is_repo_id(repo)
            and any(map(_trusts, node.keywords))
        ):
            place = f"{item.place.file} {where(node)}"
            text = f"the code loads {repo} with that repo's code: {place}"
            yield text, Evidence(item.place.file, where(node), snippet(node))


def _trusts(keyword: ast.keyword) -> bool:
    return keyword.arg == "trust_remote_code" and getattr(keyword.value, "value", False) is True


def _risk(call: ast.Call, names: Mapping[str, str], on_import: bool) -> str:
    """The dotted name of a call that deserves a look; empty for any other. `names` are the file's imports."""
    dotted = _dotted(call.func, names)
    top, _, last = dotted.partition(".")
    if dotted in RISKY_CALLS:
        return dotted if _runs_text(call) else ""
    if (top == "os" and last in RISKY_OS) or top in COMMANDS:
        return dotted
    return dotted if on_import and last and (top in RISKY_MODULES or dotted in LOADERS) else ""


def _runs_text(call: ast.Call) -> bool:
    """`eval(...)` of anything but a plain constant."""
    return bool(call.args) and not isinstance(call.args[0], ast.Constant)


def _dotted(node: ast.expr, names: Mapping[str, str]) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([names.get(node.id, node.id), *reversed(parts)])
