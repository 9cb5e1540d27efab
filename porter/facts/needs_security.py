"""What running this repo would mean: whose code, which pickles, and what that code does when it is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from porter.facts.code import CodeReading
from porter.facts.model import Confidence, Evidence, Fact
from porter.hub.snapshot import AutoMapEntry, Snapshot
from porter.source.codebase import snippet, where

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
SAFE = (".safetensors", ".gguf")
WEIGHT_NAMES = ("pytorch_model", "model", "consolidated", "adapter_model", "checkpoint")
RISKY_MODULES = frozenset(
    {"subprocess", "socket", "requests", "urllib", "httpx", "ctypes", "pickle", "marshal", "shutil", "pty", "ftplib"}
)
RISKY_CALLS = frozenset({"eval", "exec", "compile", "__import__"})
RISKY_OS = frozenset(
    {"system", "popen", "remove", "unlink", "rmdir", "execv", "execve", "execvp", "spawnl", "spawnv", "kill", "fork"}
)
LOADERS = frozenset({"torch.load", "numpy.load", "np.load", "pickle.load", "pickle.loads", "joblib.load", "dill.load"})
PARTS = (
    ("tokenizer", ("AutoTokenizer",)),
    ("processor", ("AutoProcessor", "AutoImageProcessor", "AutoFeatureExtractor", "AutoVideoProcessor")),
)


def security_fact(snapshot: Snapshot, code: CodeReading) -> Fact:
    """Notes, each with its evidence; an empty list when there is nothing to say."""
    notes = [*_foreign(snapshot), *_trust(snapshot), *_refused(snapshot), *_pickles(snapshot), *_risky(code)]
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


def _risky(code: CodeReading) -> Iterator[Note]:
    """Calls that act on the machine: on import, or (for those that run text or commands) anywhere."""
    for file in code.run.code.files():
        names = {name: module for name, (module, _) in file.imports.items()}
        for node, on_import in _calls(file.tree):
            what = _risk(node, names, on_import)
            if what:
                when = "on import" if on_import else "when called"
                yield f"{what} {when}: {file.path} {where(node)}", Evidence(file.path, where(node), snippet(node))


def _calls(tree: ast.Module) -> list[tuple[ast.Call, bool]]:
    """Every call with whether it runs on import, by line."""
    found: list[tuple[ast.Call, bool]] = []
    waiting: list[tuple[ast.AST, bool]] = [(tree, True)]
    while waiting:
        node, on_import = waiting.pop()
        if isinstance(node, ast.Call):
            found.append((node, on_import))
        if isinstance(node, ast.If) and any(getattr(item, "id", "") == "__name__" for item in ast.walk(node.test)):
            continue
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        waiting.extend((child, on_import and not inside) for child in ast.iter_child_nodes(node))
    return sorted(found, key=lambda item: (item[0].lineno, item[0].col_offset))


def _risk(call: ast.Call, names: dict[str, str], on_import: bool) -> str:
    """The name of a call that deserves a look; empty for any other."""
    if isinstance(call.func, ast.Name):
        name = call.func.id
        module = names.get(name, "")
        dotted = f"{module}.{name}" if module else name
        plain = name in RISKY_CALLS and not module and _runs_text(call)
    else:
        dotted, plain = _dotted(call.func, names), False
    top, _, last = dotted.partition(".")
    commands = (top == "os" and last in RISKY_OS) or top in ("subprocess", "pty")
    if plain or commands:
        return dotted
    return dotted if on_import and "." in dotted and (top in RISKY_MODULES or dotted in LOADERS) else ""


def _runs_text(call: ast.Call) -> bool:
    """`eval(...)` of anything but a plain constant."""
    return bool(call.args) and not isinstance(call.args[0], ast.Constant)


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([names.get(node.id, node.id), *reversed(parts)])
