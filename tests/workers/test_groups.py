"""Shared memory that processes leave behind: which names are theirs, and when it is removed."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest

from porter.workers import groups

pytestmark = pytest.mark.skipif(not groups.SHARED.is_dir(), reason="this system has no /dev/shm")
NAME = f"vllm_dist_{os.getpid()}-tp:0-[0-1]-cpushm_0"


def test_a_segment_of_vllms_processes_is_removed_when_nobody_maps_it() -> None:
    path: Path = groups.SHARED / NAME
    path.write_bytes(bytes(4096))
    try:
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 4096):
            held = groups.shared_memory([os.getpid()])
            assert NAME in held
            groups.remove_left({NAME})
            assert path.exists()
        groups.remove_left({NAME})
        assert not path.exists()
    finally:
        path.unlink(missing_ok=True)
