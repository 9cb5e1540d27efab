"""The one place that writes ports: diff, apply, undo, and the manifest."""

from __future__ import annotations

from porter.changes.apply import Applied, apply, settle
from porter.changes.diff import count, diff, file_diff
from porter.changes.manifest import build_manifest, read_manifest

__all__ = ["Applied", "apply", "build_manifest", "count", "diff", "file_diff", "read_manifest", "settle"]
