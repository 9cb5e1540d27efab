"""Which Python packages the remote code asks for, by the names under which an installer knows them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from packaging.utils import canonicalize_name

from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.needs_imports import Import
from porter.facts.needs_walk import NEVER
from porter.hub.auto_map import SEPARATOR
from porter.hub.snapshot import Snapshot

ALWAYS_THERE = frozenset({"torch", "transformers", "numpy", "PIL", "torchvision", "typing_extensions"})
TRANSFORMERS_NEEDS = frozenset(
    {"packaging", "huggingface_hub", "tokenizers", "safetensors", "regex", "tqdm", "requests", "yaml", "filelock"}
)
DISTRIBUTIONS: Mapping[str, str] = {
    "Levenshtein": "levenshtein",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "apex": "apex",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "clip": "openai-clip",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "ffmpeg": "ffmpeg-python",
    "fitz": "pymupdf",
    "fla": "flash-linear-attention",
    "flash_attn_interface": "flash-attn-3",
    "git": "gitpython",
    "magic": "python-magic",
    "nltk": "nltk",
    "open_clip": "open-clip-torch",
    "pkg_resources": "setuptools",
    "pptx": "python-pptx",
    "pycocotools": "pycocotools",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def distribution(import_name: str) -> str:
    """`flash_attn` → `flash-attn`, `cv2` → `opencv-python-headless`; a name that no table knows is its own."""
    return canonicalize_name(DISTRIBUTIONS.get(import_name, import_name))


def dependency_fact(snapshot: Snapshot, imports: Iterable[Import]) -> Fact:
    """Packages that loading or running the code takes, beside torch, transformers and what these always bring."""
    name = "python_dependencies"
    if not snapshot.python:
        return no_code(name, snapshot, [])
    own = own_modules(snapshot)
    by_name: dict[str, list[Import]] = {}
    for item in imports:
        if item.place.guard not in NEVER and not is_known(item) and not is_own(item, own):
            by_name.setdefault(distribution(item.top), []).append(item)
    best = {key: min(items, key=_weight) for key, items in sorted(by_name.items())}
    notes = [_listed("optional", (key for key, item in best.items() if item.place.guard))]
    notes.append(
        _listed(
            "inside functions, loading asks for them all the same",
            (k for k, item in best.items() if item.place.lazy and not item.place.guard),
        )
    )
    notes.append(_listed("files of the repo imported as if they were packages", own_files(imports, own)))
    sure, gap = completeness(snapshot)
    none = (Evidence(path, "line 1", "imports no other package") for path in sorted(snapshot.python))
    evidence = tuple(item.evidence() for item in best.values()) or tuple(none)
    return Fact(name, [*best], sure, evidence, note="; ".join(note for note in [*notes, gap] if note))


def no_code(name: str, snapshot: Snapshot, nothing: list[str] | None) -> Fact:
    """A fact about the code of a repo whose code is not there: absent when it has none, else unknown."""
    if not any(entry.file for entry in snapshot.auto_map):
        return Fact(name, [*nothing] if nothing is not None else None, Confidence.ABSENT, note="no remote code")
    return Fact(name, None, Confidence.UNKNOWN, note="the code that auto_map names is not in the repo")


def completeness(snapshot: Snapshot) -> tuple[Confidence, str]:
    """Certain when all code that the repo names was read, else what was not."""
    missing = dict.fromkeys(entry.file for entry in snapshot.auto_map if entry.file and not entry.found)
    named = tuple(file.partition(SEPARATOR)[0] for file in missing)
    lost = [*missing, *(line for line in snapshot.missing_code if not line.startswith(named))]
    more = f" and {len(lost) - 2} more" if len(lost) > 2 else ""
    return (Confidence.LIKELY, f"not read: {', '.join(lost[:2])}{more}") if lost else (Confidence.CERTAIN, "")


def is_known(item: Import) -> bool:
    return item.top in sys.stdlib_module_names or item.top in ALWAYS_THERE or item.top in TRANSFORMERS_NEEDS


def own_modules(snapshot: Snapshot) -> frozenset[str]:
    """`FOLDER/NAME` of every Python file and folder with Python files, in this repo and in those read beside it."""
    found: set[str] = set()
    for path in (*snapshot.listing, *snapshot.python):
        parts = path.removesuffix(".py").split("/") if path.endswith(".py") else []
        found.update("/".join(parts[: depth + 1]) for depth in range(len(parts)))
    return frozenset(found)


def is_own(item: Import, own: frozenset[str]) -> bool:
    """A file or folder of the repo that the import may mean, beside the importing file or at the top."""
    repo, mark, path = item.file.partition(SEPARATOR) if SEPARATOR in item.file else ("", "", item.file)
    folder = path[: path.rfind("/") + 1]
    return any(f"{repo}{mark}{base}{item.top}" in own for base in ("", folder))


def own_files(imports: Iterable[Import], own: frozenset[str]) -> list[str]:
    return sorted({item.top for item in imports if not is_known(item) and is_own(item, own)})


def _weight(item: Import) -> tuple[bool, bool, str, int]:
    return bool(item.place.guard), item.place.lazy, item.file, item.line


def _listed(what: str, names: Iterable[str]) -> str:
    found = ", ".join(names)
    return f"{what}: {found}" if found else ""
