"""A repo on the Hub, through huggingface_hub: its session, its cache, its settings (HF_TOKEN, HF_ENDPOINT, HF_HOME)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from json import JSONDecodeError
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from huggingface_hub import (
    HfApi,
    ModelInfo,
    constants,
    get_session,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

from porter.errors import MissingFile, PorterError, Unreachable
from porter.hub import session
from porter.hub.failures import About, CutShort, NoHub, no_hub, translate
from porter.hub.files import CONFIG
from porter.hub.kept import Kept
from porter.hub.reference import COMMIT
from porter.hub.session import TRANSPORT_TRIES, patiently, prepare
from porter.hub.snapshot import RepoRef

Result = TypeVar("Result")

DEFAULT_REVISION = "main"


@dataclass(frozen=True, slots=True)
class HubSource:
    """One repo at one commit. `urls` remembers where a file really lies after the Hub's redirects."""

    ref: RepoRef
    sizes: dict[str, int | None]
    kept: Kept
    offline: bool
    parallel: int = 8
    urls: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, repo: str, revision: str | None, offline: bool, *, tries: int = TRANSPORT_TRIES) -> HubSource:
        """Resolves the revision; `tries` bounds those over a broken network.

        Raises RepoNotFound, RevisionNotFound, AccessDenied, RateLimited, Unreachable.
        """
        prepare()
        off = offline or bool(constants.HF_HUB_OFFLINE)
        kept = Kept(Path(constants.HF_HUB_CACHE).parent / "porter" / repo.replace("/", "--"))
        commit, sizes = recalled(repo, revision, kept) if off else resolved(repo, revision, kept, tries)
        return cls(RepoRef(repo, commit, False), sizes, kept, off)

    @property
    def commit(self) -> str:
        return self.ref.commit or DEFAULT_REVISION

    def path(self, name: str) -> Path:
        if name not in self.sizes:
            raise MissingFile(f"{self.ref.id} has no {name}", where=name)
        return Path(
            asked(
                lambda: hf_hub_download(self.ref.id, name, revision=self.commit, local_files_only=self.offline),
                About(self.ref.id, self.commit, name),
            )
        )

    def read_range(self, name: str, start: int, length: int) -> bytes:
        if self.offline:
            return self._read_cached(name, start, length)
        return asked(lambda: self._fetch(name, start, length), About(self.ref.id, self.commit, name))

    def cached_header(self, name: str) -> bytes | None:
        return self.kept.header(self.commit, name)

    def keep_header(self, name: str, header: bytes) -> None:
        self.kept.keep_header(self.commit, name, header)

    def _read_cached(self, name: str, start: int, length: int) -> bytes:
        """From weights that someone downloaded; porter itself never does."""
        path = self.path(name)
        with path.open("rb") as file:
            file.seek(start)
            return file.read(length)

    def _fetch(self, name: str, start: int, length: int) -> bytes:
        url = self.urls.get(name) or hf_hub_url(self.ref.id, name, revision=self.commit)
        headers = request_headers(url, start, length)
        with get_session().stream("GET", url, headers=headers) as response:
            if response.status_code == 416:
                return b""
            hf_raise_for_status(response)
            self.urls[name] = str(response.url)
            skip = 0 if response.status_code == 206 else start
            ends = str(response.headers.get("Content-Length")) == str(skip + length)
            data = take(response.iter_bytes(), skip, length, ends=ends)
            if len(data) < min(length, announced(response.headers, start)):
                raise CutShort(f"{len(data)} of {length} bytes")
            return data


def resolved(repo: str, revision: str | None, kept: Kept, tries: int) -> tuple[str, dict[str, int | None]]:
    """The commit and its files, from the Hub; a full commit that was seen before needs no question."""
    known = kept.listing(revision) if revision and COMMIT.fullmatch(revision) else None
    if revision and known is not None:
        return revision, known
    about = About(repo, revision)
    info = asked(lambda: model_info(repo, revision), about, tries)
    sizes = {item.rfilename: item.size for item in info.siblings or () if is_plain(item.rfilename)}
    if not info.sha or not COMMIT.fullmatch(info.sha):
        raise no_hub(NoHub(), about)
    kept.keep_listing(revision or DEFAULT_REVISION, info.sha, sizes)
    return info.sha, sizes


def model_info(repo: str, revision: str | None) -> ModelInfo:
    """What the Hub says of a repo. Raises NoHub for an answer that is no Hub's."""
    try:
        return HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=session.TIMEOUT)
    except (KeyError, TypeError, AttributeError, JSONDecodeError) as error:
        raise NoHub from error


def recalled(repo: str, revision: str | None, kept: Kept) -> tuple[str, dict[str, int | None]]:
    """The commit and its files as an earlier run, or any user of the Hub's cache, left them."""
    wanted = revision or DEFAULT_REVISION
    commit = wanted if COMMIT.fullmatch(wanted) else kept.commit(wanted)
    sizes = kept.listing(commit) if commit else None
    if commit and sizes is not None:
        return commit, sizes
    found = asked(lambda: try_to_load_from_cache(repo, CONFIG, revision=wanted), About(repo, revision))
    if not isinstance(found, str):
        raise Unreachable(
            f"{repo} at {wanted} is not in the cache, and the network is off",
            hint="run once without --offline and HF_HUB_OFFLINE",
        )
    folder = Path(found).parent
    files = (path for path in folder.rglob("*") if path.is_file())
    return folder.name, {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def asked(action: Callable[[], Result], about: About, tries: int = TRANSPORT_TRIES) -> Result:
    """The one way to the network: patient, and every failure in porter's words."""
    try:
        return patiently(action, tries)
    except PorterError:
        raise
    except Exception as error:
        known = translate(error, about)
        if known is None:
            raise
        raise known from error


def is_plain(name: str) -> bool:
    """False for a listed name that is no path within a repo."""
    parts = name.split("/")
    return name.isprintable() and "\\" not in name and all(part not in {"", ".", ".."} for part in parts)


def request_headers(url: str, start: int, length: int) -> dict[str, str]:
    """The token goes to the Hub only; storage that the Hub redirected to has its own signature in the URL."""
    at_hub = origin(url) == origin(constants.ENDPOINT)
    headers: dict[str, str] = build_hf_headers(token=None if at_hub else False, library_name="porter")
    return {**headers, "Range": f"bytes={start}-{start + length - 1}", "Accept-Encoding": "identity"}


def origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port


def take(chunks: Iterable[bytes], skip: int, length: int, *, ends: bool) -> bytes:
    """`length` bytes after the first `skip`; no chunk beyond them is asked for.

    `ends`: the body ends there, which is waited for: a connection serves the next request only after a whole answer.
    """
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) >= skip + length and not ends:
            break
    return bytes(data[skip : skip + length])


def announced(headers: Any, start: int) -> int:
    """How many bytes from `start` on the file has, as the answer says; 0 when it does not say."""
    total = str(headers.get("Content-Range", "")).rpartition("/")[2] or str(headers.get("Content-Length", ""))
    return max(int(total) - start, 0) if total.isdigit() else 0
