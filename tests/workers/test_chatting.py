from __future__ import annotations

from typing import Any

import pytest

from porter.workers import chatting, preprocess


class Tokenizer:
    def convert_tokens_to_ids(self, token: str) -> int:
        return len(token)


class Model:
    """Has a chat function as such repos write it: the tags of tiles are its own."""

    def chat(
        self,
        tokenizer: Any,
        pixel_values: list[int],
        question: str,
        generation_config: dict[str, Any],
        num_patches_list: list[int],
    ) -> None:
        assert tokenizer.convert_tokens_to_ids("<ctx>") == 5
        for count in num_patches_list:
            body = "".join(f"<tile_{i}><ctx><ctx>" for i in range(1, count + 1))
            question = question.replace("<image>", f"<img>{body}</img>", 1)
        tokenizer(f"<user>{question}<end>", return_tensors="pt")
        raise AssertionError("the tokenizer was to stop here")


class Broken:
    def chat(self, tokenizer: Any, question: str) -> None:
        raise RuntimeError("no template")


def test_the_text_of_an_image_is_what_chat_writes() -> None:
    assert chatting.image_text(Model(), Tokenizer(), "<image>", [0, 0]) == (
        "<img><tile_1><ctx><ctx><tile_2><ctx><ctx></img>"
    )


@pytest.mark.parametrize(("model", "placeholder"), [(Broken(), "<image>"), (object(), "<image>"), (Model(), "<photo>")])
def test_without_an_answer_nothing_is_claimed(model: object, placeholder: str) -> None:
    assert chatting.image_text(model, Tokenizer(), placeholder, [0]) is None


def cut(image: int) -> list[int]:
    return [image]


def twice(image: int) -> list[int]:
    return [*cut(image), image]


def load_image(image: int) -> list[int]:
    return twice(image)


def test_the_outermost_function_makes_the_whole_input() -> None:
    every = [cut, load_image, twice]
    ordered = sorted(every, key=lambda fn: -len(preprocess._calls(fn, every)))
    assert ordered == [load_image, twice, cut]
