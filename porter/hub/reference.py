"""What REPO on the command line means: a folder, a repo id, or a link to a model page."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from porter.errors import RepoNotFound, UsageError

HUB_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
OTHER_KINDS = frozenset({"datasets", "spaces", "buckets", "collections", "papers", "docs"})
REPO_ID = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9_][\w.-]*", re.ASCII)
LONGEST_ID = 193
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Reference:
    """Either a local `folder`, or a repo `id` with the `revision` asked for (None: the default branch)."""

    id: str
    revision: str | None = None
    folder: Path | None = None


def parse_reference(repo: str, revision: str | None) -> Reference:
    """Raises UsageError for text that can be no repo, RepoNotFound for a folder that is not there."""
    if repo.startswith(("https://", "http://")):
        return from_link(repo, revision)
    folder = Path(repo).expanduser()
    if repo and is_folder(folder):
        return from_folder(folder, revision)
    if is_repo_id(repo):
        return Reference(repo, revision)
    raise RepoNotFound(
        f"{printable(repo)} is neither a folder here nor a repo id",
        hint="give ORG/NAME, a folder with a config.json, or the link of a model page",
    )


def from_folder(folder: Path, revision: str | None) -> Reference:
    if revision is not None:
        raise UsageError(f"--revision {revision} does not apply to a local folder", hint="leave --revision away")
    resolved = folder.resolve()
    return Reference(resolved.name or "repo", None, resolved)


def from_link(link: str, revision: str | None) -> Reference:
    """`https://HOST/ORG/NAME`, also with `/tree/REVISION...`, `/blob/REVISION/FILE` or a query."""
    try:
        parts = urlsplit(link)
    except ValueError as error:
        raise UsageError(f"{printable(link)} is not a link: {error}") from error
    names = [unquote(name) for name in parts.path.split("/") if name]
    if parts.hostname not in known_hosts() or not names or names[0] in OTHER_KINDS:
        raise UsageError(f"{printable(link)} is not a model page of the Hub", hint="give ORG/NAME instead")
    repo = "/".join(names[:2])
    if not is_repo_id(repo):
        raise UsageError(f"{printable(link)} names no repo", hint="give ORG/NAME instead")
    in_link = names[3] if len(names) > 3 and names[2] in {"tree", "blob", "resolve", "commit", "raw"} else None
    return Reference(repo, revision or in_link)


def known_hosts() -> frozenset[str]:
    endpoint = urlsplit(os.environ.get("HF_ENDPOINT", "")).hostname
    return HUB_HOSTS | {endpoint} if endpoint else HUB_HOSTS


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name too long, or with a NUL
        return False


def is_repo_id(text: str) -> bool:
    return (
        len(text) <= LONGEST_ID
        and REPO_ID.fullmatch(text) is not None
        and "--" not in text
        and ".." not in text
        and not text.endswith((".git", ".", "-"))
    )


def printable(text: str, limit: int = 120) -> str:
    """One line of text that cannot disturb a terminal."""
    clean = "".join(character if character.isprintable() else "?" for character in text)
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."
