"""Writes porter/facts/data/transformers_symbols.txt.gz: which names each transformers release has, module by module.

    python scripts/transformers_symbols.py WHEELS

WHEELS is a folder; the wheels of RELEASES that it lacks are downloaded into it from the package index, without their
dependencies. They are read with `ast` and never imported. The table is text under gzip (`zcat` shows it): a line
`releases ...`, a line `without ...` (the top-level modules that were left out), a line `outside ...` (names that some
module imports from elsewhere: of these the table knows nothing), and for each module a line with the span of releases
that have it, followed by lines of one blank, a span, and the names that have that span.
"""

from __future__ import annotations

import ast
import gzip
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

OUTPUT = Path(__file__).resolve().parent.parent / "porter" / "facts" / "data" / "transformers_symbols.txt.gz"
RELEASES = """
4.31.0 4.32.1 4.33.3 4.34.1 4.35.2 4.36.2 4.37.2 4.38.2 4.39.3 4.40.2 4.41.2 4.42.4 4.43.4 4.44.2 4.45.2 4.46.3 4.47.1
4.48.3 4.49.0 4.50.3 4.51.3 4.52.4 4.53.3 4.54.1 4.55.4 4.56.2 4.57.6
5.0.0 5.1.0 5.2.0 5.3.0 5.4.0 5.5.4 5.6.2 5.7.0 5.8.1 5.9.0 5.10.4 5.11.0 5.12.1 5.13.1 5.14.1 5.15.1 5.16.1 5.17.0
5.18.0 5.19.0 5.20.2 5.21.1 5.22.2 5.23.0
"""
LEFT_OUT = """
    agents benchmark cli commands convert_graph_to_onnx convert_pytorch_checkpoint_to_tf2 convert_slow_tokenizer
    convert_slow_tokenizers_checkpoints_to_fast conversion_mapping core_model_loading data debug_utils
    dependency_versions_check dependency_versions_table distributed exporters heterogeneity hf_argparser
    hyperparameter_search kernels keras_callbacks modelcard monkey_patching optimization pipelines quantizers
    safetensors_conversion sagemaker testing_utils tools trainer trainer_callback trainer_jit_checkpoint
    trainer_optimizer trainer_pt_utils trainer_seq2seq trainer_utils training_args training_args_seq2seq
"""
KINDS = "modeling configuration processing image_processing video_processing feature_extraction tokenization"
OTHER_FRAMEWORK = re.compile(r"(^|_)(tf|flax)(_|$)")
FAST = {"Tokenizer": "tokenization_utils_fast", "ImageProcessor": "image_processing_utils_fast"}
"""Class suffixes whose `Fast` variant a release answers for when it has the alias module named here."""

Names = dict[str, set[str]]


def wheel(folder: Path, release: str) -> Path:
    path = folder / f"transformers-{release}-py3-none-any.whl"
    if not path.is_file():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "-d", str(folder), f"transformers=={release}"], check=True)
    return path


def module_name(path: str) -> str | None:
    """The dotted name of a file of the package that the table covers."""
    parts = PurePosixPath(path).with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
    if len(parts) > 1 and (parts[1] in LEFT_OUT.split() or OTHER_FRAMEWORK.search(parts[-1])):
        return None
    kinds = tuple(f"{kind}_" for kind in KINDS.split())
    if parts[1:2] == ("models",) and not (len(parts) == 4 and parts[-1].startswith(kinds)):
        return None
    return None if parts[1:2] == ("utils",) and parts[-1].startswith("dummy_") else ".".join(parts)


def statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """At module level, those under `if`, `try` and `with` included."""
    for statement in body:
        yield statement
        for part in ("body", "orelse", "finalbody"):
            if isinstance(statement, (ast.If, ast.Try, ast.With)):
                yield from statements(getattr(statement, part, []))
        for handler in getattr(statement, "handlers", []):
            yield from statements(handler.body)


def bound(tree: ast.Module) -> tuple[set[str], set[str]]:
    """What a module binds at its top level, imports from transformers included; and what it imports from elsewhere."""
    own: set[str] = set()
    outside: set[str] = set()
    for statement in statements(tree.body):
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef)):
            own.add(statement.name)
        elif isinstance(statement, ast.Assign):
            own.update(target.id for target in statement.targets if isinstance(target, ast.Name))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            own.add(statement.target.id)
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            names = {(alias.asname or alias.name).partition(".")[0] for alias in statement.names} - {"*"}
            (own if getattr(statement, "level", 0) else outside).update(names)
    return {name for name in own if not name.startswith("__")}, outside


def exported(tree: ast.Module) -> set[str]:
    """The strings of `__all__`."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and any(getattr(t, "id", "") == "__all__" for t in statement.targets):
            return strings(statement.value)
    return set()


def strings(node: ast.AST) -> set[str]:
    values = (item.value for item in ast.walk(node) if isinstance(item, ast.Constant))
    return {value for value in values if isinstance(value, str) and value.isidentifier()}


def lazy_names(tree: ast.Module) -> set[str]:
    """The values, not the keys, of `_import_structure`, with what is added to it later."""
    found: set[str] = set()
    for statement in statements(tree.body):
        if not isinstance(statement, (ast.Assign, ast.Expr)) or "_import_structure" not in ast.dump(statement):
            continue
        value = statement.value
        if isinstance(value, ast.Dict):
            found.update(*(strings(item) for item in value.values))
        elif isinstance(value, ast.Call):
            found.update(*(strings(item) for item in value.args))
        elif isinstance(value, ast.List):
            found.update(strings(value))
    return found


def aliases(tree: ast.Module) -> dict[str, str]:
    """Old module names that a release answers for: `tokenization_utils_fast` → `tokenization_utils_tokenizers`."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("_alias") and len(node.args) == 2:
            ends = [text.value for arg in node.args for text in ast.walk(arg) if isinstance(text, ast.Constant)]
            if len(ends) == 2:
                found[str(ends[0]).strip(".")] = str(ends[1]).strip(".")
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_LEGACY_MODULE_ALIASES":
            found.update(ast.literal_eval(node.value))
    return found


@dataclass(slots=True)
class Reader:
    """`known` keeps what the files hold that no release changed; `outside` gathers what they import from elsewhere."""

    known: dict[tuple[str, int], tuple[set[str], set[str]]] = field(default_factory=dict)
    outside: set[str] = field(default_factory=set)

    def names_of(self, path: Path) -> Names:
        """Module → names of one release."""
        found: Names = {}
        models: set[str] = set()
        with zipfile.ZipFile(path) as archive:
            top = ast.parse(archive.read("transformers/__init__.py"))
            for item in archive.infolist():
                name = module_name(item.filename) if item.filename.endswith(".py") else None
                if name is None or not item.filename.startswith("transformers/"):
                    continue
                if (item.filename, item.CRC) not in self.known:
                    self.known[item.filename, item.CRC] = self.read(name, archive.read(item))
                found[name], public = (set(names) for names in self.known[item.filename, item.CRC])
                models |= public if ".models." in name else set()
        if "define_import_structure" in ast.dump(top):
            found["transformers"] |= models
        with_aliases(found, aliases(top))
        found["transformers"] = {name for name in found["transformers"] if not name.startswith(("TF", "Flax"))}
        return found

    def read(self, module: str, source: bytes) -> tuple[set[str], set[str]]:
        """The names of a module, and its public ones."""
        tree = ast.parse(source)
        names, outside = bound(tree)
        self.outside |= outside
        return names | (set() if ".models." in module else lazy_names(tree)), exported(tree)


def with_aliases(found: Names, old: Mapping[str, str]) -> None:
    for name, target in old.items():
        found[f"transformers.{name}"] = set(found.get(f"transformers.{target}", ()))
    for suffix, module in FAST.items():
        if module in old:
            fast = {f"{name}Fast" for name in found["transformers"] if name.endswith(suffix)}
            found["transformers"] |= fast
    if FAST["ImageProcessor"] in old:
        slow = [name for name in found if ".image_processing_" in name and not name.endswith("_fast")]
        for name in slow:
            fast = {f"{item}Fast" for item in found[name] if item.endswith("ImageProcessor")}
            found.setdefault(f"{name}_fast", found[name] | fast)


def span(mask: int, releases: list[str]) -> str:
    """`4.37-4.47,4.50-`: the runs of releases in a bit mask; open where the last release is in."""
    runs: list[str] = []
    start: int | None = None
    for index in range(len(releases) + 1):
        here = index < len(releases) and mask >> index & 1
        if here and start is None:
            start = index
        elif not here and start is not None:
            runs.append(f"{releases[start]}-{'' if index == len(releases) else releases[index - 1]}")
            start = None
    return ",".join(runs)


def table(by_release: Mapping[str, Names], outside: set[str]) -> str:
    minors = [release.rpartition(".")[0] for release in by_release]
    modules: dict[str, int] = {}
    names: dict[str, dict[str, int]] = {}
    for index, found in enumerate(by_release.values()):
        for module, inside in found.items():
            modules[module] = modules.get(module, 0) | 1 << index
            for name in inside:
                known = names.setdefault(module, {})
                known[name] = known.get(name, 0) | 1 << index
    lines = [f"releases {' '.join(by_release)}", f"without {' '.join(LEFT_OUT.split())}"]
    lines.append(f"outside {' '.join(sorted(outside))}")
    for module in sorted(modules):
        lines.append(f"{module} {span(modules[module], minors)}")
        spans: dict[str, list[str]] = {}
        for name, mask in sorted(names.get(module, {}).items()):
            spans.setdefault(span(mask, minors), []).append(name)
        lines.extend(f" {key} {' '.join(spans[key])}" for key in sorted(spans))
    return "\n".join(lines) + "\n"


def main() -> None:
    folder = Path(sys.argv[1])
    reader = Reader()
    by_release: dict[str, Names] = {}
    for release in RELEASES.split():
        by_release[release] = reader.names_of(wheel(folder, release))
        print(release, len(by_release[release]), "modules", flush=True)
    text = table(by_release, reader.outside)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{len(text)} characters, {OUTPUT.stat().st_size} bytes compressed")


if __name__ == "__main__":
    main()
