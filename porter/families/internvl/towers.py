"""The towers that the family can use: the tree's own classes, found by what they are called with."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from porter.errors import PorterError
from porter.families.classes import SourceFile, config_reads, method_of, parameter_names, read_file
from porter.vllm_tree.tree import Tree

MODELS = "model_executor/models"


@dataclass(frozen=True, slots=True)
class TowerKind:
    """One kind of tower: the tree's class and file, transformers' config class, whether a class token comes first."""

    cls: str
    file: str
    config: str | None
    has_cls: bool
    inner: str
    """The attribute under which the class keeps the encoder, "" when it is the encoder itself."""
    norms_last: bool
    """Whether the reference applies its post layer norm to `last_hidden_state`."""


KINDS = {
    "intern_vit": TowerKind("InternVisionModel", "intern_vit", None, True, "", False),
    "siglip": TowerKind("SiglipVisionModel", "siglip", "SiglipVisionConfig", False, "vision_model", True),
    "clip": TowerKind("CLIPVisionModel", "clip", "CLIPVisionConfig", True, "vision_model", False),
}


@dataclass(frozen=True, slots=True)
class TowerAnchor:
    """A tower class of this tree. `reads` are the config attributes that its file reads with the first line of each."""

    kind: str
    cls: str
    module: str
    config: str | None
    has_cls: bool
    inner: str
    norms_last: bool
    post_norm: bool
    reads: dict[str, int]
    skips_layers: bool = True
    """Whether its loader passes over layers that were not built because a lower one is tapped."""


def tower_anchors(tree: Tree) -> dict[str, TowerAnchor]:
    """The towers that this tree has, by kind; one that it lacks or spells in another way is left out."""
    found: dict[str, TowerAnchor] = {}
    for kind, known in KINDS.items():
        try:
            file = read_file(tree, f"{MODELS}/{known.file}.py")
        except (PorterError, OSError, SyntaxError):
            continue
        init = method_of(file, known.cls, "__init__")
        if init is None or "num_hidden_layers_override" not in parameter_names(init):
            continue
        found[kind] = TowerAnchor(
            kind, known.cls, known.file, known.config, known.has_cls, known.inner, known.norms_last,
            "require_post_norm" in parameter_names(init), _reads(file, known), _skips_layers(file),
        )  # fmt: skip
    return found


def _skips_layers(file: SourceFile) -> bool:
    """A `load_weights` of the file that counts the layers it has."""
    found = [method_of(file, name, "load_weights") for name in file.classes]
    return any("encoder.layers" in ast.unparse(node) for node in found if node is not None)


def _reads(file: SourceFile, known: TowerKind) -> dict[str, int]:
    """What the tower's own classes read off their config; classes for text and whole models stay out."""
    found: dict[str, int] = {}
    for name, node in file.classes.items():
        if known.config is None or ("Vision" in name or name.endswith(("Attention", "MLP", "Layer", "Encoder"))):
            for attribute, line in config_reads(node).items():
                found.setdefault(attribute, line)
    return {name: line for name, line in found.items() if "." not in name}
