"""What goes wrong on the way to the headers, through the real command line: one line, exit 1, and a rerun resumes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.hub.repos import safetensors, tiny_repo, with_header
from tests.hub_server import HubServer
from tests.trees import write_tree

ROOT = Path(__file__).resolve().parents[2]
REPO = "org/tiny"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
IMPATIENT = """
import sys
from porter.hub import session
session.WAITS = (0.01, 0.02, 0.03)
session.TIMEOUT = 1.0
from porter.cli import main
sys.exit(main())
"""


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


class Porter:
    """`porter` in a process of its own, against one Hub, with one cache and a small vLLM tree."""

    def __init__(self, hub: HubServer, home: Path, tree: Path) -> None:
        self.hub, self.home, self.tree = hub, home, tree

    def run(self, *arguments: str, prefix: Sequence[str] = (), size: int | None = None) -> tuple[int, str, str]:
        """Exit code, stdout, stderr without progress; `size` is the largest file that may be written."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        limit = None if size is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        done = subprocess.run(
            [*prefix, sys.executable, "-c", IMPATIENT, *arguments, "--vllm", str(self.tree), "--quiet"],
            env={**kept, **self.hub.environment(self.home), "PYTHONPATH": str(ROOT), "TMPDIR": str(self.home.parent)},
            cwd=self.home.parent, capture_output=True, text=True, timeout=120, check=False, preexec_fn=limit,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    def fails(self, *arguments: str, prefix: Sequence[str] = (), size: int | None = None) -> str:
        """The one line of an expected failure, and the line with what to do next."""
        code, out, err = self.run(*arguments, prefix=prefix, size=size)
        lines = err.splitlines()
        assert (code, out, len(lines)) == (1, "", 2), (code, out, err)
        assert lines[0].startswith("error: ")
        assert lines[1].startswith("next: ")
        return err

    def inspect(self) -> dict[str, object]:
        code, out, err = self.run("inspect", REPO, "--json")
        assert code == 0, err
        found: dict[str, object] = json.loads(out)
        return found


@pytest.fixture
def porter(hub: HubServer, tmp_path: Path) -> Porter:
    home = tmp_path / "home"
    home.mkdir()
    return Porter(hub, home, write_tree(tmp_path / "tree"))


def asked_for(hub: HubServer, shard: str) -> int:
    return len([request for request in hub.asked(shard, "GET") if "index" not in request.path])


def test_a_connection_cut_in_mid_header_and_a_rerun(hub: HubServer, porter: Porter) -> None:
    commit = hub.add(REPO, tiny_repo())
    hub.fail(f"/{REPO}/resolve/{commit}/{SHARDS[1]}", cut_after=20, method="GET")
    told = porter.fails("inspect", REPO)
    assert f"{REPO}/{SHARDS[1]}: peer closed connection" in told
    assert "what was read so far is kept" in told
    assert asked_for(hub, SHARDS[0]) == 2
    hub.faults.clear()
    hub.requests.clear()
    porter.inspect()
    assert (asked_for(hub, SHARDS[0]), asked_for(hub, SHARDS[1])) == (0, 2)


def test_a_slow_server_and_a_rerun(hub: HubServer, porter: Porter) -> None:
    commit = hub.add(REPO, tiny_repo())
    hub.fail(f"/{REPO}/resolve/{commit}/{SHARDS[1]}", delay=2.0, method="GET")
    assert "timed out" in porter.fails("inspect", REPO)
    hub.faults.clear()
    hub.requests.clear()
    porter.inspect()
    assert (asked_for(hub, SHARDS[0]), asked_for(hub, SHARDS[1])) == (0, 2)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_too_many_requests_with_a_time_to_come_back(hub: HubServer, porter: Porter, form: str) -> None:
    commit = hub.add(REPO, tiny_repo())
    date = format_datetime(datetime.now(timezone.utc) + timedelta(hours=1), usegmt=True)
    header = {"Retry-After": "3600" if form == "seconds" else date}
    hub.fail(f"/{REPO}/resolve/{commit}/{SHARDS[1]}", status=429, headers=header)
    told = porter.fails("inspect", REPO)
    assert "429" in told
    assert "again in 3" in told
    assert asked_for(hub, SHARDS[1]) == 1
    hub.faults.clear()
    hub.requests.clear()
    porter.inspect()
    assert asked_for(hub, SHARDS[0]) == 0


@pytest.mark.parametrize("after", ["0", "Sat, 01 Jan 2000 00:00:00 GMT", "no date", "Sat, 99 Foo 2000", "9" * 400])
def test_a_busy_moment(hub: HubServer, porter: Porter, after: str) -> None:
    """A date that is past, or nothing that can be read, means now; a number beyond all measure is not waited for."""
    commit = hub.add(REPO, tiny_repo())
    hub.fail(f"/{REPO}/resolve/{commit}/{SHARDS[1]}", status=429, times=2, headers={"Retry-After": after})
    if after.startswith("9"):
        assert "429" in porter.fails("inspect", REPO)
    else:
        porter.inspect()


@pytest.mark.parametrize("status", [401, 403])
def test_a_shard_that_may_not_be_read(hub: HubServer, porter: Porter, status: int) -> None:
    commit = hub.add(REPO, tiny_repo())
    gate = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this model is restricted"}
    hub.fail(f"/{REPO}/resolve/{commit}/{SHARDS[1]}", status=status, headers=gate)
    assert "gated" in porter.fails("inspect", REPO)
    hub.faults.clear()
    hub.requests.clear()
    porter.inspect()
    assert (asked_for(hub, SHARDS[0]), asked_for(hub, SHARDS[1])) == (0, 2)


def test_a_listed_shard_that_is_gone(hub: HubServer, porter: Porter) -> None:
    commit = hub.add(REPO, tiny_repo())
    hub.fail(f"/{REPO}/resolve/{commit}/{SHARDS[1]}", status=404, headers={"X-Error-Code": "EntryNotFound"})
    told = porter.fails("inspect", REPO)
    assert f"has no {SHARDS[1]}" in told
    assert "/tree/" in told


def test_no_file_can_be_written_whole(hub: HubServer, porter: Porter) -> None:
    hub.add(REPO, {**tiny_repo(), "tokenizer_config.json": json.dumps({"x": "y" * 300_000})})
    assert "HF_HOME" in porter.fails("inspect", REPO, size=200_000)
    porter.inspect()


def test_a_full_disk(hub: HubServer, porter: Porter) -> None:
    inside = f'mount -t tmpfs -o size=128k tmpfs {porter.home} && exec "$@"'
    prefix = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inside, "sh"]
    try:
        subprocess.run([*prefix, "true"], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("no file system of its own here")
    hub.add(REPO, {**tiny_repo(), "tokenizer_config.json": json.dumps({"x": "y" * 300_000})})
    told = porter.fails("inspect", REPO, prefix=prefix)
    assert "no space left" in told
    assert str(porter.home) in told
    porter.inspect()


BROKEN = {
    "empty": b"",
    "too short": b"\x10\0\0",
    "truncated header": safetensors({"w": ("F32", (4, 4))})[:30],
    "truncated data": safetensors({"w": ("F32", (4, 4))})[:-1],
    "header longer than its file": (5_000).to_bytes(8, "little") + b"{}",
    "header over the limit": (100_000_001).to_bytes(8, "little") + b"{}",
    "no JSON": (4).to_bytes(8, "little") + b"{{{{",
    "offsets that overlap": with_header(
        {name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for name in ("a", "b")}, 8
    ),
    "offsets that lie": with_header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, 8),
    "data beyond the file": with_header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}}, 8),
}


@pytest.mark.parametrize(
    ("case", "place"),
    [*((case, "folder") for case in BROKEN), ("truncated header", "hub"), ("header longer than its file", "hub")],
)
def test_a_broken_shard(hub: HubServer, porter: Porter, tmp_path: Path, case: str, place: str) -> None:
    """check-weights fails in one line; inspect judges the rest and says why the weights are unknown."""
    files = {**tiny_repo(), SHARDS[1]: BROKEN[case]}
    repo = REPO if place == "hub" else str(tmp_path / "repo")
    if place == "hub":
        hub.add(REPO, files)
    for name, data in files.items() if place == "folder" else ():
        (tmp_path / "repo" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "repo" / name).write_bytes(data)
    assert SHARDS[1] in porter.fails("check-weights", "--native", "--repo", repo)
    code, out, err = porter.run("inspect", repo, "--json")
    found = json.loads(out)
    assert (code, found["ok"], err.count("\n")) == (0, True, 1)
    assert found["verdict"]["level"]
    assert any(SHARDS[1] in line for line in found["weights"]["errors"])
    assert SHARDS[1] in found["facts"]["weights_layout"]["note"]
