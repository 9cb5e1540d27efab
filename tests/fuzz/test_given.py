# ruff: noqa: E501 (hostile values stand on one line each)
"""What a person gives, hostile or by mistake: `--set`, `--facts FILE`, names on the command line, porter.json."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porter.overrides import KINDS
from tests.fuzz.command import Ran, porter
from tests.fuzz.guard import CANARY
from tests.fuzz.hostile import NUMBERS, SPELL, STRINGS, paths_in, put, structures
from tests.fuzz.test_generated import check_port
from tests.fuzz.test_json_files import EXAMPLE, LONGER, case, examples

pytestmark = pytest.mark.skipif(find_spec("vllm") is None, reason="this interpreter has no vLLM")
STEP = 2 if LONGER == 1 else 1
WORDS = tuple(text for text in STRINGS if "\0" not in text)
"""A command line can hold no NUL."""


def ported(folder: Path, *arguments: str) -> Ran:
    """A port of the example with these options, checked where it was written."""
    target = folder / "out" / "port"
    target.parent.mkdir()
    asked = ("new-model", str(folder / "repo"), "--plugin", str(target), "--yes", "--no-smoke", "--offline", "--json")
    ran = porter(*asked, *arguments, case=folder, target=target.parent)
    if target.exists():
        check_port(target)
    return ran


def as_option(name: str, value: object) -> str:
    return f"{name}={value if isinstance(value, str) else json.dumps(value)}"


@examples(6)
@given(st.data())
def test_any_value_of_any_fact(data: st.DataObject) -> None:
    with case(EXAMPLE) as folder:
        options: list[str] = []
        for name in data.draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=3)):
            value = data.draw(st.sampled_from((*WORDS, *NUMBERS[:16], *structures())))
            options += ["--set", as_option(name, value)]
        if sum(map(len, options)) < 100_000:
            ported(folder, *options)


@pytest.mark.parametrize(
    "fact", ["image_context_token", "image_start_token", "image_placeholder", "license", "resize_scheme"]
)
@pytest.mark.parametrize("index", range(0, len(WORDS), STEP * 16))
def test_hostile_texts_that_are_believed(fact: str, index: int, tmp_path: Path) -> None:
    """A text that is given is used as it is, and stays a text in everything that is generated."""
    shutil.copytree(EXAMPLE, tmp_path / "repo")
    assert ported(tmp_path, "--set", f"{fact}={WORDS[index]}").code in (0, 1)


TOML = (
    "", "[", "a = ", f"image_size = {'9' * 5000}", "image_size = nan", "image_size = inf", "image_size = 1979-05-27", "[vision_tower]", "[[vision_tower]]\n",
    "image_size = [[[[[[[[1]]]]]]]]", "image_mean = " + "[" * 3000 + "]" * 3000, "[connector]\nlayers = 3", "image_size = true", 'license = "\\ud800"', "image_size = 0xff",
    f'image_context_token = """\n{SPELL}\n"""', f"{CANARY} = 1", "image_size = 1\nimage_size = 2", "\ufeffimage_size = 1", "image_size = 1\r\n\0", "[language_model]\nprefix = 3",
    "[connector]\nkind = 1\nlayers = [1, {}, {op = 3}]\nprefix = []", "[[vision_tower]]\nlayers = -1\nhidden_size = 1e400", "[weight_prefixes]\nconnector = [1]", "a" * 10**6,
    '[[buffers]]\nname = "x"\nattr = "__import__"\nshape = [-1, "a"]\npersistent = true\nused = true', '[auto_map.AutoConfig]\nfile = "../../x"\nclass = "__import__"',
)  # fmt: skip


@pytest.mark.parametrize("index", range(0, len(TOML), STEP))
def test_facts_files(index: int, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "repo")
    path = tmp_path / "facts.toml"
    path.write_text(TOML[index], encoding="utf-8")
    ported(tmp_path, "--facts", str(path))


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "--set", "checkpoint"])
def test_a_facts_file_under_the_name_of_another_source(name: str, tmp_path: Path) -> None:
    """What it says is a person's word, also in the port: no code may read it from the repo's file of that name."""
    shutil.copytree(EXAMPLE, tmp_path / "repo")
    path = tmp_path / name
    path.write_text("max_tiles = 3\n", encoding="utf-8")
    ran = ported(tmp_path, "--facts", str(path))
    assert ran.code == 0
    assert ran.document["facts"]["max_tiles"]["value"] == 3
    assert json.loads((tmp_path / "out/port/porter.json").read_text())["overrides"] == {"max_tiles": 3}
    assert str(tmp_path) not in (tmp_path / "out/port/porter.json").read_text()


FOLDERS = (
    "a b",
    "it's",
    'q"q',
    "x'); import os #",
    "{{ 7 * 7 }}",
    "-rf",
    "--json",
    "$(touch x)",
    "é名前",
    "[tool.x]",
    "# h",
    "a\nb",
    "\x1b[31m",
    "\u202ex",
)


@pytest.mark.parametrize("name", FOLDERS[::STEP])
def test_names_of_folders(name: str, tmp_path: Path) -> None:
    """The repo's folder and the target's are named by others too."""
    repo, target = tmp_path / "in" / name, tmp_path / "out" / name
    shutil.copytree(EXAMPLE, repo)
    target.parent.mkdir()
    asked = ("--plugin", str(target), "--yes", "--no-smoke", "--offline")
    ran = porter("new-model", str(repo), *asked, case=tmp_path, target=target.parent)
    assert ran.code == 0
    check_port(target)


@examples(6)
@given(st.data())
def test_a_manifest_that_someone_changed(written: Path, data: st.DataObject) -> None:
    """porter.json is a file like any other: no value in it makes porter write or remove anything elsewhere."""
    with case(written) as folder:
        port = folder / "repo"
        manifest = json.loads((port / "porter.json").read_text(encoding="utf-8"))
        places = [path for path in paths_in(manifest) if "facts" not in path]
        value = data.draw(st.sampled_from((*STRINGS, *NUMBERS, *structures())))
        changed = put(manifest, data.draw(st.sampled_from(places)), value)
        (port / "porter.json").write_text(json.dumps(changed), encoding="utf-8")
        outside = folder / "outside.txt"
        outside.write_text("keep me")
        ways = (
            ("undo", str(port), "--yes"),
            ("smoke-test", str(port), "--rungs", "config"),
            ("check-weights", str(port)),
        )
        command, *rest = data.draw(st.sampled_from(ways[:1]))
        porter(command, *rest, "--json", case=folder, target=port)
        assert outside.read_text() == "keep me"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A port of the example on disk."""
    folder = tmp_path_factory.mktemp("written")
    shutil.copytree(EXAMPLE, folder / "repo")
    assert ported(folder).code == 0
    return folder / "out" / "port"
