"""A repo as porter reads it: JSON, templates, remote code as text, tensor headers. Never weights, never pickles."""

from __future__ import annotations

from porter.hub.read import snapshot_of
from porter.hub.snapshot import AutoMapEntry, RepoRef, Snapshot, TensorInfo, TensorTable

__all__ = ["AutoMapEntry", "RepoRef", "Snapshot", "TensorInfo", "TensorTable", "snapshot_of"]
