"""Copies of whole models of transformers under other names, at their default sizes: nothing of them is written by hand,
so any model that has a family can be copied, and any operator of it changed."""

from __future__ import annotations

import ast
import copy
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from porter.families.base import Match
from porter.families.twin.configs import model_type_of, sub_configs
from porter.families.twin.original import Original
from tests.twins import native, rename

STEM, TITLE = "zorp", "Zorp"
SEEING = ("Vision", "Projector", "Merger", "Connector", "Patch", "MultiModal")
"""What the names of classes of towers and connectors hold."""
DEFAULTS = """
import json, sys
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
made = {name: CONFIG_MAPPING[name]().to_dict() for name in sys.argv[1:]}
json.dump(made, sys.stdout, default=str)
"""
SAID_LATER = ("processor", "config")
"""Blockers about files that these bare copies lack; what is wanted here is the verdict on the code."""
UNLIKE_ITSELF = ("llama4", "exaone4_5", "mistral3")
"""Copies that renaming by text breaks: names shared with other models, types looked up by a built string."""
Change = Callable[[ast.Module], ast.Module]


def default_configs(model_types: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What transformers' config classes say when nothing is given, by model_type; a child process asks them."""
    command = [sys.executable, "-c", DEFAULTS, *model_types]
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return dict(json.loads(done.stdout))


def write_copy(found: Original, config: Mapping[str, Any], folder: Path, change: Change | None = None) -> Path:
    """A repo whose code is the model's own with other class names and model types, and one change."""
    files = {kind: native.source(found.folder, f"{kind}_{found.folder}") for kind in ("configuration", "modeling")}
    titled = _titled(found, files)
    types = _types(found, files)
    if change is not None:
        files["modeling"] = ast.unparse(change(ast.parse(files["modeling"])))
    files["modeling"] += _registrations(found, files["modeling"])
    names = rename.Names(titled, strings=types)
    folder.mkdir(parents=True, exist_ok=True)
    for kind, text in files.items():
        new = rename.rename(text, names, found.folder, STEM, ())
        (folder / f"{kind}_{STEM}.py").write_text(new, encoding="utf-8")
    model = f"modeling_{STEM}.{titled[found.model.name]}"
    places = {"AutoConfig": f"configuration_{STEM}.{titled[found.config.name]}", "AutoModel": model}
    own = {"architectures": [titled[found.model.name]], "auto_map": places}
    _dump(folder / "config.json", {**_retyped(config, types), **own})
    for name in ("preprocessor_config.json", "tokenizer_config.json"):
        _dump(folder / name, {"processor_class": found.processor})
    return folder


def _dump(path: Path, values: object) -> None:
    path.write_text(json.dumps(values), encoding="utf-8")


def _titled(found: Original, files: Mapping[str, str]) -> dict[str, str]:
    bases = (found.model.name.removesuffix("ForConditionalGeneration"), found.config.name.removesuffix("Config"))
    shared = next((bases[0][:end] for end in range(len(bases[0]), 0, -1) if bases[1].startswith(bases[0][:end])), "")
    stems = sorted({*bases, shared} - {""}, key=len, reverse=True)
    classes = [name for text in files.values() for name in rename.class_names(text)]
    return rename.renamed_classes(classes, stems, TITLE)


def _types(found: Original, files: Mapping[str, str]) -> dict[str, str]:
    """The model types that the files declare, in this repo's words."""
    stated = {name for text in files.values() for name in re.findall(r'model_type\s*=\s*"([^"]+)"', text)}
    return {name: name.replace(found.model_type, STEM) for name in stated if found.model_type in name}


def _registrations(found: Original, text: str) -> str:
    """What lets AutoModel find the copy's own parts."""
    lines = []
    for config in sub_configs(found.side, found.config).values():
        model = found.models.get(model_type_of(config) or "", "")
        if config is not None and f"class {model}(" in text and "AutoModel.from_config" in text:
            lines.append(f"AutoModel.register({config.name}, {model})\n")
    return "\n" + "".join(lines)


def _retyped(values: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, Any]:
    out = {key: _retyped(value, types) if isinstance(value, dict) else value for key, value in values.items()}
    kind = out.get("model_type")
    return {**out, "model_type": types.get(kind, kind)} if isinstance(kind, str) else out


def mutations(tree: ast.Module) -> Iterator[tuple[str, Change]]:
    """(what, change) of each operator of a tower or a connector that can be another one."""
    for cls in tree.body:
        if isinstance(cls, ast.ClassDef) and any(word in cls.name for word in SEEING) and "Output" not in cls.name:
            for function in cls.body:
                if isinstance(function, ast.FunctionDef) and function.name in ("forward", "__init__"):
                    for node in _acting(function):
                        other = _otherwise(node, function.name)
                        if other is not None:
                            what = f"{cls.name}.{function.name}: {ast.unparse(node)} -> {ast.unparse(other)}"
                            yield what, _replacing(node, other)


def _acting(function: ast.FunctionDef) -> Iterator[ast.expr]:
    """The expressions of statements that do more than check."""
    checks = [item for item in function.body if isinstance(item, ast.If) and isinstance(item.body[-1], ast.Raise)]
    inside = {id(node) for item in checks for node in ast.walk(item)}
    for statement in function.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.expr) and id(node) not in inside:
                yield node


def _otherwise(node: ast.expr, function: str) -> ast.expr | None:
    """Another operator in this place, None where none comes to mind."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mult)):
        return ast.BinOp(node.left, ast.Sub() if isinstance(node.op, ast.Add) else ast.Add(), node.right)
    if isinstance(node, ast.Attribute) and node.attr == "LayerNorm":
        return ast.Attribute(node.value, "RMSNorm", node.ctx)
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return ast.Constant(node.value + 1)
    if isinstance(node, ast.Call) and function == "forward" and len(node.args) == 1 and not node.keywords:
        called = node.func
        of_self = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "self"
        return node.args[0] if of_self and not isinstance(node.args[0], ast.Starred) else None
    return None


def _replacing(old: ast.expr, new: ast.expr) -> Change:
    """A change that writes `new` where `old` stands, found by its place and text."""
    place, text = (old.lineno, old.col_offset), ast.unparse(old)

    class Replacer(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            if isinstance(node, ast.expr) and (node.lineno, node.col_offset) == place and ast.unparse(node) == text:
                return ast.copy_location(copy.deepcopy(new), node)
            return self.generic_visit(node)

    return lambda tree: ast.fix_missing_locations(Replacer().visit(tree))


def chosen(found: Original, count: int, seed: int) -> list[tuple[str, Change]]:
    """So many of a model's mutations, drawn with a seed."""
    every = list(mutations(ast.parse(native.source(found.folder, f"modeling_{found.folder}"))))
    return random.Random(seed).sample(every, min(count, len(every)))


def code_blockers(match: Match) -> list[str]:
    return [item.why for item in match.blockers if item.what not in SAID_LATER]


def answered(match: Match) -> bool:
    """Whether the port brings what differs along."""
    return any(item.what in ("connector", "activation") for item in match.differences)
