"""auto_map wherever it stands and whatever it names; code of other repos over a real HTTP Hub on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from porter.hub import Snapshot, snapshot_of
from porter.hub.auto_map import Target, auto_maps, refusal
from tests.hub.test_client import clean_environment
from tests.hub.test_read import ROOT, write
from tests.hub_server import HubServer

CLASS = "class {}:\n    pass\n"


def local(folder: Path, config: Mapping[str, Any], files: Mapping[str, str] | None = None) -> Snapshot:
    write(folder, {"config.json": json.dumps(config), **(files or {})})
    return snapshot_of(str(folder), offline=True)


READ = """
import json, sys
from porter.hub import snapshot_of

found = snapshot_of(sys.argv[1], revision=sys.argv[2] or None)
entries = [[entry.repo, entry.file, entry.found, entry.commit, entry.reason] for entry in found.auto_map]
print(json.dumps({"entries": entries, "python": found.python, "missing": found.missing_code}))
"""


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


def read(hub: HubServer, home: Path, repo: str, revision: str = "") -> dict[str, Any]:
    """A snapshot read by a fresh process, as huggingface_hub takes its settings once."""
    environment = {**clean_environment(), **hub.environment(home)}
    command = [sys.executable, "-c", READ, repo, revision]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_maps_are_found_at_any_depth_and_in_lists(tmp_path: Path) -> None:
    deep: dict[str, Any] = {"auto_map": {"AutoConfig": "deep.Deep"}}
    for level in range(20):
        deep = {f"level{level}": deep}
    config = {
        "llm_config": {"auto_map": {"AutoModel": "llm.Model"}},
        "towers": [{"auto_map": {"AutoModel": "tower.Model"}}, 3],
        "decoder": deep,
    }
    found = local(tmp_path, config, {"llm.py": "", "tower.py": "", "deep.py": ""})
    owners = {entry.owner: entry.found for entry in found.auto_map}
    assert owners["config.json:llm_config"]
    assert owners["config.json:towers[0]"]
    assert owners["config.json:decoder." + ".".join(f"level{level}" for level in range(19, -1, -1))]


def test_every_file_that_may_have_a_map(tmp_path: Path) -> None:
    names = ("tokenizer_config", "preprocessor_config", "processor_config", "video_preprocessor_config")
    files = {f"{name}.json": json.dumps({"auto_map": {"AutoX": f"{name}.X"}}) for name in names}
    found = local(tmp_path, {}, {**files, **{f"{name}.py": "" for name in names}})
    assert {(entry.owner, entry.file) for entry in found.auto_map} == {(f"{n}.json", f"{n}.py") for n in names}


def test_the_config_of_a_part_in_a_folder_names_code_beside_it(tmp_path: Path) -> None:
    nested = {"auto_map": {"AutoModel": "modeling.Tower", "AutoConfig": "shared.Config"}}
    files = {
        "google/vit/config.json": json.dumps(nested), "google/vit/modeling.py": "from .parts import norm\n",
        "google/vit/parts.py": "", "shared.py": "",
    }  # fmt: skip
    found = local(tmp_path, {}, files)
    assert [(entry.owner, entry.file, entry.found) for entry in found.auto_map] == [
        ("google/vit/config.json", "google/vit/modeling.py", True),
        ("google/vit/config.json", "shared.py", True),
    ]
    assert sorted(found.python) == ["google/vit/modeling.py", "google/vit/parts.py", "shared.py"]


def test_null_in_a_list_is_no_variant_and_null_alone_is_refused() -> None:
    documents = {"config.json": {"auto_map": {"AutoModel": None}}}
    tokenizer = {"auto_map": {"AutoTokenizer": [None, "tok.Fast"], "Other": [None, None]}}
    assert list(auto_maps({**documents, "tokenizer_config.json": tokenizer})) == [
        Target("config.json", "AutoModel", None),
        Target("tokenizer_config.json", "AutoTokenizer", "tok.Fast"),
    ]
    assert "null" in refusal(None)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("../../x.Model", "no file"), ("/etc/passwd.Model", "no file"), ("a\\b.Model", "no file"), ("m", "no file"),
        ("", "no file"), ("m.__import__('os')", "no class name"), ("m.", "no class name"), ("m.\u202eM", "no class"),
        ("../evil--m.Model", "no repo id"), ("a--b--m.Model", "no repo id"), ("org/name@main--m.Model", "no repo id"),
        ("--m.Model", "no repo id"), (3, "number"), ({}, "object"), (["m.Model"], "list"), ("m." + "A" * 500, "class"),
        ("x" * 5000 + ".Model", "no file"),
    ],
)  # fmt: skip
def test_what_can_name_no_class_is_kept_with_the_reason(tmp_path: Path, value: Any, word: str) -> None:
    write(tmp_path, {"x.py": "stolen = 1", "m.py": CLASS.format("Model")})
    found = local(tmp_path / "in" / "repo", {"auto_map": {"AutoModel": [value]}}, {"m.py": CLASS.format("Model")})
    (entry,) = found.auto_map
    assert not entry.found
    assert entry.file == ""
    assert word in entry.reason
    assert entry.class_name.isprintable()
    assert found.python == {}


def test_a_unicode_module_is_a_file_like_any_other(tmp_path: Path) -> None:
    found = local(tmp_path, {"auto_map": {"AutoModel": "модель.Модель"}}, {"модель.py": CLASS.format("Модель")})
    assert [entry.found for entry in found.auto_map] == [True]


def test_a_file_that_defines_the_class_is_named_and_not_used(tmp_path: Path) -> None:
    files = {
        "configuration_deepseek_v2.py": CLASS.format("DeepConfig"),
        "other.py": "DeepConfig = 3\n",
        "broken.py": "class DeepConfig(",
    }
    found = local(tmp_path, {"auto_map": {"AutoConfig": "configuration_deepseekv2.DeepConfig"}}, files)
    (entry,) = found.auto_map
    assert (entry.found, entry.file) == (False, "configuration_deepseekv2.py")
    assert entry.candidate == "configuration_deepseek_v2.py"
    assert found.python == {}


def test_no_more_maps_than_a_repo_can_have(tmp_path: Path) -> None:
    found = local(tmp_path, {"auto_map": {f"Auto{index}": f"m{index}.Model" for index in range(5000)}})
    assert len(found.auto_map) == 256
    assert any("256" in line for line in found.missing_code)


def test_a_file_that_is_too_large_is_missing_and_the_rest_is_read(tmp_path: Path) -> None:
    files = {"m.py": "from .big import x\n", "big.py": "#" * (5 * 1024 * 1024)}
    found = local(tmp_path, {"auto_map": {"AutoModel": "m.Model"}}, files)
    assert sorted(found.python) == ["m.py"]
    assert any(line.startswith("big.py: ") for line in found.missing_code)


def test_own_files_imported_without_dots_are_read(tmp_path: Path) -> None:
    files = {
        "m.py": "import encoder\nfrom parts.norm import Norm\nimport json, numpy\n",
        "encoder.py": "", "parts/norm.py": "", "json.py": "", "numpy.py": "",
    }  # fmt: skip
    found = local(tmp_path, {"auto_map": {"AutoModel": "m.Model"}}, files)
    assert sorted(found.python) == ["encoder.py", "m.py", "parts/norm.py"]


def test_code_of_another_repo_is_read_at_a_known_commit(hub: HubServer, tmp_path: Path) -> None:
    commit = hub.add("else/tower", {"config.json": "{}", "vit.py": "from .norm import x\n", "norm.py": ""})
    config = {"vision_config": {"auto_map": {"AutoModel": "else/tower--vit.Tower"}}}
    hub.add("org/model", {"config.json": json.dumps(config)})
    found = read(hub, tmp_path, "org/model")
    assert found["entries"] == [["else/tower", "else/tower--vit.py", True, commit, ""]]
    assert sorted(found["python"]) == ["else/tower--norm.py", "else/tower--vit.py"]


def test_repos_that_name_each_other_end(hub: HubServer, tmp_path: Path) -> None:
    code = {"m.py": "from .n import x\n", "n.py": "from .m import y\n", "c.py": ""}
    for here, there in (("org/a", "org/b"), ("org/b", "org/a")):
        config = {"auto_map": {"AutoModel": f"{there}--m.Model", "AutoConfig": f"{here}--c.Config"}}
        hub.add(here, {"config.json": json.dumps(config), **code})
    found = read(hub, tmp_path, "org/a")
    assert sorted(found["python"]) == ["c.py", "org/b--m.py", "org/b--n.py"]
    assert [entry[:3] for entry in found["entries"]] == [["org/b", "org/b--m.py", True], [None, "c.py", True]]


def test_a_repo_that_names_itself_is_read_at_the_revision_asked_for(hub: HubServer, tmp_path: Path) -> None:
    config = json.dumps({"auto_map": {"AutoModel": "org/a--m.Model"}})
    hub.add("org/a", {"config.json": config, "m.py": "kept = 1\n"}, revisions=("v1",))
    assert read(hub, tmp_path, "org/a", "v1")["python"] == {"m.py": "kept = 1\n"}
    assert not [request for request in hub.requests if request.path.endswith("/org/a")]


@pytest.mark.parametrize("gated", [True, False])
def test_another_repo_that_refuses_costs_only_its_code(hub: HubServer, tmp_path: Path, gated: bool) -> None:
    if gated:
        hub.add("else/tower", {"config.json": "{}", "vit.py": ""}, gated=True)
    maps = {"AutoModel": "else/tower--vit.Tower", "AutoConfig": "c.Config"}
    hub.add("org/model", {"config.json": json.dumps({"auto_map": maps}), "c.py": ""})
    found = read(hub, tmp_path, "org/model")
    model, config = found["entries"]
    assert (model[2], config[2]) == (False, True)
    assert model[4]
    assert any("else/tower" in line for line in found["missing"])
