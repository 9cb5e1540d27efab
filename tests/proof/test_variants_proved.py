"""Every variant of the example, from a folder to a plugin that computes what the variant's own code computes.

No hand edit. Some by their command, as a user would; the others in this process, their workers forks of processes that
have imported vLLM or transformers already. Two run at a time, each with one thread.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from porter.commands.new_model import NewModelRequest, new_model
from porter.commands.session import Settings
from porter.proof.compare import TOLERANCE
from tests.variants import variants
from tests.variants.weights import build_with_weights
from tests.warm import warm

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="this interpreter has no vLLM"),
]
ROOT = Path(__file__).parents[2]
NAMES = [variant.name for variant in variants()]


BY_COMMAND = NAMES[::7]


@dataclass(frozen=True, slots=True)
class Ported:
    """What `new-model` said about one variant."""

    code: int
    document: Mapping[str, Any]
    stderr: str = ""

    def checks(self) -> dict[str, str]:
        return {check["name"]: check["status"] for check in self.document["checks"] or []}


@pytest.fixture(scope="session")
def ported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ported]:
    room = tmp_path_factory.mktemp("variants")
    build_with_weights(room / "repos")
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(BY_COMMAND, pool.map(lambda name: by_command(name, room), BY_COMMAND), strict=True))
        others = [name for name in NAMES if name not in found]
        with warm(room, together=2):
            return found | dict(zip(others, pool.map(lambda name: here(name, room), others), strict=True))


def by_command(name: str, room: Path) -> Ported:
    command = [sys.executable, "-m", "porter", "new-model", str(room / "repos" / name)]
    command += ["--plugin", str(room / "ports" / name), "--yes", "--trust-remote-code", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
    return Ported(done.returncode, json.loads(done.stdout), done.stderr)


def here(name: str, room: Path) -> Ported:
    settings = Settings(python=sys.executable, offline=True, log=room / f"{name}.log")
    plugin = room / "ports" / name
    result = new_model(NewModelRequest(str(room / "repos" / name), settings, plugin=plugin, yes=True, trust=True))
    return Ported(result.exit_code, {"error": result.error, **result.to_json()})


@pytest.mark.parametrize("name", NAMES)
def test_ported_and_proved(name: str, ported: dict[str, Ported]) -> None:
    found = ported[name]
    assert found.code == 0, (found.document["error"], found.checks(), found.stderr[-2000:])
    assert found.document["verdict"]["level"] == "inherit"
    assert not found.document["todo"]
    assert set(found.checks().values()) == {"passed"}, found.document["checks"]
    parity = found.document["smoke"]["parity"]
    assert parity["ids_equal"] and parity["greedy_equal"]
    assert parity["max_logprob_diff"] <= TOLERANCE
    assert sorted(parity["weights"]) == ["normal", "stress"]
