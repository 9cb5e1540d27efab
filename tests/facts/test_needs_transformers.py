"""Which releases of transformers have what the code imports: the shipped table, and ranges made from it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from porter.facts import Confidence, Fact
from porter.facts.needs_transformers import specifier
from porter.facts.transformers_symbols import DATA, symbol_table
from tests.facts.compare import read
from tests.facts.models import write

TABLE = symbol_table()


@pytest.mark.parametrize(
    ("module", "name", "expected"),
    [
        ("transformers", "PreTrainedModel", ">=4.31"),
        ("transformers", "Qwen2ForCausalLM", ">=4.37"),
        ("transformers", "AutoModelForVision2Seq", ">=4.31,<5.0"),
        ("transformers", "Qwen2TokenizerFast", ">=4.37"),
        ("transformers.models.qwen2", "Qwen2TokenizerFast", ">=4.37"),
        ("transformers.models.qwen2.modeling_qwen2", "Qwen2Model", ">=4.37"),
        ("transformers.models.llama.modeling_llama", "LlamaFlashAttention2", ">=4.34,<4.48"),
        ("transformers.cache_utils", "DynamicCache", ">=4.36"),
        ("transformers.image_utils", "VideoInput", ">=4.41,<4.52"),
        ("transformers.utils", "logging", ">=4.31"),
        ("transformers.utils.import_utils", "is_torch_fx_available", ">=4.31,<5.0"),
        ("transformers.tokenization_utils_fast", "PreTrainedTokenizerFast", ">=4.31"),
        ("transformers.onnx", "OnnxConfig", ">=4.31,<5.0"),
        ("transformers.models.aria", None, ">=4.48"),
        ("transformers.deepspeed", None, ">=4.31,<4.46"),
    ],
)
def test_the_table_knows_what_release_notes_say(module: str, name: str | None, expected: str) -> None:
    mask = TABLE.mask(module, name)
    assert mask
    assert specifier(mask, TABLE) == expected


@pytest.mark.parametrize(
    ("module", "name"),
    [("transformers", "NoSuchModel"), ("transformers.nothing", "X"), ("transformers.models.foo.modeling_foo", "Foo")],
)
def test_what_no_release_has(module: str, name: str) -> None:
    assert TABLE.mask(module, name) == 0


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("transformers.trainer", "Trainer"), ("transformers", "TFAutoModel"), ("torch", "nn"),
        ("transformers.models.auto.auto_factory", "X"), ("transformers.modeling_utils", "torch"),
    ],
)  # fmt: skip
def test_what_the_table_leaves_out_is_not_denied(module: str, name: str) -> None:
    assert TABLE.mask(module, name) is None


def test_the_table_is_in_order_and_small() -> None:
    text = gzip.decompress(DATA.read_bytes()).decode("utf-8").splitlines()
    modules = [line.split(" ")[0] for line in text[3:] if not line.startswith(" ")]
    assert modules == sorted(modules)
    assert DATA.stat().st_size < 250_000


def ranged(folder: Path, code: str, **config: Any) -> Fact:
    maps = {"auto_map": {"AutoModel": "m.Model"}}
    return read(write(folder, "", {**maps, **config}, m__py=code)).facts["transformers_range"]


QWEN2 = "from transformers import Qwen2Config\n"
OLD = "from transformers.utils.import_utils import is_torch_fx_available\n"


def test_the_range_is_what_all_imports_leave(tmp_path: Path) -> None:
    fact = ranged(tmp_path, f"{QWEN2}{OLD}from transformers import PreTrainedModel\n")
    assert (fact.value, fact.confidence) == (">=4.37,<5.0", Confidence.LIKELY)
    shown = [(item.where, item.text) for item in fact.evidence]
    assert shown == [
        ("line 1", "from transformers import Qwen2Config  (transformers >=4.37)"),
        ("line 2", f"{OLD.strip()}  (transformers >=4.31,<5.0)"),
    ]
    assert f"transformers {TABLE.minors[0]} to {TABLE.minors[-1]}" in fact.note


@pytest.mark.parametrize(
    "code",
    [
        f"try:\n    {OLD}except ImportError:\n    pass\n", f"if is_x_available():\n    {OLD}",
        f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {OLD}",
        f"import transformers\nif transformers.__version__ < '5':\n    {OLD}else:\n    import x\n",
    ],
)  # fmt: skip
def test_guarded_imports_do_not_bound(tmp_path: Path, code: str) -> None:
    assert ranged(tmp_path, f"{QWEN2}{code}").value == ">=4.37"


def test_an_import_inside_a_function_is_a_note(tmp_path: Path) -> None:
    fact = ranged(tmp_path, f"{QWEN2}def f():\n    {OLD}")
    assert fact.value == ">=4.37"
    assert "imported when called: transformers.utils.import_utils.is_torch_fx_available (m.py line 3)" in fact.note


def test_a_name_that_no_release_has_is_named(tmp_path: Path) -> None:
    fact = ranged(tmp_path, f"{QWEN2}from transformers.models.qwen2.modeling_qwen2 import Qwen2Imagined\n")
    assert (fact.value, fact.confidence) == (None, Confidence.UNKNOWN)
    assert "exists in no release of transformers 4.31 to" in fact.note
    assert "Qwen2Imagined (m.py line 2)" in fact.note


def test_imports_that_exclude_each_other_are_named(tmp_path: Path) -> None:
    fact = ranged(tmp_path, f"{OLD}from transformers.models.qwen3_5.configuration_qwen3_5 import Qwen3_5Config\n")
    assert fact.value is None
    assert "is_torch_fx_available (m.py line 1) is in >=4.31,<5.0 and" in fact.note


def test_the_version_in_config_json_is_shown_and_held_against_it(tmp_path: Path) -> None:
    fact = ranged(tmp_path, QWEN2, transformers_version="4.33.0.dev0")
    assert fact.evidence[-1].where == "transformers_version"
    assert "written by 4.33.0.dev0, which lacks transformers.Qwen2Config (m.py line 1)" in fact.note
    assert "written by" not in ranged(tmp_path / "ok", QWEN2, transformers_version="4.40.1").note


@pytest.mark.parametrize("version", [None, 3, "", "no version", "99.0.0", [], "4." + "9" * 4000, "\u202e"])
def test_any_transformers_version_is_survived(tmp_path: Path, version: Any) -> None:
    assert ranged(tmp_path, QWEN2, transformers_version=version).value == ">=4.37"


def test_nothing_is_known_without_code_or_imports(tmp_path: Path) -> None:
    assert ranged(tmp_path, "import torch\n").confidence is Confidence.UNKNOWN
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "config.json").write_text(json.dumps({"transformers_version": "4.40.0"}), encoding="utf-8")
    fact = read(tmp_path / "none").facts["transformers_range"]
    assert (fact.value, fact.confidence) == (None, Confidence.ABSENT)
