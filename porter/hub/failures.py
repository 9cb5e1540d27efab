"""Every failure of huggingface_hub and of the network as one of porter's errors: one line and a hint."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from huggingface_hub import constants
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from porter.errors import (
    AccessDenied,
    HubError,
    MissingFile,
    PorterError,
    RateLimited,
    RepoNotFound,
    RevisionNotFound,
    Unreachable,
)

TRANSPORT_PACKAGES = frozenset({"httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3", "h11"})
AGAIN = "run the same command again: what was read so far is kept"
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Busy(Exception):
    """The server answered 429 or 5xx; `retry_after` in seconds when it said so."""

    def __init__(self, status: int, retry_after: float | None) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.retry_after = retry_after


class CutShort(Exception):
    """Fewer bytes came than the server announced."""


class NoHub(Exception):
    """Something answered, but not in the Hub's words."""


@dataclass(frozen=True, slots=True)
class About:
    """What was asked for when something failed."""

    repo: str
    revision: str | None = None
    name: str | None = None

    def what(self) -> str:
        return f"{self.repo}/{self.name}" if self.name else self.repo

    def page(self) -> str:
        return f"{constants.ENDPOINT}/{self.repo}"


def translate(error: Exception, about: About) -> PorterError | None:
    """None for an error that is no failure of the Hub, the network or the cache: that is a bug."""
    chain = tuple(causes(error))
    if isinstance(error, LocalEntryNotFoundError) and len(chain) > 1:
        return next((known for known in (translate_one(cause, about) for cause in chain[1:]) if known), None)
    return translate_one(error, about)


def causes(error: BaseException) -> Iterator[Exception]:
    current: BaseException | None = error
    while isinstance(current, Exception):
        yield current
        current = current.__cause__


def translate_one(error: Exception, about: About) -> PorterError | None:
    for kind, told in TABLE:
        if isinstance(error, kind):
            return told(error, about)
    if is_transport(error):
        return unreachable(error, about)
    return cache_trouble(error, about) if isinstance(error, OSError) else None


def is_transport(error: BaseException) -> bool:
    """An error of the HTTP library, whichever of them this huggingface_hub uses."""
    package = type(error).__module__.partition(".")[0]
    return package in TRANSPORT_PACKAGES or isinstance(error, (ConnectionError, TimeoutError))


def gated(error: Exception, about: About) -> PorterError:
    return AccessDenied(
        f"{about.repo} is gated and this account has no access",
        hint=f"accept its terms at {about.page()}, then `hf auth login` or set HF_TOKEN",
        where=about.page(),
    )


def no_repo(error: Exception, about: About) -> PorterError:
    return RepoNotFound(
        f"no repo {about.repo} at {constants.ENDPOINT}, or it is private",
        hint="check the spelling; for a private repo `hf auth login` or set HF_TOKEN",
        where=about.page(),
    )


def no_revision(error: Exception, about: About) -> PorterError:
    return RevisionNotFound(
        f"{about.repo} has no revision {about.revision or 'main'}",
        hint=f"its branches and tags: {about.page()}/tree/main",
        where=about.page(),
    )


def no_entry(error: Exception, about: About) -> PorterError:
    files = f"{about.page()}/tree/{about.revision or 'main'}"
    return MissingFile(
        f"{about.repo} has no {about.name or 'such file'}",
        hint=f"its files: {files}; or give another --revision",
        where=about.page(),
    )


def disabled(error: Exception, about: About) -> PorterError:
    return AccessDenied(f"{about.repo} is disabled by the Hub", where=about.page())


def not_cached(error: Exception, about: About) -> PorterError:
    return Unreachable(
        f"{about.what()} is not in the cache, and the network is off",
        hint="run once without --offline and HF_HUB_OFFLINE",
    )


def not_an_id(error: Exception, about: About) -> PorterError:
    return RepoNotFound(f"{about.repo} is not a repo id", hint="give ORG/NAME")


def busy(error: Exception, about: About) -> PorterError:
    assert isinstance(error, Busy)
    if error.status == 429:
        later = f"in {error.retry_after:.0f} s" if error.retry_after else "later"
        return RateLimited(
            f"{constants.ENDPOINT} answers 429 for {about.what()}: too many requests",
            hint=f"run the same command again {later}, or set HF_TOKEN: signed-in accounts have a higher limit",
        )
    return Unreachable(
        f"{constants.ENDPOINT} answers {error.status} for {about.what()}, also after several tries",
        hint=f"{AGAIN}; --offline when the whole repo is in the cache",
    )


def http_status(error: Exception, about: About) -> PorterError:
    assert isinstance(error, HfHubHTTPError)
    status = error.response.status_code
    if status in {401, 403}:
        return AccessDenied(
            f"access to {about.what()} is denied (HTTP {status})",
            hint="check that HF_TOKEN is valid and may read this repo",
            where=about.page(),
        )
    if status == 404:
        return no_entry(error, about) if about.name else no_repo(error, about)
    return HubError(f"{constants.ENDPOINT} answers {status} for {about.what()}", where=about.page())


def cut_short(error: Exception, about: About) -> PorterError:
    return Unreachable(f"the download of {about.what()} ended early, also after several tries", hint=AGAIN)


def no_hub(error: Exception, about: About) -> PorterError:
    return Unreachable(f"{constants.ENDPOINT} does not answer like a Hub for {about.what()}", hint="check HF_ENDPOINT")


def unreachable(error: Exception, about: About) -> PorterError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return Unreachable(
        f"{constants.ENDPOINT} cannot be reached for {about.what()}: {reason}",
        hint=f"check the network, HF_ENDPOINT and proxies; {AGAIN}; --offline when the whole repo is in the cache",
    )


def cache_trouble(error: OSError, about: About) -> PorterError:
    if error.errno in DISK_FULL:
        return HubError(
            f"no space left for {about.what()} in {constants.HF_HUB_CACHE}",
            hint=f"free space or set HF_HOME, then {AGAIN}",
        )
    if error.errno is not None:
        return HubError(f"the cache {constants.HF_HUB_CACHE} cannot be used: {error.strerror}", hint="set HF_HOME")
    return no_hub(error, about)


TABLE: tuple[tuple[type[Exception], Callable[[Exception, About], PorterError]], ...] = (
    (Busy, busy),
    (CutShort, cut_short),
    (NoHub, no_hub),
    (GatedRepoError, gated),
    (RepositoryNotFoundError, no_repo),
    (RevisionNotFoundError, no_revision),
    (DisabledRepoError, disabled),
    (LocalEntryNotFoundError, not_cached),
    (OfflineModeIsEnabled, not_cached),
    (EntryNotFoundError, no_entry),
    (HfHubHTTPError, http_status),
    (HFValidationError, not_an_id),
)
"""Most specific first."""
