"""The files of a package by path, where a path may be made of a repo's own words."""

from __future__ import annotations

from pathlib import Path

import pytest

from porter.vllm_tree.tree import PackageTexts

OUTSIDE = ("vllm/../outside.py", "vllm//../outside.py", "vllm/a/../../outside.py", "vllm//etc/passwd", "outside.py")
NO_NAMES = (f"vllm/{'a' * 9000}.py", f"vllm/{'é' * 200}.py", "vllm/a\0.py", "vllm/\ud800.py", "vllm/.", "vllm/")


@pytest.mark.parametrize("path", [*OUTSIDE, *NO_NAMES])
def test_a_path_that_is_no_file_of_the_package(path: str, tmp_path: Path) -> None:
    (tmp_path / "vllm").mkdir()
    (tmp_path / "outside.py").write_text("x = 1")
    texts = PackageTexts(tmp_path / "vllm")
    assert path not in texts
    with pytest.raises(KeyError):
        texts[path]


def test_a_file_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "vllm").mkdir()
    (tmp_path / "vllm" / "inputs.py").write_text("x = 1")
    assert PackageTexts(tmp_path / "vllm")["vllm/inputs.py"] == "x = 1"
