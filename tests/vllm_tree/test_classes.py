"""Classes across files: bases, methods, signatures, and the config attributes that they read."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from porter.vllm_tree import architectures, locate
from porter.vllm_tree.classes import (
    external_bases,
    find_attribute,
    find_class,
    find_method,
    imported_from,
    lineage,
    module_constants,
    registered_processor,
)
from porter.vllm_tree.config_reads import config_attributes_read
from tests.trees import write_tree

MODEL = "model_executor/models/plum.py"
PLUM = """import torch.nn as nn
from vllm.multimodal import MULTIMODAL_REGISTRY
from .tower import Tower as TheTower, build_head
from .interfaces import SupportsMultiModal

MEAN = (0.5, 0.25)
NAME: str = "<plum>"
COMPUTED = MEAN[0]


class PlumInfo:
    def get_sizes(self):
        config = self.get_hf_config()
        vision = config.vision_config
        return vision.image_size, config.get_text_config().model_type


class PlumProcessor:
    def __init__(self, tokenizer, length: int, *, ctx: str = "<ctx>", other=None, many=list()): ...


class PlumBase(nn.Module, SupportsMultiModal):
    limit = 3

    def __init__(self, *, vllm_config, prefix=""):
        config = vllm_config.model_config.hf_config
        self.config = config
        size = config.force_size or config.vision_config.image_size
        self.tower = self._tower(config)
        self.head = build_head(config.text_config, ratio=config.ratio)

    def _tower(self, config):
        return TheTower(config.vision_config, depth=config.vision_config.depth)

    def forward(self):
        return self.config.scale, getattr(self.config, "maybe", 7), hasattr(self.config, "perhaps")


@MULTIMODAL_REGISTRY.register_processor(PlumProcessor, info=PlumInfo, dummy_inputs=Dummy)
class PlumModel(PlumBase):
    def _tower(self, config):
        config.written = 1
        return TheTower(config.vision_config, depth=config.other_depth)
"""
TOWER = """import torch.nn as nn


class Block(nn.Module):
    def __init__(self, config, index):
        self.width = config.hidden_size
        self.eps = getattr(config, "eps", 1e-6)


class Tower(nn.Module):
    block_class = Block

    def __init__(self, config, depth, make: type[Block] = Block):
        self.blocks = [make(config, n) for n in range(depth)]
        self.more = self.block_class(config=config, index=0)
        self.norm = norm(config.norm_type)


def norm(kind): ...


def build_head(config, ratio):
    width = config.hidden_size
    return width
"""


@pytest.fixture
def plum(tmp_path: Path) -> Path:
    return write_tree(tmp_path, {f"vllm/{MODEL}": PLUM, "vllm/model_executor/models/tower.py": TOWER})


def test_config_attributes_are_followed_into_the_parts(plum: Path) -> None:
    reads = config_attributes_read(locate(tree=plum), MODEL, "PlumModel")
    found = {read.path: (read.scope, read.required, read.default) for read in reads}
    assert found == {
        "force_size": ("model", True, None),
        "vision_config.image_size": ("vision", True, None),
        "ratio": ("model", True, None),
        "other_depth": ("model", True, None),
        "vision_config.hidden_size": ("vision", True, None),
        "vision_config.eps": ("vision", False, "1e-06"),
        "vision_config.norm_type": ("vision", True, None),
        "text_config.hidden_size": ("text", True, None),
        "scale": ("model", True, None),
        "maybe": ("model", False, "7"),
        "perhaps": ("model", False, None),
    }


def test_an_overridden_method_hides_what_the_base_reads(plum: Path) -> None:
    tree = locate(tree=plum)
    assert "vision_config.depth" in {read.path for read in config_attributes_read(tree, MODEL, "PlumBase")}
    assert "vision_config.depth" not in {read.path for read in config_attributes_read(tree, MODEL, "PlumModel")}


def test_processing_info_reads_through_accessors(plum: Path) -> None:
    reads = config_attributes_read(locate(tree=plum), MODEL, "PlumInfo")
    assert {read.path for read in reads} == {"vision_config.image_size", "text_config.model_type"}


def test_evidence_names_file_and_line(plum: Path) -> None:
    tree = locate(tree=plum)
    for read in config_attributes_read(tree, MODEL, "PlumModel"):
        assert read.attribute.rsplit(".", 1)[-1] in tree.text(read.file).splitlines()[read.line - 1]


def test_signatures_constants_bases(plum: Path) -> None:
    tree = locate(tree=plum)
    processor = find_class(tree, MODEL, "PlumProcessor")
    model = find_class(tree, MODEL, "PlumModel")
    assert processor is not None and model is not None
    signature = processor.signature()
    assert [(p.name, p.has_default, p.default, p.keyword_only) for p in signature.values()] == [
        ("tokenizer", False, None, False),
        ("length", False, None, False),
        ("ctx", True, "<ctx>", True),
        ("other", True, None, True),
        ("many", True, None, True),
    ]
    assert signature["many"].default_source == "list()"
    assert module_constants(tree, MODEL) == {"MEAN": (0.5, 0.25), "NAME": "<plum>"}
    assert [cls.name for cls in lineage(tree, model)] == ["PlumModel", "PlumBase", "SupportsMultiModal", "_Base"]
    assert external_bases(tree, model) == ("torch.nn.Module",)
    trio = registered_processor(model)
    assert trio is not None and (trio.processor, trio.info, trio.dummy_inputs) == ("PlumProcessor", "PlumInfo", "Dummy")
    assert imported_from(tree, MODEL, "build_head") == "vllm.model_executor.models.tower"
    attribute, method = find_attribute(tree, model, "limit"), find_method(tree, model, "embed_multimodal")
    assert attribute is not None and attribute[0].name == "PlumBase"
    assert method is not None and method[0].file == "model_executor/models/interfaces.py"
    assert find_class(tree, MODEL, "TheTower") is not None and find_class(tree, MODEL, "Nothing") is None


def test_a_cycle_ends(tmp_path: Path) -> None:
    text = "class A(B):\n    def f(self, config): return A(config.x_config)\n\n\nclass B(A):\n    pass\n"
    tree = locate(tree=write_tree(tmp_path, {f"vllm/{MODEL}": text}))
    cls = find_class(tree, MODEL, "A")
    assert cls is not None and [item.name for item in lineage(tree, cls)] == ["A", "B"]
    assert config_attributes_read(tree, MODEL, "A")


@pytest.mark.skipif(find_spec("vllm") is None, reason="this interpreter has no vLLM")
def test_the_installed_internvl() -> None:
    tree = locate()
    file = architectures(tree)["InternVLChatModel"].file(tree)
    assert file is not None
    cls = find_class(tree, file, "InternVLChatModel")
    trio = registered_processor(cls) if cls else None
    assert cls is not None and trio is not None and trio.info is not None
    model = {read.path for read in config_attributes_read(tree, file, cls.name)}
    assert {"force_image_size", "downsample_ratio", "ps_version", "select_layer"} <= model
    tower = {path.partition(".")[2] for path in model if path.startswith("vision_config.")}
    assert {
        "hidden_size",
        "num_attention_heads",
        "qkv_bias",
        "qk_normalization",
        "norm_type",
        "layer_norm_eps",
    } <= tower
    info = {read.path for read in config_attributes_read(tree, file, trio.info)}
    assert {"min_dynamic_patch", "max_dynamic_patch", "use_thumbnail", "vision_config.patch_size"} <= info
