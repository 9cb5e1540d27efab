"""`porter new-model` through the real parser, against the vLLM of this interpreter."""

from __future__ import annotations

import json
import os
import pty
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from porter.cli import main
from porter.smoke.rungs import DEFAULT, WEIGHTS_RUNGS

pytestmark = pytest.mark.skipif(find_spec("vllm") is None, reason="this interpreter has no vLLM")
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "skylark-vl"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def texts(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def silent(tmp_path: Path) -> Path:
    """The example with one file less: nothing tells the order of rescaling and resampling any more."""
    folder = tmp_path / "silent"
    shutil.copytree(EXAMPLE, folder)
    preprocessor = json.loads((folder / "preprocessor_config.json").read_text())
    del preprocessor["resample"]
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    code = folder / "image_processing_skylark.py"
    code.write_text("")
    return folder


def test_inspect_gives_a_verdict_and_the_family(capsys: pytest.CaptureFixture[str]) -> None:
    code, document = run(capsys, "inspect", str(EXAMPLE))
    assert code == 0
    assert document["verdict"]["level"] == "inherit"
    assert document["family"]["name"] == "internvl"
    assert document["facts"]["config_map"]["about"] == "tree"
    assert document["facts"]["image_context_token"]["value"] == "<|vision_patch|>"


def test_facts_that_were_saved_and_edited_win(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = tmp_path / "facts.toml"
    assert main(["inspect", str(EXAMPLE), "--save-facts", str(facts), "--quiet"]) == 0
    edited = facts.read_text().replace("max_tiles = 6", "max_tiles = 4")
    facts.write_text(edited)
    out = str(tmp_path / "out")
    asked = ["new-model", str(EXAMPLE), "--plugin", out, "--dry-run", "--facts", str(facts), "--set", "min_tiles=2"]
    code, document = run(capsys, *asked)
    assert code == 0
    assert document["facts"]["max_tiles"]["value"] == 4
    assert document["facts"]["min_tiles"]["value"] == 2
    assert "contradicts" in document["facts"]["max_tiles"]["note"]
    assert not Path(out).exists()


def test_without_weights_and_without_trust_the_facts_give_the_mapper(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["new-model", str(EXAMPLE), "--plugin", str(out), "--yes", "--no-smoke", "--quiet"]) == 0
    model = (out / "skylark_vl" / "modeling.py").read_text(encoding="utf-8")
    for rename in ('"model.vit.": "vision_model."', '"model.connector.": "mlp1."', '"model.llm.": "language_model."'):
        assert rename in model


def test_a_script_needs_yes_and_sees_the_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = run(capsys, "new-model", str(EXAMPLE), "--plugin", str(tmp_path / "out"))
    assert code == 2
    assert document["error"]["code"] == "usage"
    assert {"skylark_vl/modeling.py", "pyproject.toml"} <= {file["path"] for file in document["files"]}
    assert not (tmp_path / "out").exists()


def test_a_guess_is_refused_in_a_script_with_the_option_that_settles_it(
    silent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document = run(capsys, "new-model", str(silent), "--plugin", str(tmp_path / "out"), "--yes")
    assert code == 1
    assert document["error"]["code"] == "refused"
    assert "--set resample" in document["error"]["hint"]
    assert not (tmp_path / "out").exists()


def test_a_target_with_other_content_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "pyproject.toml").write_text("[project]\nname = 'mine'\n")
    before = texts(out)
    code, document = run(capsys, "new-model", str(EXAMPLE), "--plugin", str(out), "--yes")
    assert (code, document["error"]["code"]) == (1, "target")
    assert "pyproject.toml" in document["error"]["message"] + str(document["error"]["where"])
    assert texts(out) == before


def test_a_target_below_a_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    code, document = run(capsys, "new-model", str(EXAMPLE), "--plugin", str(tmp_path / "file" / "out"), "--yes")
    assert (code, document["error"]["code"]) == (1, "target")


@pytest.mark.vllm
def test_the_whole_way_twice_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    asked = ["new-model", str(EXAMPLE), "--plugin", str(out), "--yes", "--trust-remote-code"]
    code, document = run(capsys, *asked)
    assert {check["name"]: check["status"] for check in document["checks"]} == {
        "check-weights": "skipped",
        **dict.fromkeys([name for name in DEFAULT if name not in WEIGHTS_RUNGS], "passed"),
    }
    assert (code, document["ok"], document["error"]) == (0, True, None)
    assert document["smoke"]["parity"]["max_logprob_diff"] < 3e-5
    first = texts(out)
    code, document = run(capsys, *asked, "--no-smoke")
    assert code == 0
    assert {file["action"] for file in document["files"]} == {"unchanged"}
    assert {name: text for name, text in texts(out).items() if name != "porter.json"} == {
        name: text for name, text in first.items() if name != "porter.json"
    }
    code, document = run(capsys, "smoke-test", str(out), "--repo", str(EXAMPLE), "--rungs", "config", "--no-parity")
    assert (code, [rung["status"] for rung in document["rungs"]]) == (0, ["passed"])
    code, document = run(capsys, "check-weights", str(out), "--repo", str(EXAMPLE))
    assert (code, document["error"]["code"]) == (1, "repo")
    code, document = run(capsys, "undo", str(out))
    assert code == 0
    assert {file["action"] for file in document["files"]} == {"delete"}
    assert not any(name.endswith(".py") for name in texts(out)) if out.exists() else True


def on_a_terminal(arguments: list[str], typed: str) -> tuple[int, str]:
    """Exit code and everything shown, with `typed` on a real terminal."""
    shown: list[bytes] = []

    def read(descriptor: int) -> bytes:
        shown.append(os.read(descriptor, 4096))
        return shown[-1]

    reader, writer = os.pipe()
    os.write(writer, typed.encode())
    os.close(writer)
    saved = os.dup(0)
    os.dup2(reader, 0)
    try:
        status = pty.spawn([sys.executable, "-m", "porter", *arguments], read)
    finally:
        os.dup2(saved, 0)
    return os.waitstatus_to_exitcode(status), b"".join(shown).decode()


def test_a_person_who_says_no_keeps_everything_as_it_was(tmp_path: Path) -> None:
    code, shown = on_a_terminal(["new-model", str(EXAMPLE), "--plugin", str(tmp_path / "out")], "n\nn\n")
    assert code == 1
    assert "Trust it?" in shown
    assert "+class SkylarkVL" in shown
    assert "nothing was written" in shown
    assert not (tmp_path / "out").exists()
