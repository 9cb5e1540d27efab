"""Placeholders of neighbours may share a token that no feature goes to, and no other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from porter_worker import tokens
from porter_worker.placeholders import Made, Span


def compared(*spans: tuple[int, str]) -> None:
    """Each span is (offset, one letter a token: f where a feature goes)."""
    made = [Span(at, tuple(range(len(text))), tuple(letter == "f" for letter in text)) for at, text in spans]
    items: list[Any] = [SimpleNamespace(get_data=dict) for _ in made]
    rows = SimpleNamespace(of=lambda modality, items: [span.rows for span in made])
    payload = {"placeholder": "<image>"}
    sweep = tokens.Sweep(SimpleNamespace(tokenizer=None), rows, payload)  # type: ignore[arg-type]
    sweep.compare(Made([], {"image": made}, {"image": items}))


@pytest.mark.parametrize(
    "spans", [((0, "nffn"), (4, "nffn")), ((0, "nffn"), (3, "nffn")), ((0, "ff"), (2, "ff")), ((3, "nff"), (0, "ffn"))]
)
def test_tokens_without_features_may_be_shared(spans: tuple[tuple[int, str], ...]) -> None:
    compared(*spans)


@pytest.mark.parametrize(
    "spans",
    [((0, "nff"), (2, "nff")), ((0, "nffn"), (2, "nffn")), ((0, "nffn"), (3, "ff")), ((0, "ffnn"), (1, "nnff"))],
)
def test_features_of_two_never_meet(spans: tuple[tuple[int, str], ...]) -> None:
    with pytest.raises(tokens.TokenFault, match="inside the one before"):
        compared(*spans)
