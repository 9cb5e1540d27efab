"""What the code needs: packages with their conditions, attention back ends, and what running it would mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from porter.facts import Confidence, Fact
from porter.facts.needs_imports import Import, imports_in
from porter.facts.needs_walk import walk_code
from porter.source.codebase import CodeBase
from tests.facts.compare import read
from tests.facts.models import write

GUARDS = """
import einops
from timm.layers import DropPath
import importlib
from typing import TYPE_CHECKING
try:
    import flash_attn
except ImportError:
    flash_attn = None
try:
    import decord
except ImportError as error:
    raise ImportError("pip install decord") from error
try:
    import apex
except ValueError:
    pass
if is_xformers_available():
    import xformers
else:
    import other
if TYPE_CHECKING:
    import typed
if __name__ == "__main__":
    import gradio
with contextlib.suppress(ImportError):
    import soft
if True:
    import always
from . import sibling
from .tower import Tower
moved = importlib.import_module("lmdb")


class Model:
    import inside_class

    def forward(self):
        import cv2
        try:
            import magi
        except Exception:
            pass
        return importlib.import_module(self.name)
"""


def found(text: str) -> dict[str, Import]:
    return {item.module: item for item in imports_in(walk_code(CodeBase({"m.py": text})))}


@pytest.mark.parametrize(
    ("module", "guard", "lazy"),
    [
        ("einops", "", False), ("timm.layers", "", False), ("flash_attn", "try", False), ("decord", "", False),
        ("apex", "", False), ("xformers", "if", False), ("other", "if", False), ("typed", "types", False),
        ("gradio", "main", False), ("soft", "try", False), ("always", "", False), ("lmdb", "", False),
        ("inside_class", "", False), ("cv2", "", True), ("magi", "try", True),
    ],
)  # fmt: skip
def test_the_conditions_of_an_import(module: str, guard: str, lazy: bool) -> None:
    item = found(GUARDS)[module]
    assert (item.place.guard, item.place.lazy) == (guard, lazy)
    assert GUARDS.splitlines()[item.line - 1].strip().split()[-1]


def test_relative_imports_and_computed_names_are_no_packages() -> None:
    assert not {"sibling", "tower", "", "self"} & set(found(GUARDS))


def test_code_that_nests_deeply_is_walked() -> None:
    deep = "x = " + "+".join(["1"] * 800) + "\nimport einops\n"
    assert set(found(deep)) == {"einops"}


def fact(folder: Path, code: str, name: str, **config: Any) -> Fact:
    maps = {"auto_map": {"AutoModel": "m.Model"}}
    return read(write(folder, "", {**maps, **config}, m__py=code)).facts[name]


def test_packages_by_the_names_that_an_installer_knows(tmp_path: Path) -> None:
    code = "import cv2, einops, torch, numpy, os\nfrom PIL import Image\nimport sklearn\nfrom qwen_vl_utils import y\n"
    needed = fact(tmp_path, code, "python_dependencies")
    assert needed.value == ["einops", "opencv-python-headless", "qwen-vl-utils", "scikit-learn"]
    assert needed.confidence is Confidence.CERTAIN
    assert ("m.py", "line 1", "import cv2") in {(e.file, e.where, e.text) for e in needed.evidence}


def test_optional_and_late_imports_are_told_apart(tmp_path: Path) -> None:
    code = "try:\n    import flash_attn\nexcept ImportError:\n    pass\ndef f():\n    import decord\nimport timm\n"
    needed = fact(tmp_path, code, "python_dependencies")
    assert needed.value == ["decord", "flash-attn", "timm"]
    assert "optional: flash-attn" in needed.note
    assert "inside functions, loading asks for them all the same: decord" in needed.note
    assert "timm" not in needed.note


def test_files_of_the_repo_are_no_packages(tmp_path: Path) -> None:
    maps = {"auto_map": {"AutoModel": "m.Model"}}
    files = {"m__py": "import encoder\nfrom kernels.fast import f\n", "encoder__py": "import addict\n"}
    folder = write(tmp_path, "", maps, **files)
    (folder / "kernels").mkdir()
    (folder / "kernels" / "fast.py").write_text("", encoding="utf-8")
    needed = read(folder).facts["python_dependencies"]
    assert needed.value == ["addict"]
    assert "encoder, kernels" in needed.note


def test_missing_code_makes_it_less_sure(tmp_path: Path) -> None:
    needed = fact(tmp_path, "import einops\nfrom .gone import x\n", "python_dependencies")
    assert (needed.value, needed.confidence) == (["einops"], Confidence.LIKELY)
    assert "from .gone import x" in needed.note


@pytest.mark.parametrize(
    ("config", "value", "confidence"),
    [({"auto_map": {"AutoModel": "gone.M"}}, None, Confidence.UNKNOWN), ({"auto_map": None}, [], Confidence.ABSENT)],
)
def test_without_code(tmp_path: Path, config: dict[str, Any], value: object, confidence: Confidence) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    needed = read(tmp_path).facts["python_dependencies"]
    assert (needed.value, needed.confidence) == (value, confidence)


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("from flash_attn import x\n", ["flash_attn"]),
        ("try:\n    import flash_attn\nexcept ImportError:\n    pass\n", []),
        ("def f():\n    import flash_attn\n", []),
        ("def f(config):\n    config._attn_implementation = 'flash_attention_2'\n", ["flash_attn"]),
        ("def f(config):\n    if fast:\n        config._attn_implementation = 'flash_attention_2'\n", []),
        ("def f(config):\n    config._attn_implementation = 'flash_attention_2' if fast else 'eager'\n", []),
        ("def f(config):\n    assert config._attn_implementation == 'magi'\n", ["magi"]),
        ("def f(config):\n    if config._attn_implementation != 'magi':\n        raise ValueError\n", ["magi"]),
        ("def f(config):\n    if config._attn_implementation == 'magi':\n        raise ValueError\n", []),
        ("def f(c):\n    return AutoModel.from_config(c, attn_implementation='flash_attention_3')\n", ["flash_attn_3"]),
        ("def f(c):\n    return AutoModel.from_config(c, attn_implementation='eager')\n", []),
    ],
)
def test_attention_that_the_code_insists_on(tmp_path: Path, code: str, value: list[str]) -> None:
    assert fact(tmp_path, code, "attention_backends").value == value


def test_attention_that_a_config_asks_for_at_any_depth(tmp_path: Path) -> None:
    nested = {"decoder": {"inner": {"_attn_implementation": "magi"}}, "attn_implementation": "sdpa"}
    backends = fact(tmp_path, "", "attention_backends", **nested)
    assert backends.value == ["magi"]
    assert backends.evidence[0].where == "decoder.inner._attn_implementation"


def test_a_model_without_sdpa_says_so(tmp_path: Path) -> None:
    backends = fact(tmp_path, "class Model:\n    _supports_sdpa = False\n", "attention_backends")
    assert (backends.value, backends.note) == ([], "m.py line 2: Model has no sdpa attention")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os\nos.system('x')\n", "os.system runs on import: m.py line 2"),
        ("import subprocess as s\ndef f():\n    s.run([])\n", "subprocess.run runs when called: m.py line 3"),
        ("def f(x):\n    return eval(x)\n", "eval runs when called: m.py line 2"),
        ("import requests\nfont = requests.get('https://x')\n", "requests.get runs on import: m.py line 2"),
        ("import torch\nw = torch.load('w.bin')\n", "torch.load runs on import: m.py line 2"),
        ("import os\ndef f(a=os.system('x')): pass\n", "os.system runs on import: m.py line 2"),
        (
            "m = X.from_pretrained('else/x', trust_remote_code=True)\n",
            "loads else/x with that repo's code: m.py line 1",
        ),
    ],
)
def test_calls_that_act_on_the_machine_are_named(tmp_path: Path, code: str, words: str) -> None:
    notes = fact(tmp_path, code, "security").value
    assert isinstance(notes, list)
    assert any(words in str(note) for note in notes), notes


@pytest.mark.parametrize(
    "code",
    [
        "import os\nname = os.path.join('a', 'b')\n", "model.eval()\n", "import torch\nf = torch.compile(g)\n",
        "import re\np = re.compile('x')\n", "def compile(x): return x\ny = compile(z)\n",
        "import requests\ndef f():\n    requests.get('x')\n",
        "import os\nif __name__ == '__main__':\n    os.system('x')\n",
    ],
)  # fmt: skip
def test_ordinary_calls_are_not(tmp_path: Path, code: str) -> None:
    assert fact(tmp_path, code, "security").value == ["model: code of the repo, needs --trust-remote-code"]


def test_a_third_party_repo_and_a_refused_entry_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    maps = {"AutoModel": "m.Model", "AutoConfig": "../../x.Config"}
    vision = {"auto_map": {"AutoModel": "else/tower--vit.Tower"}}
    notes = fact(tmp_path / "repo", "", "security", auto_map=maps, vision_config=vision)
    text = json.dumps(notes.value)
    assert "else/tower (a third party's) would run, at no pinned commit" in text
    assert "../../x is no file within a repo" in text
    assert {item.where for item in notes.evidence} >= {"vision_config.auto_map.AutoModel", "auto_map.AutoConfig"}


@pytest.mark.parametrize(
    ("files", "pickled"),
    [
        (("pytorch_model.bin",), True), (("model.pth", "training_args.bin"), True),
        (("pytorch_model.bin", "model.safetensors.index.json"), False), (("training_args.bin",), False),
        (("pytorch_model.bin.index.json",), True),
    ],
)  # fmt: skip
def test_weights_that_are_pickles_only(tmp_path: Path, files: tuple[str, ...], pickled: bool) -> None:
    write(tmp_path, "")
    for name in files:
        (tmp_path / name).write_text('{"weight_map": {}}', encoding="utf-8")
    assert ("pickle" in json.dumps(read(tmp_path).facts["security"].value)) is pickled


def test_nothing_to_say_is_absent(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    nothing = read(tmp_path).facts["security"]
    assert (nothing.value, nothing.confidence) == ([], Confidence.ABSENT)
