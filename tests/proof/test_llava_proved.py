"""A repo of LLaVA's shape, from a folder to a plugin that computes what the repo's own code computes."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from porter.commands.new_model import NewModelRequest, new_model
from porter.commands.session import Settings
from porter.proof.compare import TOLERANCE
from tests.llava import REPOS, add_weights, write_repo
from tests.warm import warm

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="this interpreter has no vLLM"),
]
NAME = "pintail-normed-anyres"
"""Images cut by resolutions, another connector, other tokens and keys; the other repos are rows of `make bench`."""


def test_ported_and_proved(tmp_path: Path) -> None:
    repo = write_repo(REPOS[NAME], tmp_path / NAME)
    add_weights(repo)
    settings = Settings(python=sys.executable, offline=True, log=tmp_path / "log")
    with warm(tmp_path):
        done = new_model(NewModelRequest(str(repo), settings, plugin=tmp_path / "port", yes=True, trust=True))
    document = done.to_json()
    checks = {check["name"]: check["status"] for check in document["checks"]}
    assert done.exit_code == 0, (done.error, document["checks"])
    assert set(checks.values()) == {"passed"}
    parity = document["smoke"]["parity"]
    assert parity["ids_equal"] and parity["greedy_equal"]
    assert parity["max_logprob_diff"] <= TOLERANCE
