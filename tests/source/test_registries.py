"""Registries that module-level statements fill, and other ways in which code finds its parts."""

from __future__ import annotations

import pytest

from porter.source.interpreter import MAX_STEPS, Stop
from tests.source.following import interpreter, is_lost, result, value_of

REGISTRY = """
TABLE = {}

def remember(name):
    def keep(function):
        TABLE[name] = function
        return function
    return keep

@remember("a")
def made():
    return 3

def other():
    return 5

TABLE["b"] = other
TABLE.update({"c": lambda: 7})
"""


@pytest.mark.parametrize(("key", "expected"), [("a", 3), ("b", 5), ("c", 7)])
def test_entries_added_after_the_table(key: str, expected: int) -> None:
    assert result(f"{REGISTRY}\n\ndef result():\n    return TABLE[{key!r}]()\n") == expected


def test_entries_added_by_another_file() -> None:
    files = {
        "m.py": "from tables import TABLE\nimport more\ndef result():\n    return TABLE['x']\n",
        "tables.py": "TABLE = {}\n",
        "more.py": "from tables import TABLE as KNOWN\nKNOWN['x'] = 11\n",
    }
    assert result(files) == 11


def test_a_key_that_nothing_adds_stays_unknown() -> None:
    assert is_lost(value_of(f"{REGISTRY}\n\ndef result():\n    return TABLE['z']\n"))


def test_class_methods_get_the_class() -> None:
    code = """
    class Sizes:
        scale = 3
        @classmethod
        def of(cls, n):
            return cls.scale * n
        @staticmethod
        def plain(n):
            return n + 1

    def result():
        return [Sizes.of(4), Sizes.plain(4)]
    """
    assert result(code) == [12, 5]


def test_steps_of_all_readings_together_are_bounded() -> None:
    """However often a new budget is given, what is left in all shrinks."""
    run = interpreter("def result():\n    x = 0\n    for i in range(500):\n        x = x + i\n    return x\n")
    function = run.module_name("m.py", "result").value
    with pytest.raises(Stop):
        for _ in range(MAX_STEPS):
            run.budget = 10_000
            run.call_function(function, [], {}, 1)
    assert run.budget > 0


def test_a_long_range_is_not_written_out() -> None:
    assert result("def result():\n    return [len(range(100000)), range(100000)[99]]\n") == [100000, 99]
