"""Near misses of a subclass that say nothing in its methods: what binds, patches or ties somewhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from porter.families.twin.anchors import read_anchors
from porter.families.verdict import decide
from tests.families.repos import needs_vllm, read, tree
from tests.twins import NATIVES, TWINS, write_repo

pytestmark = needs_vllm
BODY = "    config_class = WagtailConfig\n"
ZERO = "def forward(self, *args, **kwargs):\n            return 0\n"
SUBCLASS = {
    "a method in a branch": f"{BODY}    if True:\n        {ZERO}",
    "a method in a try": f"{BODY}    try:\n        {ZERO}    except Exception:\n        pass\n",
    "a method imported": f"{BODY}    from ._other import forward\n",
    "a method of several names": f"{BODY}    forward, _rest = print, 1\n",
    "weights tied anew": f"{BODY}\n    def tie_weights(self, *args):\n        self.lm_head.weight = None\n",
    "a patch by a map": f"{BODY}\n\n_ = list(map(setattr, [LlavaForConditionalGeneration], ['forward'], [print]))\n",
    "a patch of another package": f"{BODY}\n\nimport faster\n_ = faster.apply_to_llava()\n",
    "another dtype": f"{BODY}\n\n_ = torch.set_default_dtype(torch.float64)\n",
    "a name of several": f"{BODY}\n\npair = (print, 1)\nF, _ = pair\n",
}
CONNECTOR = "        hidden_states = self.widen(image_features)\n"
WRITTEN = {
    "a check": "assert torch.mul(image_features, 2, out=image_features) is not None",
    "a log line": "warnings.warn(str(F.relu(image_features, inplace=True)))",
}


def level(folder: Path) -> str:
    return decide(read(folder), tree()).level


def edited(folder: Path, name: str, old: str, new: str, **config: object) -> Path:
    write_repo(TWINS[name], folder)
    (code,) = folder.glob("modeling_*.py")
    said = code.read_text(encoding="utf-8")
    assert said.count(old) == 1
    code.write_text(said.replace(old, new), encoding="utf-8")
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **config}), encoding="utf-8")
    return folder


def test_the_edited_line_alone_changes_nothing(tmp_path: Path) -> None:
    assert level(edited(tmp_path, "wagtail-subclass", BODY, f'{BODY}    """A subclass."""\n')) == "inherit"


@pytest.mark.parametrize("what", SUBCLASS)
def test_what_a_subclass_binds_out_of_sight_is_no_port(what: str, tmp_path: Path) -> None:
    assert level(edited(tmp_path, "wagtail-subclass", BODY, SUBCLASS[what])) in ("compose", "refuse")


@pytest.mark.parametrize("what", WRITTEN)
def test_what_writes_into_its_argument_is_no_port(what: str, tmp_path: Path) -> None:
    folder = edited(tmp_path, "ousel-copy", CONNECTOR, f"        {WRITTEN[what]}\n{CONNECTOR}")
    assert level(folder) in ("compose", "refuse")


TIED = '    _tied_weights_keys = {"lm_head.weight": "model.mind.embed_tokens.weight"}\n'


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("ousel-copy", TIED, ""), ("wagtail-subclass", BODY, f"{BODY}    _tied_weights_keys = None\n")],
)
def test_weights_that_a_config_ties_and_the_class_does_not_are_no_port(
    name: str, old: str, new: str, tmp_path: Path
) -> None:
    assert level(edited(tmp_path / "tied", name, old, new, tie_word_embeddings=True)) in ("compose", "refuse")
    assert level(edited(tmp_path / "apart", name, old, new)) == "inherit"


@pytest.mark.parametrize(
    ("architecture", "model_type", "expected"),
    [
        ("Qwen2VLForConditionalGeneration", "qwen2_vl", (False, False)),
        ("Gemma4ForConditionalGeneration", "gemma4", (True, True)),
    ],
)
def test_what_the_tree_keys_by_name_is_known(architecture: str, model_type: str, expected: tuple[bool, bool]) -> None:
    anchors = read_anchors(tree(), architecture, model_type)
    assert (anchors.adjusted, anchors.typed) == expected


def configured(folder: Path, name: str, **values: object) -> Path:
    """The repo with values of config.json changed, `text_config__x` inside of a part."""
    write_repo({**TWINS, **NATIVES}[name], folder)
    path = folder / "config.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    for key, value in values.items():
        part, _, inner = key.rpartition("__")
        (document[part] if part else document)[inner] = value
    path.write_text(json.dumps(document), encoding="utf-8")
    return folder


def test_a_part_that_the_tree_builds_of_one_class_is_no_other_model(tmp_path: Path) -> None:
    # Idefics3 of vLLM has a Llama whatever its config names; a Granite has the same tensors and other numbers.
    assert level(configured(tmp_path / "llama", "merlin-subclass")) == "inherit"
    for other in ("granite", "qwen2"):
        folder = configured(tmp_path / other, "merlin-subclass", text_config__model_type=other)
        assert level(folder) in ("compose", "refuse")


@pytest.mark.parametrize(
    "architecture", ["Qwen2VLForSequenceClassification", "Qwen2VLModel", "SparrowForRewardModel", "Qwen2ForCausalLM"]
)
def test_a_name_of_another_head_is_no_alias(architecture: str, tmp_path: Path) -> None:
    folder = configured(tmp_path, "alias-native", architectures=[architecture])
    assert level(folder) in ("compose", "refuse")
