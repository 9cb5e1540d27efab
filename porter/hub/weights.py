"""Weight files that are on this machine already. porter never fetches any."""

from __future__ import annotations

from pathlib import Path

from porter.hub.snapshot import RepoRef, Snapshot


def weights_on_disk(snapshot: Snapshot) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The files that hold the checkpoint, and the names of those that are not here."""
    found = {name: _on_disk(snapshot.repo, name) for name in snapshot.tensors.files}
    here = tuple(path for path in found.values() if path is not None)
    return here, tuple(name for name, path in found.items() if path is None)


def _on_disk(repo: RepoRef, name: str) -> Path | None:
    if repo.folder is not None:
        path = Path(repo.folder) / name
        return path if path.is_file() else None
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(repo.id, name, revision=repo.commit)
    return Path(cached) if isinstance(cached, str) else None
