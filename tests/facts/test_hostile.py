# ruff: noqa: E501 (programs stand on one line each)
"""Hostile repos: `infer` gives a reading or raises PorterError, never anything else; and it runs nothing."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from porter.errors import PorterError
from porter.facts import RepoReading
from porter.facts.model import Confidence, Fact
from tests.facts.compare import read
from tests.source.test_interpreter import HOSTILE
from tests.variants import variant

BASES = ("plover-image-token", "wren-clip-nested", "osprey-prefixed", "petrel-wrapped-tower")
FILES = ("config.json", "tokenizer_config.json", "preprocessor_config.json", "tokenizer.json")
QUICK = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
JUNK: list[Any] = [
    None, True, False, 0, -1, 1, 10**30, -(10**30), 1e308, 0.0, -0.5, "", "x", "/etc/passwd", "../..", "\ud83d", "{{ 1 }}",
    "a" * 5000, [], [[]], [None], [1, 2], ["a", 3], [{}], {}, {"a": 1}, {"": None}, {"auto_map": 3}, [[1, 2], [3]],
    {"height": 0, "width": "x"}, {"shortest_edge": None}, "1", "v1", [0.5, 0.5], [448, 336],
]  # fmt: skip


def survives(folder: Path) -> RepoReading | None:
    """A reading whose facts are sound JSON, or None for an expected failure that says what is wrong in one line."""
    try:
        reading = read(folder)
    except PorterError as error:
        assert error.message
        assert "\n" not in error.message
        return None
    json.dumps(reading.facts.to_json())
    for fact in reading.facts.values():
        check_fact(fact)
    for scope in ("model", "vision", "text"):
        for attribute in ("force_image_size", "select_layer", "downsample_ratio", "hidden_size", "ps_version", "zzz"):
            json.dumps(reading.resolve(scope, attribute).to_json())  # type: ignore[arg-type]
    return reading


def check_fact(fact: Fact) -> None:
    """A value and its confidence belong together, and what is claimed to be known says where it was read."""
    if fact.confidence is Confidence.UNKNOWN and fact.name not in LISTS:
        assert fact.value is None, fact
    if fact.value is None:
        assert fact.confidence in (Confidence.UNKNOWN, Confidence.ABSENT), fact
    if fact.confidence in (Confidence.CERTAIN, Confidence.LIKELY) and fact.note != "weights layout not seen":
        assert fact.evidence, fact
    for name in NUMBERS_ABOVE_ZERO:
        if fact.name == name and fact.value is not None:
            sides = fact.value if isinstance(fact.value, list) else [fact.value]
            assert all(isinstance(side, (int, float)) and side > 0 for side in sides), fact


LISTS = ("buffers", "modalities")
"""Facts whose empty list means "none was seen"."""
NUMBERS_ABOVE_ZERO = ("image_size", "patch_size", "tokens_per_tile", "downsample_ratio", "min_tiles", "max_tiles")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("bases")
    return {name: variant(name).build(root / name) for name in BASES}


def copied(source: Path, target: Path) -> Path:
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def paths_in(value: Any, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield prefix
    items = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths_in(inner, (*prefix, key))


def put(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = junk
    return value


@QUICK
@given(st.data())
@pytest.mark.parametrize("base", BASES)
def test_swapped_types(base: str, built: dict[str, Path], data: st.DataObject) -> None:
    """Any value of any JSON file may be anything."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = copied(built[base], Path(scratch) / "repo")
        for _ in range(data.draw(st.integers(1, 3))):
            name = data.draw(st.sampled_from([name for name in FILES if (folder / name).is_file()]))
            value = json.loads((folder / name).read_text(encoding="utf-8"))
            where = data.draw(st.sampled_from(list(paths_in(value))))
            changed = put(copy.deepcopy(value), where, data.draw(st.sampled_from(JUNK)))
            (folder / name).write_text(json.dumps(changed), encoding="utf-8")
            if not isinstance(changed, dict):
                break
        survives(folder)


def test_every_value_of_config_swapped_once(built: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(built["osprey-prefixed"], tmp_path / "repo")
    original = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for index, where in enumerate(paths_in(original)):
        junk = JUNK[(index * 7) % len(JUNK)]
        (folder / "config.json").write_text(json.dumps(put(copy.deepcopy(original), where, junk)), encoding="utf-8")
        survives(folder)


def repo(folder: Path, config: Any, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
    return folder


MAP = {
    "architectures": ["Model"],
    "model_type": "m",
    "auto_map": {"AutoConfig": "c.Config", "AutoModel": "m.Model"},
    "vision_config": {"hidden_size": 8, "image_size": 8, "patch_size": 2, "num_hidden_layers": 1},
    "text_config": {"hidden_size": 8, "vocab_size": 9, "num_hidden_layers": 1, "architectures": ["LlamaForCausalLM"]},
}
CONFIG = """
from transformers import PretrainedConfig
class Config(PretrainedConfig):
    def __init__(self, vision_config=None, text_config=None, **kwargs):
        super().__init__(**kwargs)
        self.vision_config = vision_config
        self.text_config = text_config
"""


def test_nothing_of_the_repo_runs(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    spell = f"open({str(canary)!r}, 'w').write('ran')\n"
    code = (
        "import os, builtins\n" + spell + f"os.system('touch {canary}')\n"
        f"class Meta(type):\n    def __new__(m, *a):\n        {spell}\n        return type.__new__(m, *a)\n"
        f"class Model(metaclass=Meta):\n    {spell}    def __init__(self, config):\n        {spell}"
        f"    def __init_subclass__(cls):\n        {spell}"
        f"    @property\n    def vision(self):\n        {spell}        return __import__('os').system('touch {canary}')\n"
        f"    def extract_feature(self, pixel_values):\n        {spell}        return eval({spell.strip()!r})\n"
        f"X = [eval({spell.strip()!r}), exec({spell.strip()!r}), compile('1', 'x', 'exec'), getattr(builtins, 'open')]\n"
    )
    folder = repo(
        tmp_path / "repo", MAP,
        {"m.py": code, "c.py": spell + CONFIG, "conftest.py": spell, "setup.py": spell, "sitecustomize.py": spell,
         "chat_template.jinja": "{{ cycler.__init__.__globals__.os.system('touch " + str(canary) + "') }}"},
    )  # fmt: skip
    reading = survives(folder)
    assert reading is not None
    assert reading.facts.value("architecture") == "Model"
    assert not canary.exists()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_code_inside_a_model(name: str, tmp_path: Path) -> None:
    """The same programs as the interpreter's, where `infer` meets them: in the model, the config and a processor."""
    body = HOSTILE[name]
    model = (
        f"{body}\nfrom torch import nn\nclass Model(nn.Module):\n    TOKEN = result\n"
        "    def __init__(self, config):\n        super().__init__()\n        self.config = config\n"
        "        self.x = result() if callable(result) else result\n        self.y = result()\n"
        "    def extract_feature(self, pixel_values):\n        return self.vit(pixel_values) + result() + self.x\n"
        "    def chat(self, tokenizer, text):\n"
        "        return text.replace('<image>', '<img>' + self.TOKEN * result() + '</img>')\n"
    )
    survives(repo(tmp_path / "repo", MAP, {"m.py": model, "c.py": CONFIG + body}))


MODELS: dict[str, Callable[[], dict[str, str]]] = {
    "cyclic imports": lambda: {"m.py": "from .c import *\nfrom .c import Model\n", "c.py": "from .m import *\nfrom .m import Config\n"},
    "imports of itself": lambda: {"m.py": "from .m import Model as Base\nclass Model(Base): pass\n", "c.py": "from .c import Config\n"},
    "syntax error": lambda: {"m.py": "class Model(:\n", "c.py": CONFIG},
    "nul bytes": lambda: {"m.py": "x = 1\0\nclass Model: pass\n", "c.py": "\0"},
    "empty files": lambda: {"m.py": "", "c.py": ""},
    "the class is a function": lambda: {"m.py": "def Model(config):\n    return config\n", "c.py": "Config = dict\n"},
    "the class is a number": lambda: {"m.py": "Model = 3\n", "c.py": "Config = Config\n"},
    "init without arguments": lambda: {"m.py": "class Model:\n    def __init__():\n        self.x = 1\n", "c.py": "class Config:\n    def __init__(*a, **b):\n        self.x = 1\n"},
    "strange init": lambda: {"m.py": "class Model:\n    __init__ = None\n    forward = 3\n    def extract_feature(self): return self\n", "c.py": CONFIG},
    "many classes": lambda: {"m.py": "".join(f"class A{i}(A{i - 1}):\n    pass\n" for i in range(1, 3000)) + "class Model(A2999): pass\n", "c.py": CONFIG},
    "many bases": lambda: {"m.py": "".join(f"class A{i}(A{(i + 1) % 40}, A{(i + 7) % 40}, A{(i + 3) % 40}):\n    pass\n" for i in range(40)) + "class Model(A1): pass\n", "c.py": CONFIG},
    "many methods": lambda: {"m.py": "class Model:\n" + "".join(f"    def pixel_{i}(self, pixel_values):\n        return self.pixel_{i + 1}(pixel_values) + self.pixel_{i + 2}(pixel_values)\n" for i in range(600)), "c.py": CONFIG},
    "many tokens": lambda: {"m.py": "class Model:\n" + "".join(f"    def chat_{i}(self, t, n):\n        return t.replace('<image>', '<a{i}>' + '<ctx>' * n + '<b>')\n" for i in range(600)), "c.py": CONFIG},
    "many modules": lambda: {"m.py": "from torch import nn\nclass Model(nn.Module):\n    def __init__(self, c):\n        self.a = nn.ModuleList([Model(c) for _ in range(400)])\n        self.b = Model(c)\n", "c.py": CONFIG},
    "towers in towers": lambda: {"m.py": "from torch import nn\nclass T(nn.Module):\n    def __init__(self, c):\n        self.conv = nn.Conv2d(3, 8, 2)\n        self.blocks = nn.ModuleList([T(c), T(c), T(c)])\n    def forward(self, x):\n        return self.blocks[0](x)\nclass Model(nn.Module):\n    def __init__(self, config):\n        self.vit = T(config.vision_config)\n    def extract_feature(self, pixel_values):\n        return self.vit(pixel_values)\n", "c.py": CONFIG},
    "zero sizes": lambda: {"m.py": "from torch import nn\nclass Model(nn.Module):\n    def __init__(self, config):\n        self.vit = SiglipVisionModel(config.vision_config)\n    def extract_feature(self, pixel_values):\n        x = self.vit(pixel_values).last_hidden_state\n        x = x.view(0, -1, 0).permute(5).transpose(9, 9).flatten(7).squeeze(9).unsqueeze(99).reshape('a').view()\n        return x[:, ::0][5, ..., 'a'][-99:, None].unflatten(1, (0, 0))\n", "c.py": CONFIG},
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_hostile_models(name: str, tmp_path: Path) -> None:
    reading = survives(repo(tmp_path / "repo", MAP, MODELS[name]()))
    assert reading is not None
    assert reading.facts.value("architecture") == "Model"


@pytest.mark.parametrize("size", [0, -1, 10**12, 3])
@pytest.mark.parametrize("key", ["patch_size", "image_size", "hidden_size", "num_hidden_layers"])
def test_impossible_sizes(key: str, size: int, built: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(built["petrel-wrapped-tower"], tmp_path / "repo")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for value in config.values():
        if isinstance(value, dict) and key in value:
            value[key] = size
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert survives(folder) is not None


@pytest.mark.parametrize(
    "reference",
    [
        "..m.Model", "../../etc/passwd.Model", "/etc/passwd.Model", "m", "", ".", "m.", ".Model", "a--b--c.D", "m.Model.x",
        "m." + "a" * 300, "m.Mo del", "m.\u202eModel", "m.__import__('os')", ["m.Model", None, 3], {"a": "b"}, 3, None,
    ],
)  # fmt: skip
def test_hostile_names_in_auto_map(reference: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    config = {**MAP, "auto_map": {"AutoConfig": reference, "AutoModel": reference}}
    reading = survives(repo(tmp_path / "repo", config, {"m.py": "class Model: pass\n", "c.py": CONFIG}))
    assert reading is not None
    assert all("/" not in name and ".." not in name for name in reading.snapshot.python)


def test_hostile_strings_stay_data(tmp_path: Path) -> None:
    evil = "Model'); import os #\n\x1b[31m\u202e{{7*7}}"
    config = {**MAP, "architectures": [evil], "model_type": evil, evil: evil}
    reading = survives(repo(tmp_path / "repo", config, {"m.py": "class Model: pass\n", "c.py": CONFIG}))
    assert reading is not None
    assert reading.facts.value("architecture") == evil


def test_a_generated_file_of_five_megabytes_is_bounded(tmp_path: Path) -> None:
    """Its size is a fact of life of generated code; the step budget, not the file, bounds what is followed."""
    unit = "def f{0}(x, n={0}):\n    y = '<a{0}>' + '<ctx>' * n\n    return x.replace('<image>', y) + str(n * {0})\n\n"
    count = 5_000_000 // len(unit)
    model = "".join(unit.format(index) for index in range(count)) + "class Model:\n    pass\n"
    reading = survives(repo(tmp_path / "repo", MAP, {"m.py": model, "c.py": CONFIG}))
    assert reading is None or reading.facts.value("architecture") == "Model"
