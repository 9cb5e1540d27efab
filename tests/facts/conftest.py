"""Tests that stand in tests/truth/PENDING await code and are xfail; the file goes when it is empty."""

from __future__ import annotations

from pathlib import Path

import pytest

PENDING = Path(__file__).resolve().parents[1] / "truth" / "PENDING"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    names = PENDING.read_text(encoding="utf-8").split() if PENDING.is_file() else []
    for item in items:
        if item.name in names:
            item.add_marker(pytest.mark.xfail(strict=False))
