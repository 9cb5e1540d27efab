"""A source tree with tests of its own, laid out as vLLM's are and written for these tests; no vLLM is needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

ARCHITECTURE = "SkylarkVLForCausalLM"
REPO = "org/skylark"
REVISION = "1" * 40

CONFTEST = """import pytest


@pytest.fixture(autouse=True)
def conftest_was_loaded(monkeypatch):
    monkeypatch.setenv("CONFTEST", "loaded")
"""

UTILS = """import functools
import os

import pytest


def in_a_fork(function):
    @functools.wraps(function)
    def forked(*args, **kwargs):
        pid = os.fork()
        if pid == 0:
            os.setpgrp()
            try:
                function(*args, **kwargs)
            except pytest.skip.Exception:
                os._exit(0)
            except BaseException:
                os._exit(1)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0, "the forked test ended badly"

    return forked
"""

REGISTRY = f"""class Example:
    def __init__(self, default, extras=(), revision=None, trust_remote_code=False):
        self.default = default
        self.revision = revision


EXAMPLES = {{
    "OtherModel": Example("org/other"),
    "{ARCHITECTURE}": Example("{REPO}"),
}}
"""

TEST_REGISTRY = f"""import pytest

from .registry import EXAMPLES

SUPPORTED = ["OtherModel", "{ARCHITECTURE}"]


@pytest.mark.parametrize("model_arch", SUPPORTED)
def test_imports(model_arch):
    assert model_arch in EXAMPLES, f"no example of {{model_arch}}"


@pytest.mark.parametrize("model_arch,answer", [("OtherModel", 1)])
def test_property(model_arch, answer):
    raise RuntimeError("this case is not the architecture's")


def test_nothing_to_do_with_it():
    raise RuntimeError("nobody asked for this one")


def test_hf_registry_coverage():
    missing = set(SUPPORTED) - EXAMPLES.keys()
    assert not missing, f"please add {{missing}}"
"""

LOADS = """import json

from huggingface_hub import hf_hub_download


def model_type(info):
    path = hf_hub_download(info.default, "config.json", revision=info.revision)
    with open(path) as stream:
        return json.load(stream)["model_type"]
"""

TEST_INIT = """import pytest

from ..loads import model_type
from ..utils import in_a_fork
from .registry import EXAMPLES


@pytest.mark.parametrize("model_arch", EXAMPLES)
@in_a_fork
def test_can_initialize(model_arch):
    assert model_type(EXAMPLES[model_arch]) == "skylark"
"""

TEST_SCHEMA = """import os

import pytest

from ....loads import model_type
from ...registry import EXAMPLES

INFOS = {info.default: info for info in EXAMPLES.values()}


@pytest.mark.parametrize("model_id", INFOS)
def test_schema(model_id):
    assert os.environ["CONFTEST"] == "loaded"
    assert model_type(INFOS[model_id]) == "skylark"
"""

TEST_COMMON = """import pytest
import vllm

from ...registry import EXAMPLES


@pytest.mark.parametrize("model_id", [info.default for info in EXAMPLES.values()])
@pytest.mark.parametrize("hit_rate", [0.3, 1.0])
def test_processing(model_id, hit_rate):
    assert vllm.OVERLAY and model_id.startswith("org/")
"""

PACKAGES = ("", "models/", "models/multimodal/", "models/multimodal/processing/")
FILES: Mapping[str, str] = {
    **{f"{folder}__init__.py": "" for folder in PACKAGES},
    "conftest.py": CONFTEST,
    "utils.py": UTILS,
    "loads.py": LOADS,
    "models/registry.py": REGISTRY,
    "models/test_registry.py": TEST_REGISTRY,
    "models/test_initialization.py": TEST_INIT,
    "models/multimodal/processing/test_tensor_schema.py": TEST_SCHEMA,
    "models/multimodal/processing/test_common.py": TEST_COMMON,
}


def write_own_tests(root: Path, changed: Mapping[str, str | None] | None = None) -> Path:
    """Write the tree with some files of its tests replaced, or left out (None); returns its root."""
    files = {"pyproject.toml": "[tool.pytest.ini_options]\nmarkers = []\n"}
    for path, text in {**FILES, **(changed or {})}.items():
        if text is not None:
            files[f"tests/{path}"] = text
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    # Beside the tests, and not the one to import: that is the overlay, which has the compiled files.
    (root / "vllm").mkdir(exist_ok=True)
    (root / "vllm" / "__init__.py").write_text("raise ImportError('the tree shadows the overlay')\n")
    return root
