"""What is kept of the checks of a port, and how a port on disk is seen."""

from __future__ import annotations

from pathlib import Path

from porter.commands.proving import Placed, Proof
from porter.commands.reading import Check


def test_the_record_of_a_proof_names_seeds_and_versions_and_nothing_of_this_run() -> None:
    parity = {
        "status": "passed",
        "weights": ["normal"],
        "seeds": [0],
        "tolerance": 3e-5,
        "not_proven": ["x"],
        "rows": [],
    }
    engine = {"vllm": "1", "torch": "2", "transformers": "3", "device_name": "cpu", "load_seconds": 1.5}
    record = Proof((), smoke={"parity": parity, "engine": engine}).record()
    assert record["versions"] == {"vllm": "1", "torch": "2", "transformers": "3"}
    assert record["parity"] == {key: value for key, value in parity.items() if key != "rows"}
    failed = Check("load", "error", "engine: FileNotFoundError: /somewhere/x, after 1.2 s", 1.2)
    assert failed.record() == {"name": "load", "status": "error"}


def test_a_plugin_without_a_config_class_needs_the_repos_own(tmp_path: Path) -> None:
    (tmp_path / "thing").mkdir()
    assert not Placed(plugin=(tmp_path, "thing")).own_config
    (tmp_path / "thing" / "configuration.py").write_text("")
    assert Placed(plugin=(tmp_path, "thing")).own_config
    assert not Placed().own_config
