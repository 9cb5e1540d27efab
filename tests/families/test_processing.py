"""Pixels that differ from the tree's need hooks that the tree must have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from porter.families.internvl import InternVL
from porter.families.internvl.anchors import HELPERS
from porter.families.internvl.processing import judge_pixels
from tests.families.repos import EXAMPLE, needs_vllm, read, tree

pytestmark = needs_vllm


def test_this_tree_has_what_an_own_image_processor_needs() -> None:
    spec, notes = judge_pixels(read(EXAMPLE), InternVL().anchors(tree()), None, True)
    assert spec is not None and not notes.blockers


@pytest.mark.parametrize("name", HELPERS)
def test_a_helper_that_the_tree_lacks_is_a_named_blocker(name: str) -> None:
    anchors = InternVL().anchors(tree())
    kept = tuple(helper for helper in HELPERS if helper != name)
    lacking = replace(anchors, processor=replace(anchors.processor, helpers=kept))
    spec, notes = judge_pixels(read(EXAMPLE), lacking, None, True)
    assert spec is None and name in notes.blockers[0].why


@pytest.mark.parametrize("hook", [None, ("self", "images")])
def test_a_hook_of_another_shape_is_a_named_blocker(hook: tuple[str, ...] | None) -> None:
    anchors = InternVL().anchors(tree())
    other = replace(anchors, processor=replace(anchors.processor, pixel_hook=hook))
    spec, notes = judge_pixels(read(EXAMPLE), other, None, True)
    assert spec is None and "_images_to_pixel_values_lst" in notes.blockers[0].why
