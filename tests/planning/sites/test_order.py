"""Insertion into loosely sorted lists."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from porter.planning.sites.order import insertion_index

NAMES = st.lists(st.text(alphabet="abcXYZ12", min_size=1, max_size=6), max_size=12)


@given(NAMES, st.text(alphabet="abcXYZ12", min_size=1, max_size=6))
def test_a_sorted_list_stays_sorted(names: list[str], new: str) -> None:
    ordered = sorted(names, key=str.casefold)
    index = insertion_index(ordered, new)
    assert [*ordered[:index], new, *ordered[index:]] == sorted([*ordered, new], key=str.casefold) or new.casefold() in {
        name.casefold() for name in ordered
    }


@given(NAMES, st.text(alphabet="abcXYZ12", min_size=1, max_size=6))
def test_the_index_is_always_in_range(names: list[str], new: str) -> None:
    assert 0 <= insertion_index(names, new) <= len(names)


def test_one_name_out_of_place_does_not_attract() -> None:
    assert insertion_index(["a", "b", "x", "c", "d", "y", "z"], "w") == 5


def test_a_family_stays_together() -> None:
    assert insertion_index(["a", "InternVLModel", "InternS1", "b", "Idefics", "z"], "InternVLFoo") == 1
