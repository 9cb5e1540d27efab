"""Every expected failure of porter.

    PorterError                 exit 1: one line, and the next command to type
      UsageError                exit 2: the command line, not the repo, is wrong
      HubError                  the Hub or the network said no
        RepoNotFound
        RevisionNotFound
        AccessDenied
        RateLimited
        Unreachable
      RepoError                 the repo's own files cannot be used
        BadJson                 names file, line and column
        MissingFile
        BadHeader               a safetensors header that cannot be read
      TreeError                 no vLLM tree, or not one that porter understands
      Refused                   a verdict or an open question stops the port
      TargetError               the target cannot be written, or holds something else
      WorkerError               a child process failed or gave no answer

Library code raises these; only `porter.cli` turns them into a line and an exit code. Anything else is a bug (exit 3).
"""

from __future__ import annotations

from typing import ClassVar


class PorterError(Exception):
    """An expected failure: `message` is one line, `hint` the next command to type, `where` a file or URL."""

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None, where: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where


class UsageError(PorterError):
    code = "usage"
    exit_code = 2


class HubError(PorterError):
    code = "hub"


class RepoNotFound(HubError):
    code = "repo_not_found"


class RevisionNotFound(HubError):
    code = "revision_not_found"


class AccessDenied(HubError):
    code = "access_denied"


class RateLimited(HubError):
    code = "rate_limited"


class Unreachable(HubError):
    code = "unreachable"


class RepoError(PorterError):
    code = "repo"


class BadJson(RepoError):
    code = "bad_json"


class MissingFile(RepoError):
    code = "missing_file"


class BadHeader(RepoError):
    code = "bad_header"


class TreeError(PorterError):
    code = "tree"


class Refused(PorterError):
    code = "refused"


class TargetError(PorterError):
    code = "target"


class WorkerError(PorterError):
    code = "worker"
