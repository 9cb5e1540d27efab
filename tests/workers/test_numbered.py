"""Prompts whose images are numbered, in the token test and in the reference; processors of older transformers."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from porter.workers import older_images, preprocess, reference
from porter.workers.placeholders import signed

needs_transformers = pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="no transformers")


@pytest.mark.parametrize(
    ("text", "placeholder", "expected"),
    [
        ("<image-{n}><image-{n}> x <image-{n}>", "<image-{n}>", "<image-1><image-2> x <image-3>"),
        ("x", "<image-{n}>", "x"),
        ("<image> {n} <image>", "<image>", "<image> {n} <image>"),
    ],
)
def test_each_placeholder_is_the_next_number(text: str, placeholder: str, expected: str) -> None:
    assert signed(text, placeholder) == expected


class Ids(str):
    """Stands for the tensor of ids: what the tokenizer was given."""


class Written(reference.Reference):
    """A reference without a model or chat: only its text."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts, self.model, self.shown_text = facts, object(), True
        self.tokenizer = lambda text, **_: {"input_ids": Ids(text)}

    def tokens_per_tile(self, inputs: preprocess.Inputs) -> int:
        return 2


def facts(placeholder: str, label: str | None) -> dict[str, Any]:
    row = [{"token": label, "id": None, "role": "label"}] if label else []
    return {
        "image_placeholder": placeholder,
        "image_separators": row or None,
        "image_start_token": "[",
        "image_end_token": "]",
        "image_context_token": "*",
    }


@pytest.mark.parametrize(
    ("placeholder", "label", "text", "expected"),
    [
        ("<image>", None, "a <image> b <image>", "a [**] b [****]"),
        ("<p{n}>", "<image {n}>", "a <p1> b <p2>", "a <image 1>[**] b <image 2>[****]"),
    ],
)
def test_the_reference_fills_in_each_image_by_its_number(
    placeholder: str, label: str | None, text: str, expected: str
) -> None:
    made = Written(facts(placeholder, label))
    inputs = preprocess.Inputs({"pixel_values": [0, 0, 0]}, [1, 2])
    assert made.prompt_ids(text, inputs) == expected
    assert not made.shown_text


def test_an_image_without_a_place_in_the_prompt_is_told() -> None:
    inputs = preprocess.Inputs({"pixel_values": [0]}, [1])
    with pytest.raises(RuntimeError, match="the prompt has no <p1>"):
        Written(facts("<p{n}>", None)).prompt_ids("a <p2>", inputs)


@needs_transformers
def test_a_processor_of_older_transformers_gets_its_arguments() -> None:
    from transformers import ProcessorMixin

    used: list[str] = []
    now = ProcessorMixin.validate_init_kwargs({"a": 1, "b": 2}, ["a"])

    def load() -> dict[str, int]:
        made: dict[str, int] = {}
        made.update(ProcessorMixin.validate_init_kwargs({"abc": 1, "b": 2}, ["b"]))
        return made

    assert older_images.with_plain_arguments(load, used) == {"abc": 1}
    assert len(used) == 1
    assert ProcessorMixin.validate_init_kwargs({"a": 1, "b": 2}, ["a"]) == now


@needs_transformers
def test_what_fails_in_both_ways_is_an_error_and_nothing_stays_changed() -> None:
    from transformers import ProcessorMixin

    def load() -> None:
        raise ValueError("no")

    before = ProcessorMixin.validate_init_kwargs({"a": 1}, [])
    used: list[str] = []
    with pytest.raises(ValueError, match="no"):
        older_images.with_plain_arguments(load, used)
    assert not used and ProcessorMixin.validate_init_kwargs({"a": 1}, []) == before
