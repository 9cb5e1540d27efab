"""Facts about the repo as a whole: names, auto_map, packages, modalities, licence."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from porter.facts.code import CodeReading
from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.vocabulary import read_vocabulary
from porter.hub.snapshot import Snapshot
from porter.jsontypes import JSON

COMMON = frozenset({"torch", "transformers", "numpy", "PIL", "torchvision", "typing_extensions"})
TRANSFORMERS_NEEDS = frozenset(
    {"packaging", "huggingface_hub", "tokenizers", "safetensors", "regex", "tqdm", "requests", "yaml", "filelock"}
)


def identity_facts(snapshot: Snapshot, code: CodeReading) -> Iterator[Fact]:
    config = snapshot.config()
    architectures = config.get("architectures")
    first = architectures[0] if isinstance(architectures, list) and architectures else None
    yield _stated("architecture", first if isinstance(first, str) else None, "architectures[0]")
    yield _stated("model_type", config.get("model_type"), "model_type")
    yield _auto_map(snapshot)
    yield dependencies(code)
    yield modalities(snapshot, code)
    yield _license(snapshot)


def _stated(name: str, value: JSON, where: str) -> Fact:
    if not isinstance(value, str) or not value:
        return Fact(name, None, Confidence.UNKNOWN)
    return Fact(name, value, Confidence.CERTAIN, (Evidence("config.json", where, value),))


def _auto_map(snapshot: Snapshot) -> Fact:
    value: dict[str, JSON] = {}
    shown: list[Evidence] = []
    for entry in snapshot.auto_map:
        key = entry.key if entry.owner == "config.json" else f"{entry.owner}:{entry.key}"
        key = f"{key}#2" if key in value else key
        value[key] = {"repo": entry.repo, "file": entry.file, "class": entry.class_name, "found": entry.found}
        file, _, within = entry.owner.partition(":")
        where = ".".join(part for part in (within, "auto_map", entry.key) if part)
        shown.append(Evidence(file, where, f"{entry.module}.{entry.class_name}"))
    if not value:
        return Fact("auto_map", None, Confidence.ABSENT, (Evidence("config.json", "auto_map", "absent"),))
    missing = [entry.file for entry in snapshot.auto_map if not entry.found]
    other = sorted({entry.repo for entry in snapshot.auto_map if entry.repo})
    notes = [f"missing: {', '.join(dict.fromkeys(missing))}"] if missing else []
    notes += [f"runs code of another repo: {', '.join(other)}"] if other else []
    return Fact("auto_map", value, Confidence.CERTAIN, tuple(shown[:8]), note="; ".join(notes))


def dependencies(code: CodeReading) -> Fact:
    """Third-party packages that the remote code imports, beside torch, transformers and what these always bring."""
    found: dict[str, Evidence] = {}
    inside = {path.rpartition("--")[2].split("/")[0].removesuffix(".py") for path in code.run.code.texts}
    for file in code.run.code.files():
        for node in ast.walk(file.tree):
            for name in _imported(node):
                top = name.split(".")[0]
                known = top in sys.stdlib_module_names or top in COMMON or top in TRANSFORMERS_NEEDS or top in inside
                if top and not known:
                    found.setdefault(top, Evidence(file.path, f"line {getattr(node, 'lineno', 1)}", f"import {name}"))
    if not code.run.code.texts:
        return Fact("python_dependencies", [], Confidence.ABSENT)
    none = [Evidence(path, "line 1", "imports no other package") for path in sorted(code.run.code.texts)]
    return Fact("python_dependencies", [*sorted(found)], Confidence.CERTAIN, tuple(found.values() or none)[:8])


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []


def modalities(snapshot: Snapshot, code: CodeReading) -> Fact:
    """Image, and video or audio only where a config key or a processor argument and a token both speak for it."""
    config = snapshot.config()
    vocabulary = read_vocabulary(snapshot)
    found: dict[str, Evidence] = {}
    vision = any(isinstance(value, dict) and {"patch_size", "image_size"} & set(value) for value in config.values())
    if vision or code.model is not None or any("ision" in key or "visual" in key for key in config):
        found["image"] = Evidence("config.json", "", "a vision config")
    for kind in ("video", "audio"):
        keys = [
            key for key in config if kind in key and config[key] is not None and ("token" in key or "config" in key)
        ]
        tokens = [token for token in vocabulary.ids if kind in token.lower()]
        arguments = _forward_arguments(code, kind)
        if keys and (arguments or (tokens and _may_take(code, kind))):
            found[kind] = Evidence("config.json", keys[0], str((tokens or arguments)[0]))
        elif arguments and tokens:
            found[kind] = Evidence(arguments[0], "forward", tokens[0])
    return Fact(
        "modalities", [*sorted(found)], Confidence.LIKELY if found else Confidence.UNKNOWN, tuple(found.values())
    )


def _forward_arguments(code: CodeReading, word: str) -> list[str]:
    if code.model is None:
        return []
    found = code.run.find_method(code.model.cls, "forward")
    names = [argument.arg for argument in found[1].args.args] if found is not None else []
    return [name for name in names if word in name]


def _may_take(code: CodeReading, word: str) -> bool:
    """Whether any function of the code takes such an input; without code nothing speaks against it."""
    nodes = [node for file in code.run.code.files() for node in ast.walk(file.tree)]
    return code.model is None or any(isinstance(node, ast.arg) and word in node.arg for node in nodes)


def _license(snapshot: Snapshot) -> Fact:
    if snapshot.license is None:
        return Fact("license", None, Confidence.UNKNOWN)
    return Fact(
        "license", snapshot.license, Confidence.CERTAIN, (Evidence("README.md or LICENSE", "", snapshot.license),)
    )
