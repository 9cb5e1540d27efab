"""The towers that the family can use: the tree's own classes, found by what they are called with."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from porter.jsontypes import JSON
from porter.vllm_tree.classes import classes_of, find_class, find_method
from porter.vllm_tree.config_reads import config_attributes_read
from porter.vllm_tree.syntax import calls, parameter_names
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
    prefix: str | None = None
    """The setting that says how many learnt rows stand before the patches, where there may be more than one."""
    settings: Mapping[str, JSON] = field(default_factory=dict)
    """What the class reads and no repo of this kind can mean by the same name."""
    scales: tuple[str, ...] = ()
    """Vectors that the class multiplies each branch with, and towers of this kind lack."""


RADIO: Mapping[str, JSON] = {
    "teachers": [],
    "cls_token_per_teacher": False,
    "video_temporal_patch_size": 1,
    "separate_video_embedder": True,
}
KINDS = {
    "intern_vit": TowerKind("InternVisionModel", "intern_vit", None, True, "", False),
    "siglip": TowerKind("SiglipVisionModel", "siglip", "SiglipVisionConfig", False, "vision_model", True),
    "clip": TowerKind("CLIPVisionModel", "clip", "CLIPVisionConfig", True, "vision_model", False),
    "radio": TowerKind(
        "RadioInternVisionModel", "radio", None, True, "", False, "register_multiple", RADIO, ("ls1", "ls2")
    ),
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
    prefix: str | None = None
    settings: Mapping[str, JSON] = field(default_factory=dict)
    scales: tuple[str, ...] = ()
    fits: bool = False
    """Whether it fits its positions to images of other sizes, bicubic."""


def tower_anchors(tree: Tree) -> dict[str, TowerAnchor]:
    """The towers that this tree has, by kind; one that it lacks or spells in another way is left out."""
    if "tower_anchors" not in tree.memo:
        found = {kind: _anchor(tree, kind, known) for kind, known in KINDS.items()}
        tree.memo["tower_anchors"] = {kind: anchor for kind, anchor in found.items() if anchor is not None}
    anchors: dict[str, TowerAnchor] = tree.memo["tower_anchors"]
    return anchors


def _anchor(tree: Tree, kind: str, known: TowerKind) -> TowerAnchor | None:
    file = f"{MODELS}/{known.file}.py"
    cls = find_class(tree, file, known.cls)
    found = find_method(tree, cls, "__init__") if cls is not None else None
    names = parameter_names(found[1]) if found is not None else ()
    if "num_hidden_layers_override" not in names:
        return None
    return TowerAnchor(
        kind, known.cls, known.file, known.config, known.has_cls, known.inner, known.norms_last,
        "require_post_norm" in names, _reads(tree, file, known.cls), _skips_layers(tree, file),
        known.prefix, known.settings, known.scales, _fits(tree, file),
    )  # fmt: skip


def _skips_layers(tree: Tree, file: str) -> bool:
    """A `load_weights` of the file that counts the layers it has."""
    loaders = [cls.methods["load_weights"] for cls in classes_of(tree, file) if "load_weights" in cls.methods]
    return any("encoder.layers" in ast.unparse(node) for node in loaders)


def _fits(tree: Tree, file: str) -> bool:
    """A picture of positions that the file resizes, bicubic and by its corners' own places."""
    made = [node for cls in classes_of(tree, file) for node in calls(cls.node, "interpolate")]
    wanted = {"mode": "bicubic", "align_corners": False}
    found = [{item.arg: ast.unparse(item.value) for item in node.keywords} for node in made]
    return bool(found) and all(item.get(name) == repr(value) for item in found for name, value in wanted.items())


def _reads(tree: Tree, file: str, cls: str) -> dict[str, int]:
    """What the tower's class and its parts read off their config without a default, or after asking for it."""
    found = [read for read in config_attributes_read(tree, file, cls) if read.required or read.guard]
    return {read.path: read.line for read in sorted(found, key=lambda read: read.line) if "." not in read.path}
