"""Every site before and after: only lines are added, neighbours stay, a second run changes nothing."""

from __future__ import annotations

import ast
import difflib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from porter.errors import TargetError, TreeError
from porter.planning.plan import FileChange
from porter.planning.sites import CONFIG_CLASSES, CONFIGS, EXAMPLES, MODELS, ConfigEntry, SiteEntry, tree_edits
from porter.vllm_tree import locate
from porter.vllm_tree.docs import DOCS
from tests.trees import FILES, write_tree

ENTRY = SiteEntry(
    "MangoPlusModel",
    "mango_plus",
    "MangoPlusModel",
    "org/mango-plus",
    "Mango+ | 2",
    trust_remote_code=True,
    example={"max_model_len": 4096, "not_in_this_tree": 1},
    config=ConfigEntry("mango_plus", "MangoPlusConfig", "mango_plus"),
    config_attrs={"lang_config": "text_config"},
)


def added(change: FileChange) -> list[str]:
    """The lines that the edit adds; fails when it takes any away."""
    lines = list(difflib.ndiff((change.old or "").splitlines(), change.new.splitlines()))
    assert not [line for line in lines if line.startswith("- ")]
    return [line[2:] for line in lines if line.startswith("+ ")]


def edits(root: Path, entry: SiteEntry) -> dict[str, FileChange]:
    return {change.path: change for change in tree_edits(locate(tree=root), entry)}


def test_each_site_gets_its_lines(tmp_path: Path) -> None:
    changes = edits(write_tree(tmp_path), ENTRY)
    assert {path: added(change) for path, change in changes.items()} == {
        MODELS: ['    "MangoPlusModel": ("mango_plus", "MangoPlusModel"),'],
        EXAMPLES: [
            '    "MangoPlusModel": _HfExamplesInfo(',
            '        "org/mango-plus", trust_remote_code=True, max_model_len=4096',
            "    ),",
        ],
        DOCS: ["| `MangoPlusModel` | Mango+ \\| 2 | T + I<sup>+</sup> | `org/mango-plus` | | |"],
        CONFIG_CLASSES: [
            '    "MangoPlusConfig": "vllm.transformers_utils.configs.mango_plus",',
            '    "MangoPlusConfig",',
        ],
        CONFIGS: ['    mango_plus="MangoPlusConfig",', '    "lang_config": "text_config",'],
    }


def test_edited_files_parse_and_stay_formatted(tmp_path: Path) -> None:
    root = write_tree(tmp_path)
    long = replace(ENTRY, architecture="MangoPlusForConditionalGeneration", module="mango_plus_with_a_long_name")
    for change in edits(root, long).values():
        (root / change.path).write_text(change.new)
        if change.path.endswith(".py"):
            ast.parse(change.new)
    models = (root / MODELS).read_text()
    assert '    "MangoPlusForConditionalGeneration": (\n        "mango_plus_with_a_long_name",\n' in models
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "88", "--diff", MODELS, CONFIGS]
    assert subprocess.run(command, cwd=root, capture_output=True, check=False).returncode == 0


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    root = write_tree(tmp_path)
    for change in edits(root, ENTRY).values():
        (root / change.path).write_text(change.new)
    assert {change.action for change in edits(root, ENTRY).values()} == {"unchanged"}


def test_only_the_three_sites_without_a_config(tmp_path: Path) -> None:
    assert set(edits(write_tree(tmp_path), replace(ENTRY, config=None, config_attrs={}))) == {MODELS, EXAMPLES, DOCS}


@pytest.mark.parametrize(
    ("architecture", "before"),
    [
        ("AaaModel", '    "AppleModel": ('),
        ("BerryModel", '    "ZebraModel": ('),
        ("ZuluModel", "    # [Encoder-decoder]"),
        ("AcorModel", '    "AppleModel": ('),
        ("BanaModel", "    # a word about bananas"),
        ("MangoAModel", '    "MangoChatModel": ('),
    ],
)
def test_the_place_is_local_and_inside_the_section(tmp_path: Path, architecture: str, before: str) -> None:
    change = edits(write_tree(tmp_path), replace(ENTRY, architecture=architecture))[MODELS]
    lines = change.new.splitlines()
    start = next(n for n, line in enumerate(lines) if f'"{architecture}"' in line)
    assert lines[start + 1].startswith(before)
    assert len(added(change)) == 1


def test_a_key_that_is_no_identifier_is_splatted(tmp_path: Path) -> None:
    entry = replace(ENTRY, config=ConfigEntry("mango-plus", "MangoPlusConfig", "mango_plus"), config_attrs={})
    assert added(edits(write_tree(tmp_path), entry)[CONFIGS]) == ['    **{"mango-plus": "MangoPlusConfig"},']


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        (MODELS, replace(ENTRY, architecture="PearModel", repo_id="org/pear")),
        (
            DOCS,
            replace(
                ENTRY,
                architecture="AppleModel",
                module="apple",
                class_name="AppleModel",
            ),
        ),
        (CONFIGS, replace(ENTRY, config=ConfigEntry("apple", "MangoPlusConfig", "m"))),
        (CONFIG_CLASSES, replace(ENTRY, config=ConfigEntry("new", "AppleConfig", "other"))),
    ],
)
def test_another_value_is_never_overwritten(tmp_path: Path, path: str, entry: SiteEntry) -> None:
    root = write_tree(tmp_path, {EXAMPLES: FILES[EXAMPLES].replace('"AppleM', '"XM').replace('"PearM', '"YM')})
    with pytest.raises(TargetError, match="already"):
        edits(root, entry)


@pytest.mark.parametrize(
    "changed",
    [
        {DOCS: "# Supported Models\n"},
        {DOCS: None},
        {MODELS: "_MULTIMODAL_MODELS = load()\n"},
        {MODELS: '_MULTIMODAL_MODELS = {"A": ("a", "A")}\n'},
        {EXAMPLES: None},
        {CONFIGS: FILES[CONFIGS].replace("LazyConfigDict(", "dict_of(").replace("_CONFIG_REGISTRY", "_OTHER")},
    ],
)
def test_a_site_that_is_not_there_is_named(tmp_path: Path, changed: dict[str, str | None]) -> None:
    with pytest.raises(TreeError) as caught:
        edits(write_tree(tmp_path, changed), ENTRY)
    assert "\n" not in caught.value.message


def test_windows_line_ends_are_kept(tmp_path: Path) -> None:
    root = write_tree(tmp_path)
    for path in (DOCS, MODELS):
        (root / path).write_bytes((root / path).read_bytes().replace(b"\n", b"\r\n"))
    changes = edits(root, ENTRY)
    for path in (DOCS, MODELS):
        assert changes[path].new.count("\n") == changes[path].new.count("\r\n")
