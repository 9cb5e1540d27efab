"""What stands in for packages that are missing, and for names that transformers no longer has."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from porter.workers import moved_names
from porter.workers.standin_packages import StubModule, _importing, stand_in


@pytest.fixture
def importing() -> Any:
    _importing.append("")
    yield
    _importing.pop()


def test_code_may_do_anything_with_a_name_while_it_is_imported(importing: None) -> None:
    package: Any = StubModule("missing")

    @package.register
    def plain() -> int:
        return 1

    @package.registry.register("name", force=True)
    class Decorated(package.Base[int]):  # type: ignore[misc]
        number = 2

    assert plain() == 1
    assert Decorated().number == 2
    assert isinstance(package.make(1, 2), type)


def test_nothing_is_made_of_it_afterwards() -> None:
    with pytest.raises(RuntimeError, match=r"missing\.Model is a stand-in: the package is not installed"):
        StubModule("missing").Model()


@pytest.mark.parametrize(
    ("name", "value"), [("SOME_DOCSTRING", ""), ("is_torch_fx_available", False), ("LlamaFlashAttention2", "class")]
)
def test_a_name_that_is_gone_gets_what_does_least(name: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = StubModule("transformers.elsewhere")
    monkeypatch.setitem(sys.modules, "transformers.elsewhere", module)
    monkeypatch.setattr(moved_names, "defining", lambda _: [])
    used: list[str] = []
    error = ImportError(f"cannot import name '{name}' from 'transformers.elsewhere' (unknown location)")
    assert moved_names.restored(error, used, stand_in)
    found = vars(module)[name]
    assert ("class" if isinstance(found, type) else found() if callable(found) else found) == value
    assert len(used) == 1 and f"transformers.elsewhere.{name} is gone" in used[0]


def test_other_failures_are_not_touched() -> None:
    used: list[str] = []
    assert not moved_names.restored(ImportError("libfoo.so: cannot open shared object file"), used, stand_in)
    assert not moved_names.restored(ImportError("cannot import name 'x' from 'torch.nn' (x.py)"), used, stand_in)
    assert not used
