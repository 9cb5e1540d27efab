"""What config.json sets and the registered class never reads: structural settings, each compared where it can be."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from porter.facts.synonyms import TEXT_KEYS
from porter.families.base import Difference, ReadingLike
from porter.families.held import Held
from porter.families.library import Library
from porter.jsontypes import JSON
from porter.vllm_tree.classes import find_method
from porter.vllm_tree.config_reads import ConfigRead
from porter.vllm_tree.registry import architectures, config_registry
from porter.vllm_tree.tree import Tree
from porter.vllm_tree.words import identifiers, words

STRUCTURAL = (
    "proj", "connector", "adapter", "merge", "shuffle", "pool", "resampl", "qformer", "compress", "tower", "vision",
    "visual", "vit", "image", "tile", "patch", "slice", "crop", "gene", "audio", "speech", "video", "moe", "expert",
    "mlp", "newline", "separator", "downsample", "stride", "module", "encoder", "decoder", "select",
)  # fmt: skip
HARMLESS = (
    "_lr", "checkpoint", "freeze", "tune", "lora", "dropout", "loss", "template", "_name_or_path", "pretrained", "init",
    "batch", "name", "version", "attn_implementation", "grad", "token_id", "token_index",
)  # fmt: skip
LAYER_COUNTS = ("mlp_connector_layers", "connector_layers", "projector_layers", "num_projector_layers", "mlp_depth")
SHUFFLES = ("use_pixel_shuffle", "pixel_shuffle", "do_pixel_shuffle")
OFF: tuple[JSON, ...] = (None, False, 0, "", [], {})
CONFIG_FILE = "transformers_utils/config.py"


@dataclass(frozen=True, slots=True)
class Settings:
    """`differences`: settings that the class contradicts. `ignored`: keys that nothing of the tree reads."""

    differences: tuple[Difference, ...] = ()
    ignored: tuple[str, ...] = ()


def compare_settings(
    reading: ReadingLike, tree: Tree, held: Held, reads: tuple[ConfigRead, ...], library: Library
) -> Settings:
    """The top level of config.json against what the class and its parts read."""
    config = reading.snapshot.config()
    known = _known_words(reading, tree, held, reads, library)
    unread = {key: value for key, value in config.items() if key not in known}
    found = [item for check in CHECKS for item in check(tree, held, unread)]
    checked = {item.what for item in found}
    return Settings(tuple(found), tuple(_ignored(reading, unread, checked)))


def _known_words(
    reading: ReadingLike, tree: Tree, held: Held, reads: tuple[ConfigRead, ...], library: Library
) -> frozenset[str]:
    """Words of every file that takes part in serving: the class, its parts, its language model, its config."""
    files = {site.file for sites in held.sites.values() for site in sites} | {read.file for read in reads}
    files |= {held.cls.file, CONFIG_FILE, "config/model.py"}
    language = reading.facts.value("language_model")
    entry = architectures(tree).get(str(language.get("architecture"))) if isinstance(language, dict) else None
    files |= {file for file in (entry.file(tree) if entry is not None else None,) if file is not None}
    found: set[str] = set()
    for file in files:
        found |= words(tree, file)
    return frozenset(found | _config_words(reading, tree, library))


def _config_words(reading: ReadingLike, tree: Tree, library: Library) -> set[str]:
    """Words of the config class that vLLM or transformers has for the model_type, and of transformers' base class."""
    model_type = reading.facts.value("model_type")
    texts = []
    if isinstance(model_type, str) and model_type not in config_registry(tree).classes:
        texts = [library.file(model_type, "configuration")]
    base = "transformers/configuration_utils.py"
    texts.append(base if base in library.code.texts else None)
    return {word for path in texts if path is not None for word in identifiers(library.code.texts[path])}


def _ignored(reading: ReadingLike, unread: Mapping[str, JSON], checked: set[str]) -> Iterator[str]:
    used = _read_by_code(reading)
    for key, value in unread.items():
        structural = any(word in key for word in STRUCTURAL) and not any(word in key for word in HARMLESS)
        if not structural or key in checked or key in TEXT_KEYS or key == "auto_map":
            continue
        if any(value is off or (value == off and type(value) is type(off)) for off in OFF):
            continue
        if used is None or key in used:
            yield key


def _read_by_code(reading: ReadingLike) -> frozenset[str] | None:
    """Attributes that the repo's own code loads by name; None without code."""
    if not reading.snapshot.python:
        return None
    found: set[str] = set()
    for file in reading.configs.code.run.code.files():
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                found.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
                found.add(node.value)
    return frozenset(found)


def _connector_depth(tree: Tree, held: Held, unread: Mapping[str, JSON]) -> Iterator[Difference]:
    """A stated number of connector layers against the Linear layers that the class always builds."""
    for key in LAYER_COUNTS:
        stated = unread.get(key)
        linears = _linear_layers(tree, held)
        if isinstance(stated, int) and not isinstance(stated, bool) and linears is not None and stated != linears:
            base = f"{held.cls.name} always builds {linears} Linear layers"
            yield Difference(key, base, f"config.json has {key} {stated}", "")


def _linear_layers(tree: Tree, held: Held) -> int | None:
    """Linear layers of the one Sequential that the class builds."""
    counts = []
    for sites in held.sites.values():
        call = sites[0].value if len(sites) == 1 else None
        body: list[ast.AST] = [call] if call is not None else []
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and _on_self(call.func):
            found = find_method(tree, held.cls, call.func.attr)
            body = [found[1]] if found is not None else []
        for node in (item for part in body for item in ast.walk(part) if isinstance(item, ast.Call)):
            if ast.unparse(node.func) == "nn.Sequential":
                layers = [ast.unparse(item.func) for item in node.args if isinstance(item, ast.Call)]
                counts.append(sum(name.endswith("Linear") for name in layers))
    return counts[0] if len(counts) == 1 else None


def _on_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def _pixel_shuffle(tree: Tree, held: Held, unread: Mapping[str, JSON]) -> Iterator[Difference]:
    """A pixel shuffle that the repo switches off and the class always does."""
    key = next((name for name in SHUFFLES if unread.get(name) is False), None)
    if key is None or find_method(tree, held.cls, "pixel_shuffle") is None:
        return
    yield Difference(key, f"{held.cls.name} always merges tokens by pixel shuffle", f"config.json has {key} false", "")


CHECKS: tuple[Callable[[Tree, Held, Mapping[str, JSON]], Iterator[Difference]], ...] = (
    _connector_depth,
    _pixel_shuffle,
)
