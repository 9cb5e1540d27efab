"""The real huggingface_hub client against a real HTTP server on loopback, in a process of its own as in real life."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub.repos import safetensors, tiny_repo
from tests.hub_server import MEMBER, HubServer

ROOT = Path(__file__).resolve().parents[2]
REPO = "org/tiny"
CACHED = ("config.json", "modeling_tiny.py", "model.safetensors.index.json")
READ = """
import json, sys
from porter.errors import PorterError
from porter.hub import snapshot_of
from porter.hub import session

session.WAITS = (0.01, 0.02, 0.03)
session.TIMEOUT = 1.0
repo, revision, offline, want = json.loads(sys.argv[1])
try:
    found = snapshot_of(repo, revision=revision, offline=offline)
    answer = {
        "commit": found.repo.commit, "json": sorted(found.json), "python": sorted(found.python),
        "license": found.license, "source": found.tensors.source, "bytes": found.tensors.bytes_fetched,
        "tensors": {item.name: [item.dtype, item.shape, item.file] for item in found.tensors.tensors},
        "absent": sorted(found.absent), "missing": found.missing_code,
        "found": [entry.found for entry in found.auto_map],
        "binary": {name: open(found.binary[name]).read() for name in want},
    }
except PorterError as error:
    answer = {"error": type(error).__name__, "code": error.code, "exit": error.exit_code,
              "message": error.message, "hint": error.hint}
print(json.dumps(answer))
"""


def clean_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("HF_") and "proxy" not in key.lower()}


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def read(
    hub: HubServer,
    home: Path,
    repo: str = REPO,
    revision: str | None = None,
    *,
    offline: bool = False,
    want: tuple[str, ...] = (),
    **environment: str,
) -> dict[str, Any]:
    """A snapshot, or the error, of a fresh process."""
    result = subprocess.run(
        [sys.executable, "-c", READ, json.dumps([repo, revision, offline, list(want)])],
        env={**clean_environment(), **hub.environment(home), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    answer: dict[str, Any] = json.loads(result.stdout)
    if "error" in answer:
        assert "\n" not in answer["message"]
        assert answer["exit"] == 1
    return answer


def leftovers(home: Path) -> list[str]:
    """Files of unfinished downloads, and empty results."""
    return [str(path) for path in home.rglob("*") if path.name.endswith((".incomplete", ".tmp"))]


def test_a_snapshot_has_everything_but_the_weights(hub: HubServer, home: Path) -> None:
    commit = hub.add(REPO, tiny_repo())
    answer = read(hub, home, want=("tokenizer.json",))
    assert answer["commit"] == commit
    assert answer["json"] == ["config.json", "tokenizer_config.json"]
    assert answer["python"] == [
        "configuration_tiny.py",
        "modeling_tiny.py",
        "parts/__init__.py",
        "parts/tower.py",
        "shared.py",
    ]
    assert answer["license"] == "apache-2.0"
    assert answer["tensors"]["vit.weight"] == ["BF16", [4, 2], "model-00001-of-00002.safetensors"]
    assert answer["tensors"]["llm.weight"] == ["F32", [3, 3], "model-00002-of-00002.safetensors"]
    assert "preprocessor_config.json" in answer["absent"]
    assert "config.json" not in answer["absent"]
    assert answer["binary"] == {"tokenizer.json": "{}"}
    assert answer["found"] == [True, True]


def test_weights_are_touched_by_two_short_ranges_per_shard_only(hub: HubServer, home: Path) -> None:
    files = tiny_repo()
    hub.add(REPO, files)
    answer = read(hub, home)
    shards = hub.asked(".safetensors", "GET")
    ranges = [request.headers["range"] for request in shards if "index.json" not in request.path]
    headers = {name: int.from_bytes(data[:8], "little") for name, data in files.items() if name.endswith("tensors")}
    assert sorted(ranges) == sorted(["bytes=0-7", *(f"bytes=8-{7 + size}" for size in headers.values()), "bytes=0-7"])
    assert answer["bytes"] == sum(8 + size for size in headers.values())
    assert not hub.asked("optimizer.bin")
    assert not hub.asked("unrelated.py")


def test_a_tag_leads_to_its_commit(hub: HubServer, home: Path) -> None:
    commit = hub.add(REPO, tiny_repo(), revisions=("v1.0", "refs/pr/3"))
    assert read(hub, home, revision="v1.0")["commit"] == commit
    assert read(hub, home, revision="refs/pr/3")["commit"] == commit


def test_a_link_to_a_model_page_is_a_repo(hub: HubServer, home: Path) -> None:
    commit = hub.add(REPO, tiny_repo(), revisions=("v1",))
    assert read(hub, home, f"https://huggingface.co/{REPO}/tree/v1")["commit"] == commit
    assert read(hub, home, f"{hub.url}/{REPO}?library=x")["commit"] == commit


def test_the_second_run_asks_for_the_revision_only(hub: HubServer, home: Path) -> None:
    hub.add(REPO, tiny_repo())
    first = read(hub, home)
    hub.requests.clear()
    second = read(hub, home)
    assert [request.path for request in hub.requests] == [f"/api/models/{REPO}?blobs=true"]
    assert second["tensors"] == first["tensors"]
    assert second["bytes"] == 0


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_offline_reads_the_cache_and_asks_nothing(hub: HubServer, home: Path, how: str) -> None:
    hub.add(REPO, tiny_repo())
    first = read(hub, home)
    hub.requests.clear()
    again = read(hub, home, offline=True) if how == "flag" else read(hub, home, HF_HUB_OFFLINE="1")
    assert hub.requests == []
    assert {**again, "bytes": 0} == {**first, "bytes": 0}


def test_offline_without_a_cache_says_so(hub: HubServer, home: Path) -> None:
    hub.add(REPO, tiny_repo())
    answer = read(hub, home, offline=True)
    assert answer["error"] == "Unreachable"
    assert "not in the cache" in answer["message"]
    assert hub.requests == []


def test_offline_reads_what_other_tools_cached(hub: HubServer, home: Path) -> None:
    commit = hub.add(REPO, tiny_repo())
    code = f"from huggingface_hub import hf_hub_download as get; [get({REPO!r}, name) for name in {CACHED!r}]"
    environment = {**clean_environment(), **hub.environment(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
    answer = read(hub, home, offline=True)
    assert answer["commit"] == commit
    assert answer["source"] == "index"


def test_a_gated_repo_is_named_with_the_way_in(hub: HubServer, home: Path) -> None:
    hub.add(REPO, tiny_repo(), gated=True)
    answer = read(hub, home)
    assert answer["code"] == "access_denied"
    assert "gated" in answer["message"]
    assert f"{hub.url}/{REPO}" in answer["hint"]
    assert read(hub, home, HF_TOKEN="hf_stranger") == answer
    assert read(hub, home, HF_TOKEN=MEMBER)["source"] == "headers"


def test_forbidden(hub: HubServer, home: Path) -> None:
    hub.add(REPO, tiny_repo())
    hub.fail(f"/{REPO}/resolve/", status=403)
    answer = read(hub, home)
    assert answer["code"] == "access_denied"
    assert "403" in answer["message"]


@pytest.mark.parametrize("token", [{}, {"HF_TOKEN": "hf_x"}])
def test_no_such_repo(hub: HubServer, home: Path, token: dict[str, str]) -> None:
    answer = read(hub, home, "org/other", **token)
    assert answer["code"] == "repo_not_found"
    assert "org/other" in answer["message"]


def test_no_such_revision(hub: HubServer, home: Path) -> None:
    hub.add(REPO, tiny_repo())
    answer = read(hub, home, revision="v9")
    assert answer["code"] == "revision_not_found"
    assert "v9" in answer["message"]


def test_a_listed_file_that_is_gone(hub: HubServer, home: Path) -> None:
    hub.add(REPO, tiny_repo())
    hub.fail(f"/{REPO}/resolve/", status=404, headers={"X-Error-Code": "EntryNotFound"})
    answer = read(hub, home)
    assert answer["code"] == "missing_file"
    assert "config.json" in answer["message"]


def test_no_config(hub: HubServer, home: Path) -> None:
    hub.add(REPO, {"weights.gguf": b"GGUF"})
    answer = read(hub, home)
    assert answer["code"] == "missing_file"
    assert "config.json" in answer["message"]
    assert "weights.gguf" in answer["message"]


@pytest.mark.parametrize("path", ["/api/models/", f"/{REPO}/resolve/"])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(hub: HubServer, home: Path, path: str, status: int) -> None:
    hub.add(REPO, tiny_repo())
    hub.fail(path, status=status, times=2, headers={"Retry-After": "0"})
    assert read(hub, home)["source"] == "headers"


@pytest.mark.parametrize(("status", "code"), [(429, "rate_limited"), (500, "unreachable"), (504, "unreachable")])
@pytest.mark.parametrize("path", ["/api/models/", f"/{REPO}/resolve/"])
def test_a_server_that_stays_busy(hub: HubServer, home: Path, path: str, status: int, code: str) -> None:
    hub.add(REPO, tiny_repo())
    hub.fail(path, status=status)
    answer = read(hub, home)
    assert answer["code"] == code
    assert str(status) in answer["message"]
    assert len([request for request in hub.requests if request.path.startswith(path)]) == 4
    assert leftovers(home) == []


def test_a_long_retry_after_is_told_and_not_waited_for(hub: HubServer, home: Path) -> None:
    hub.add(REPO, tiny_repo())
    hub.fail("/api/models/", status=429, headers={"Retry-After": "3600"})
    answer = read(hub, home)
    assert answer["code"] == "rate_limited"
    assert "3600" in answer["hint"]
    assert len(hub.requests) == 1


@pytest.mark.parametrize("file", ["config.json", "model-00001-of-00002.safetensors"])
def test_a_body_cut_short_once_is_fetched_again(hub: HubServer, home: Path, file: str) -> None:
    commit = hub.add(REPO, tiny_repo())
    hub.fail(f"/{REPO}/resolve/{commit}/{file}", cut_after=5, times=1, method="GET")
    assert read(hub, home)["source"] == "headers"


def test_a_header_that_is_always_cut_short(hub: HubServer, home: Path) -> None:
    commit = hub.add(REPO, tiny_repo())
    hub.fail(f"/{REPO}/resolve/{commit}/model-00002-of-00002.safetensors", cut_after=5, method="GET")
    answer = read(hub, home)
    assert answer["code"] == "unreachable"
    assert "model-00002" in answer["message"]


def test_nobody_listens(hub: HubServer, home: Path) -> None:
    with HubServer() as gone:
        address = gone.url
    answer = read(hub, home, HF_ENDPOINT=address)
    assert answer["code"] == "unreachable"
    assert address in answer["message"]


def test_a_server_that_says_nothing_in_time(hub: HubServer, home: Path) -> None:
    hub.add(REPO, tiny_repo())
    hub.fail("/api/models/", delay=3.0)
    assert read(hub, home)["code"] == "unreachable"


def test_something_else_answers(hub: HubServer, home: Path) -> None:
    hub.fail("/", status=200)
    assert read(hub, home)["code"] in {"unreachable", "hub"}


def test_the_token_stays_at_the_hub(home: Path) -> None:
    with HubServer() as storage, HubServer(storage=storage) as hub:
        hub.add(REPO, tiny_repo())
        assert read(hub, home, HF_TOKEN="hf_secret")["source"] == "headers"
        assert storage.requests
        assert all("authorization" not in request.headers for request in storage.requests)
        assert all(request.headers["authorization"] == "Bearer hf_secret" for request in hub.requests)


def test_a_server_without_ranges_sends_no_more_than_is_read(home: Path) -> None:
    with HubServer(ignore_ranges=True) as hub:
        files = {**tiny_repo(), "big.safetensors": b""}
        hub.add(REPO, files)
        assert read(hub, home)["tensors"]["llm.weight"] == ["F32", [3, 3], "model-00002-of-00002.safetensors"]


def test_code_of_another_repo(hub: HubServer, home: Path) -> None:
    config = {"architectures": ["A"], "auto_map": {"AutoModel": "other/code--model.A", "AutoConfig": "gone/x--c.C"}}
    hub.add(REPO, {"config.json": json.dumps(config)})
    hub.add("other/code", {"model.py": "from .helper import h\n", "helper.py": ""})
    answer = read(hub, home)
    assert answer["python"] == ["other/code--helper.py", "other/code--model.py"]
    assert sorted(answer["found"]) == [False, True]
    assert [line.split(":")[0] for line in answer["missing"]] == ["gone/x"]


def test_listed_names_that_leave_the_repo_are_not_asked_for(hub: HubServer, home: Path) -> None:
    hub.add(REPO, {**tiny_repo(), "../../evil.json": b"{}", "a/../config.json": b"{}"})
    read(hub, home)
    assert not [request for request in hub.requests if ".." in request.path]


def test_many_shards_at_once(hub: HubServer, home: Path) -> None:
    shards = {f"model-{i:05d}-of-00040.safetensors": safetensors({f"w{i}": ("F32", (i,))}) for i in range(1, 41)}
    hub.add(REPO, {"config.json": b'{"architectures": ["A"]}', **shards})
    assert len(read(hub, home)["tensors"]) == 40
    assert len(hub.asked(".safetensors")) == 80
