"""A Hub on loopback: real HTTP, the protocol that the real huggingface_hub client speaks, and faults on demand.

with HubServer() as hub:
    hub.add("org/name", {"config.json": b"{}"}, commit=...)
    hub.fail("/org/name/resolve/", status=500, times=2)
    run_with_environment(hub.environment(home))
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit

DEFAULT_BRANCH = "main"
STORAGE = "/storage/"
MEMBER = "hf_member"
"""The one token that may read the files of gated repos; what a repo is can be asked without it, as on the Hub."""


@dataclass(frozen=True)
class OnDisk:
    """A file that is too large to hold: read where it is asked for."""

    path: Path

    def __len__(self) -> int:
        return self.path.stat().st_size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(len(self))
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(max(stop - start, 0))

    def digest(self) -> str:
        return hashlib.sha1(f"{self.path} {len(self)}".encode()).hexdigest()


@dataclass(frozen=True)
class Repo:
    """One repo with one commit, under every name in `revisions`."""

    files: Mapping[str, bytes | OnDisk]
    commit: str
    revisions: frozenset[str]
    gated: bool = False


@dataclass
class Fault:
    """What happens to requests whose path starts with `path`, for the next `times` requests (None: for ever)."""

    path: str
    status: int | None = None
    times: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    delay: float = 0.0
    method: str | None = None


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""


class HubServer:
    """Serves until the `with` block ends. `requests` records everything that was asked."""

    def __init__(self, *, storage: HubServer | None = None, ignore_ranges: bool = False) -> None:
        self.repos: dict[str, Repo] = {}
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.storage = storage
        self.ignore_ranges = ignore_ranges
        self.blobs: dict[str, bytes | OnDisk] = {}
        self.lock = threading.Lock()
        handler = type("Handler", (HubHandler,), {"hub": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> HubServer:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    @property
    def port(self) -> int:
        return int(self.http.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, home: Path) -> dict[str, str]:
        """Variables that make huggingface_hub talk to this server only, with its cache below `home`."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HOME": str(home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
        }

    def add(
        self,
        repo: str,
        files: Mapping[str, bytes | str | OnDisk],
        *,
        commit: str | None = None,
        revisions: tuple[str, ...] = (),
        gated: bool = False,
    ) -> str:
        """Publishes a repo; returns its commit."""
        held = {name: data.encode() if isinstance(data, str) else data for name, data in files.items()}
        digest = commit or hashlib.sha1(repr((repo, sorted(held.items()))).encode()).hexdigest()
        self.repos[repo] = Repo(held, digest, frozenset({DEFAULT_BRANCH, digest, *revisions}), gated)
        return digest

    def fail(
        self,
        path: str,
        *,
        status: int | None = None,
        times: int | None = None,
        headers: Mapping[str, str] | None = None,
        cut_after: int | None = None,
        delay: float = 0.0,
        method: str | None = None,
    ) -> None:
        self.faults.append(Fault(path, status, times, headers or {}, cut_after, delay, method))

    def fault_for(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if not path.startswith(fault.path) or fault.method not in {None, method} or fault.times == 0:
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def asked(self, path: str, method: str | None = None) -> list[Request]:
        return [found for found in self.requests if path in found.path and method in {None, found.method}]


class HubHandler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"
    cut_after: int | None = None

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def log_message(self, format: str, *args: object) -> None:
        """Requests are in `HubServer.requests`; the test output stays clean."""

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.hub.requests.append(Request(self.command, self.path, headers))
        fault = self.hub.fault_for(self.command, path)
        self.cut_after = fault.cut_after if fault else None
        if fault and fault.delay:
            time.sleep(fault.delay)
        if fault and fault.status is not None:
            self.send(fault.status, b'{"error": "fault"}', dict(fault.headers))
        elif path.startswith("/api/models/"):
            self.model_info(path.removeprefix("/api/models/"))
        elif path.startswith(STORAGE):
            self.send_file(self.hub.blobs[path.removeprefix(STORAGE)], {})
        else:
            self.resolve(path.lstrip("/"))

    def refusal(self, repo: Repo | None, revision: str) -> bool:
        """Answers for a repo that is not there or not open; False when it may be read."""
        if repo is None:
            signed_in = "Authorization" in self.headers
            self.refuse(404 if signed_in else 401, "RepoNotFound", "Repository not found")
        elif revision not in repo.revisions:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            return False
        return True

    def model_info(self, rest: str) -> None:
        name, _, revision = rest.partition("/revision/")
        repo = self.hub.repos.get(name)
        if self.refusal(repo, revision or DEFAULT_BRANCH):
            return
        assert repo is not None
        with_sizes = parse_qs(urlsplit(self.path).query).get("blobs") == ["true"]
        siblings = [
            {"rfilename": file, **({"size": len(data)} if with_sizes else {})} for file, data in repo.files.items()
        ]
        body = {"id": name, "modelId": name, "sha": repo.commit, "siblings": siblings, "private": False, "tags": []}
        self.send(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def resolve(self, rest: str) -> None:
        name, _, place = rest.partition("/resolve/")
        revision, _, file = place.partition("/")
        repo = self.hub.repos.get(name)
        if self.refusal(repo, revision):
            return
        assert repo is not None
        if repo.gated and self.headers.get("Authorization") != f"Bearer {MEMBER}":
            status = 403 if "Authorization" in self.headers else 401
            self.refuse(status, "GatedRepo", "Access to this model is restricted")
            return
        commit = {"X-Repo-Commit": repo.commit}
        if file not in repo.files:
            self.refuse(404, "EntryNotFound", "Entry not found", commit)
            return
        data = repo.files[file]
        etag = hashlib.sha1(data).hexdigest() if isinstance(data, bytes) else data.digest()
        if file.endswith(".safetensors") and self.hub.storage is not None:
            self.redirect(data, etag, commit)
        else:
            self.send_file(data, {**commit, "ETag": f'"{etag}"'})

    def redirect(self, data: bytes | OnDisk, etag: str, commit: Mapping[str, str]) -> None:
        assert self.hub.storage is not None
        self.hub.storage.blobs[etag] = data
        linked = {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(data))}
        location = {"Location": f"{self.hub.storage.url}{STORAGE}{etag}?signature=abc"}
        self.send(302, b"", {**commit, **linked, **location})

    def send_file(self, data: bytes | OnDisk, headers: Mapping[str, str]) -> None:
        asked = self.headers.get("Range")
        if asked is None or self.hub.ignore_ranges:
            self.send(200, data[:], {**headers, "Accept-Ranges": "bytes"})
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last) + 1 if last else len(data), len(data))
        if start >= len(data):
            self.send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        part = {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}
        self.send(206, data[start:stop], {**headers, **part})

    def refuse(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        told = {"X-Error-Code": code, "X-Error-Message": message, **(headers or {})}
        self.send(status, json.dumps({"error": message}).encode(), told)

    def send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            self.wfile.write(body if self.cut_after is None else body[: self.cut_after])
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # a client that has read enough may hang up
        if self.cut_after is not None:
            self.close_connection = True
