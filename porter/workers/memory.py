"""How much memory this system can still give. Standard library only."""

from __future__ import annotations

from pathlib import Path

LEAST = 6 << 30
MOST = 64 << 30


def free() -> int | None:
    """Bytes that the system can still give to processes, within the limit of a container."""
    found = [_meminfo(), _cgroup()]
    return min((count for count in found if count is not None), default=None)


def share(part: float) -> int:
    """Bytes: this part of what is free, and never less than what it takes to import torch."""
    found = free()
    return MOST if found is None else min(max(int(part * found), LEAST), MOST)


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _cgroup() -> int | None:
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = (folder / "memory.current").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return max(int(limit) - int(used), 0) if limit.isdigit() and used.isdigit() else None
