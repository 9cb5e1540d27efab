"""Bad input through the real parser: one line, exit 1 or 2, nothing written, no traceback."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from porter.cli import main
from porter.render.documents import KEYS

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "skylark-vl"
CONFIG: Mapping[str, Any] = {"architectures": ["NewVLModel"], "model_type": "new_vl"}


def repo(folder: Path, config: object = CONFIG) -> Path:
    folder.mkdir()
    text = config if isinstance(config, str) else json.dumps(config)
    (folder / "config.json").write_text(text)
    return folder


def tree(folder: Path) -> Path:
    """A folder that is a vLLM to nobody."""
    (folder / "vllm").mkdir(parents=True)
    (folder / "vllm" / "__init__.py").write_text("")
    return folder


def entries(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def no_repo(tmp: Path) -> list[str]:
    return ["inspect", str(tmp / "nothing" / "here" / "at" / "all")]


def not_a_repo_name(tmp: Path) -> list[str]:
    return ["inspect", "--offline", "not a repo!"]


def repo_without_config(tmp: Path) -> list[str]:
    (tmp / "empty").mkdir()
    return ["inspect", str(tmp / "empty")]


def broken_json(tmp: Path) -> list[str]:
    return ["inspect", str(repo(tmp / "broken", '{\n  "architectures": [,]\n}'))]


def config_that_is_a_list(tmp: Path) -> list[str]:
    return ["inspect", str(repo(tmp / "listed", "[1]"))]


def without_architectures(tmp: Path) -> list[str]:
    return ["new-model", str(repo(tmp / "bare", {"model_type": "x"})), "--plugin", str(tmp / "out"), "--yes"]


def tree_that_is_no_vllm(tmp: Path) -> list[str]:
    return ["new-model", str(EXAMPLE), "--tree", str(tree(tmp / "tree")), "--yes"]


def vllm_that_is_none(tmp: Path) -> list[str]:
    return ["inspect", str(EXAMPLE), "--vllm", str(tmp)]


def python_that_is_none(tmp: Path) -> list[str]:
    return ["inspect", str(EXAMPLE), "--python", str(tmp / "python")]


def two_targets(tmp: Path) -> list[str]:
    return ["new-model", str(EXAMPLE), "--tree", str(tmp), "--plugin", str(tmp)]


def unknown_fact(tmp: Path) -> list[str]:
    return ["new-model", str(EXAMPLE), "--plugin", str(tmp / "out"), "--set", "image_sise=4", "--yes"]


def fact_of_the_wrong_type(tmp: Path) -> list[str]:
    return ["new-model", str(EXAMPLE), "--plugin", str(tmp / "out"), "--set", "image_size=big", "--yes"]


def facts_file_that_is_missing(tmp: Path) -> list[str]:
    return ["new-model", str(EXAMPLE), "--plugin", str(tmp / "out"), "--facts", str(tmp / "no.toml"), "--yes"]


def save_facts_nowhere(tmp: Path) -> list[str]:
    return ["inspect", str(EXAMPLE), "--save-facts", str(tmp / "no" / "facts.toml")]


def port_that_is_none(tmp: Path) -> list[str]:
    return ["undo", str(tmp)]


def unknown_rung(tmp: Path) -> list[str]:
    return ["smoke-test", "--rungs", "moon"]


def unknown_device(tmp: Path) -> list[str]:
    return ["smoke-test", "--device", "tpu"]


def unknown_weights(tmp: Path) -> list[str]:
    return ["smoke-test", "--weights", "huge"]


def no_processes(tmp: Path) -> list[str]:
    return ["smoke-test", "--tp", "0"]


def unknown_executor(tmp: Path) -> list[str]:
    return ["smoke-test", "--distributed-executor-backend", "mpi"]


def native_without_repo(tmp: Path) -> list[str]:
    return ["check-weights", "--native"]


CASES: Mapping[Callable[[Path], list[str]], tuple[int, str]] = {
    no_repo: (1, "nothing"),
    not_a_repo_name: (1, "not a repo"),
    repo_without_config: (1, "config.json"),
    broken_json: (1, "line 2"),
    config_that_is_a_list: (1, "config.json"),
    without_architectures: (1, "architecture"),
    tree_that_is_no_vllm: (1, "no vLLM source tree"),
    vllm_that_is_none: (1, "--vllm"),
    python_that_is_none: (1, "--python"),
    two_targets: (2, "--tree"),
    unknown_fact: (2, "image_size"),
    fact_of_the_wrong_type: (2, "image_size"),
    facts_file_that_is_missing: (2, "no.toml"),
    save_facts_nowhere: (2, "--save-facts"),
    port_that_is_none: (1, "no port"),
    unknown_rung: (2, "moon"),
    unknown_device: (2, "--device"),
    unknown_weights: (2, "--weights"),
    no_processes: (2, "--tp"),
    unknown_executor: (2, "--distributed-executor-backend"),
    native_without_repo: (2, "--repo"),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("as_json", [False, True], ids=["human", "json"])
def test_bad_input_is_one_line_and_writes_nothing(
    case: Callable[[Path], list[str]], as_json: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = case(tmp_path)
    before = entries(tmp_path)
    code, words = CASES[case]
    assert main([*arguments, *(["--json"] if as_json else [])]) == code
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert words in errors[0]
    assert "Traceback" not in captured.out + captured.err
    assert entries(tmp_path) == before
    if as_json:
        check_document(json.loads(captured.out), arguments[0])


def check_document(document: dict[str, Any], command: str) -> None:
    assert document["command"] == command
    assert document["ok"] is False
    assert document["error"]["message"]
    assert set(KEYS[command]) <= set(document)


def test_broken_json_names_file_line_and_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(broken_json(tmp_path)) == 1
    shown = capsys.readouterr().err
    assert "config.json" in shown
    assert "line 2" in shown
    assert "column 21" in shown


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_facts_file_in_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert main(["inspect", str(EXAMPLE), "--save-facts", str(tmp_path / "facts.toml")]) == 2
