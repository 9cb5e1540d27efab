"""Functions that choose the same pair have one form, whatever they are called; one other operator has another."""

from __future__ import annotations

import ast
import textwrap

import pytest

from porter.source.chooser import form_of

CLOSEST = """
def closest(aspect_ratio, options, width, height, image_size):
    gap, kept = float("inf"), (1, 1)
    area = width * height
    for option in options:
        distance = abs(aspect_ratio - option[0] / option[1])
        if distance < gap:
            gap = distance
            kept = option
        elif distance == gap:
            if area > 0.5 * image_size * image_size * option[0] * option[1]:
                kept = option
    return kept
"""
COVERING = """
def covering(aspect_ratio, options, width, height, image_size):
    \"\"\"By area and by aspect.\"\"\"
    best, kept = float("-inf"), (1, 1)
    for across, down in options:
        wide = across / down
        covered = min(across * down * image_size * image_size / (width * height), 0.6)
        score = covered * min(wide / aspect_ratio, aspect_ratio / wide)
        if score > best:
            best, kept = score, (across, down)
    return kept
"""


def form(code: str) -> str | None:
    node = ast.parse(textwrap.dedent(code)).body[0]
    assert isinstance(node, ast.FunctionDef)
    return form_of(node)


NESTED = "elif distance == gap:\n            if area > 0.5"
DEEP, FLAT = "\n                kept = option\n    return", "\n            kept = option\n    return"
IN_FULL = "for pair in options:\n        across, down = pair[0], pair[1]"


@pytest.mark.parametrize(
    ("code", "pairs"),
    [
        (CLOSEST, [(NESTED, "elif distance == gap and area > 0.5"), (DEEP, FLAT)]),
        (CLOSEST, [("abs(aspect_ratio - option[0] / option[1])", "abs(option[0] / option[1] - aspect_ratio)")]),
        (CLOSEST, [("distance < gap", "gap > distance"), ("option[0] * option[1]:", "option[1] * option[0]:")]),
        (CLOSEST, [('gap, kept = float("inf"), (1, 1)', "kept = (1, 1)\n    gap = math.inf")]),
        (COVERING, [("for across, down in options:", IN_FULL), ("(across, down)\n    return", "pair\n    return")]),
        (COVERING, [("across * down * image_size * image_size", "(image_size * down) * (across * image_size)")]),
        (COVERING, [("wide / aspect_ratio, aspect_ratio / wide", "aspect_ratio / wide, wide / aspect_ratio")]),
        (COVERING, [("image_size", "tile_size"), ("score", "factor"), ("best", "most")]),
    ],
)
def test_other_words_for_the_same_choice_have_its_form(code: str, pairs: list[tuple[str, str]]) -> None:
    written = code
    for old, new in pairs:
        assert old in written, old
        written = written.replace(old, new)
    assert form(code) is not None
    assert form(written) == form(code)


@pytest.mark.parametrize(
    ("code", "old", "new"),
    [
        (CLOSEST, "distance < gap", "distance <= gap"),
        (CLOSEST, "area > 0.5", "area >= 0.5"),
        (CLOSEST, "0.5", "0.7"),
        (CLOSEST, "distance == gap", "distance != gap"),
        (CLOSEST, "option[0] / option[1]", "option[1] / option[0]"),
        (CLOSEST, "elif distance == gap", "elif distance <= gap"),
        (CLOSEST, "(1, 1)", "(2, 1)"),
        (COVERING, "score > best", "score >= best"),
        (COVERING, "0.6", "0.5"),
        (COVERING, "min(across", "max(across"),
        (COVERING, "covered * min", "covered + min"),
        (COVERING, "aspect_ratio / wide)", "wide)"),
        (COVERING, "(width * height)", "(width * width)"),
        (COVERING, 'float("-inf")', "0"),
        (COVERING, "score, (across, down)", "score, (down, across)"),
    ],
)
def test_one_other_operator_is_another_form(code: str, old: str, new: str) -> None:
    assert old in code
    assert form(code.replace(old, new)) not in (None, form(code))


ONCE = "            gap = distance\n            kept = option\n"
AGAIN = "        if gap < 1:\n            kept = (1, 1)\n        if gap > 2:\n            kept = option\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("abs(aspect_ratio", "norm(aspect_ratio"),
        ("return kept", "return best_of(kept)"),
        ("for option in options:", "for option in sorted(options):"),
        ("for option in options:", "while options:"),
        ("            kept = option\n        elif", "            kept = option\n            gap += 1\n        elif"),
        ("distance < gap", "distance ** 2 < gap"),
        ("aspect_ratio, options", "ratio, options"),
        (ONCE, ONCE + AGAIN),
        ("gap = distance", "gap = gap + distance"),
        ("        distance =", "        gap = 1\n        distance ="),
    ],
)
def test_what_is_not_followed_has_no_form(old: str, new: str) -> None:
    assert old in CLOSEST
    assert form(CLOSEST.replace(old, new)) is None


def test_rounding_keeps_the_order_of_factors() -> None:
    """Three factors of which one is no whole multiple of a power of two: another order rounds otherwise."""
    third = CLOSEST.replace("0.5 * image_size * image_size", "0.3 * image_size * image_size")
    turned = CLOSEST.replace("0.5 * image_size * image_size", "image_size * image_size * 0.3")
    assert form(third) not in (None, form(turned))
