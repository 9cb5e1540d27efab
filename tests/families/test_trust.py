"""Whether serving a repo would run its own code."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from porter.families.verdict import decide
from porter.vllm_tree import locate
from tests.facts.compare import read
from tests.variants import variant

pytestmark = pytest.mark.skipif(find_spec("vllm") is None, reason="this interpreter has no vLLM")


@pytest.mark.parametrize(
    ("model_type", "config_class", "tokenizer", "trust"),
    [
        ("unheard_of", "c.Config", None, True),
        ("unheard_of", None, None, False),
        ("deepseek_vl_v2", "c.Config", None, False),
        ("clip", "c.Config", None, False),
        ("clip", None, ["t.Tokenizer", None], True),
    ],
)
def test_trust(
    model_type: str, config_class: str | None, tokenizer: list[str | None] | None, trust: bool, tmp_path: Path
) -> None:
    repo = variant("plover-image-token").build(tmp_path / "repo")
    config = json.loads((repo / "config.json").read_text(encoding="utf-8"))
    config |= {"model_type": model_type, "auto_map": {"AutoConfig": config_class} if config_class else {}}
    (repo / "config.json").write_text(json.dumps(config), encoding="utf-8")
    if tokenizer is not None:
        (repo / "tokenizer_config.json").write_text(json.dumps({"auto_map": {"AutoTokenizer": tokenizer}}))
    assert decide(read(repo), locate(None, None, sys.executable)).trust is trust
