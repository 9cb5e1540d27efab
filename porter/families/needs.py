"""What the repo's code needs, held against a tree: its requirements, and the transformers beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from porter.facts.model import Confidence, Evidence, Fact, ModelFacts
from porter.facts.needs_transformers import RANGE_OF
from porter.families.library import library_beside
from porter.jsontypes import JSONObject
from porter.vllm_tree.tree import Tree

FOLDER = "requirements"
FIRST = ("common.txt", "cuda.txt", "cpu.txt")
MAX_BYTES = 2_000_000


def tree_facts(facts: ModelFacts, tree: Tree) -> tuple[Fact, ...]:
    """Facts about the tree, for those about the repo."""
    return dependencies_in_tree(facts, tree), transformers_in_tree(facts, tree)


def dependencies_in_tree(facts: ModelFacts, tree: Tree) -> Fact:
    """{package: where the tree asks for it, or null} for every package that the repo's code imports."""
    name = "dependencies_in_tree"
    wanted = facts.value("python_dependencies")
    packages = [item for item in wanted if isinstance(item, str)] if isinstance(wanted, list) else []
    if not packages:
        return Fact(name, {}, Confidence.ABSENT, about="tree", note="the code asks for no package")
    stated = _stated(tree)
    if not stated:
        return Fact(name, None, Confidence.UNKNOWN, about="tree", note="this tree states no requirements")
    found = {package: stated.get(canonicalize_name(package)) for package in packages}
    value: JSONObject = {package: f"{item.file}:{item.where}" if item else None for package, item in found.items()}
    missing = [package for package, item in found.items() if item is None]
    note = f"not among the tree's requirements: {', '.join(missing)}" if missing else ""
    evidence = tuple(item for item in found.values() if item) or tuple(list(stated.values())[:1])
    return Fact(name, value, Confidence.CERTAIN, evidence, "tree", note)


def _stated(tree: Tree) -> dict[str, Evidence]:
    """Canonical package name → the requirement line that names it, of the files that matter most first."""
    found: dict[str, Evidence] = {}
    lines = _source_lines(tree.root) if tree.root is not None else _metadata_lines(tree.package)
    for file, where, line in lines:
        requirement = parsed(line)
        if requirement is not None:
            found.setdefault(canonicalize_name(requirement.name), Evidence(file, where, str(requirement)))
    return found


def parsed(line: str) -> Requirement | None:
    """A requirement line of pip's format; None for options, comments and what cannot be read."""
    text = line.partition(" #")[0].strip().removesuffix("\\").strip()
    if not text or text.startswith(("-", "#")):
        return None
    try:
        return Requirement(text.partition(" --")[0])
    except InvalidRequirement:
        return None


def _source_lines(root: Path) -> Iterator[tuple[str, str, str]]:
    folder = root / FOLDER
    files = [path for path in folder.rglob("*") if path.suffix in (".txt", ".in")] if folder.is_dir() else []
    for path in sorted(files, key=lambda path: _rank(path.relative_to(folder))):
        name = path.relative_to(root).as_posix()
        for number, line in enumerate(_text(path).splitlines(), 1):
            yield name, f"{number}", line


def _rank(path: Path) -> tuple[int, int, int, str]:
    """What serving needs before what tests need; what people write before what is compiled from it."""
    serving = len(path.parts) == 1
    first = FIRST.index(path.name) if serving and path.name in FIRST else len(FIRST)
    return int(not serving), first, int(path.suffix != ".in"), path.as_posix()


def _metadata_lines(package: Path) -> Iterator[tuple[str, str, str]]:
    """Requires-Dist of an installed vLLM, whatever its distribution is called."""
    for folder in sorted(package.parent.glob("vllm*.dist-info")):
        for number, line in enumerate(_text(folder / "METADATA").splitlines(), 1):
            key, _, value = line.partition(": ")
            if key == "Requires-Dist":
                yield f"{folder.name}/METADATA", f"{number}", value
            elif not line:
                break


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(MAX_BYTES)
    except OSError:
        return ""


def transformers_in_tree(facts: ModelFacts, tree: Tree) -> Fact:
    """The transformers beside the tree against the range that the code needs: {version, in_range}."""
    name, wanted = "transformers_in_tree", facts["transformers_range"]
    library = library_beside(tree.package)
    version = library.version
    if not version or library.root is None:
        return Fact(name, None, Confidence.UNKNOWN, about="tree", note="no transformers beside this tree")
    inside = _is_inside(version, wanted.value) if isinstance(wanted.value, str) else None
    value: JSONObject = {"version": version, "in_range": inside}
    evidence = (Evidence("transformers/__init__.py", "__version__", version),)
    note = f"outside {wanted.value}: {_culprits(wanted, version)}" if inside is False else ""
    return Fact(name, value, Confidence.LIKELY if inside is not None else Confidence.CERTAIN, evidence, "tree", note)


def _is_inside(version: str, specifier: str) -> bool | None:
    try:
        return SpecifierSet(specifier).contains(Version(version).base_version, prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return None


def _culprits(wanted: Fact, version: str) -> str:
    """The imports that this version lacks: the evidence of the range ends in the range of each."""
    shown: list[str] = []
    for item in wanted.evidence:
        text, _, own = item.text.partition(RANGE_OF)
        if own and _is_inside(version, own.rstrip(")")) is False:
            shown.append(f"{text} ({item.file} {item.where})")
    return "; ".join(shown[:3]) or f"transformers {version}"
