"""What stands in for vLLM's attention on a CPU where the tokens of an image see each other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from porter.workers import attending  # noqa: E402

HEADS, GROUPS, WIDTH, BLOCK = 4, 2, 8, 4


def backend(**changes: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"sliding_window": -1, "scale": 0.5, "logits_soft_cap": 0, **changes})


def drawn(length: int) -> tuple[Any, Any, Any]:
    made = torch.Generator().manual_seed(length)
    return tuple(torch.randn(length, heads, WIDTH, generator=made) for heads in (HEADS, GROUPS, GROUPS))  # type: ignore[return-value]


def expected(query: Any, key: Any, value: Any, seen: list[list[bool]]) -> Any:
    """By torch's own attention under a mask."""
    key, value = (item.repeat_interleave(HEADS // GROUPS, dim=1) for item in (key, value))
    rows = [item.transpose(0, 1) for item in (query, key, value)]
    mask = torch.tensor(seen)
    return torch.nn.functional.scaled_dot_product_attention(*rows, attn_mask=mask, scale=0.5).transpose(0, 1)


@pytest.mark.parametrize(
    ("spans", "window"), [([], -1), ([(2, 4)], -1), ([(0, 1), (4, 6)], -1), ([(2, 6)], 3), ([], 2)]
)
def test_a_token_sees_those_before_it_and_its_own_image(spans: list[tuple[int, int]], window: int) -> None:
    query, key, value = drawn(7)
    seen = [
        [
            (at >= other and (window < 0 or at - other < window))
            or any(first <= at <= last and first <= other <= last for first, last in spans)
            for other in range(7)
        ]
        for at in range(7)
    ]
    made = attending.attended(query, key, value, spans, backend(sliding_window=window))
    torch.testing.assert_close(made, expected(query, key, value, seen))


def step(start: int, end: int, blocks: list[int], spans: dict[int, Any]) -> SimpleNamespace:
    """The metadata of one prompt's tokens from `start` to `end`, in these blocks."""
    slots = [blocks[at // BLOCK] * BLOCK + at % BLOCK for at in range(start, end)]
    return SimpleNamespace(
        query_start_loc=torch.tensor([0, end - start]),
        seq_lens=torch.tensor([end]),
        slot_mapping=torch.tensor(slots),
        block_table=torch.tensor([blocks]),
        porter_spans=spans,
    )


@pytest.mark.parametrize("cuts", [(7,), (2, 7), (1, 5, 7)])
def test_a_prompt_that_comes_in_parts_gives_the_rows_of_the_whole(cuts: tuple[int, ...]) -> None:
    query, key, value = drawn(7)
    spans, layer, rows = [(2, 4)], SimpleNamespace(), []
    for start, end in zip((0, *cuts), cuts, strict=False):
        output = torch.full((end - start, HEADS, WIDTH), 9.0)
        prompts = attending.Prompts(backend(), layer, step(start, end, [5, 3], {0: spans}), BLOCK)
        prompts.fill(query[start:end], key[start:end], value[start:end], output)
        rows.append(output)
    whole = attending.attended(query, key, value, spans, backend())
    touched = slice(0 if len(cuts) == 1 else cuts[0], 5)
    torch.testing.assert_close(torch.cat(rows)[touched], whole[touched])


def test_rows_without_an_image_stay_as_vllm_made_them() -> None:
    query, key, value = drawn(7)
    for spans in ({}, {0: []}):
        output = torch.full((7, HEADS, WIDTH), 9.0)
        attending.Prompts(backend(), SimpleNamespace(), step(0, 7, [0, 1], spans), BLOCK).fill(
            query, key, value, output
        )
        assert bool((output == 9.0).all())


def test_nothing_stands_in_where_no_image_sees_itself() -> None:
    assert attending.stand_in(SimpleNamespace(is_mm_prefix_lm=False), "cpu") is None
    assert attending.stand_in(SimpleNamespace(is_mm_prefix_lm=True), "cuda") is None


class Builder:
    def build(self, common_prefix_len: int, common_attn_metadata: Any) -> SimpleNamespace:
        made = step(0, 7, [0, 1], {})
        del made.porter_spans
        return made


class Backend(SimpleNamespace):
    def forward(self, layer: Any, query: Any, key: Any, value: Any, cache: Any, metadata: Any, output: Any) -> Any:
        return output.fill_(9.0)


def test_the_spans_of_the_runner_reach_the_rows() -> None:
    attending.patch(Builder, Backend)
    attending.patch(Builder, Backend)
    query, key, value = drawn(7)
    output = torch.zeros(7, HEADS, WIDTH)
    metadata = Builder().build(0, SimpleNamespace(mm_req_doc_ranges={0: [(2, 4)]}))
    layer, cache = SimpleNamespace(), torch.zeros(2, GROUPS, BLOCK, 2 * WIDTH)
    Backend(**vars(backend())).forward(layer, query, key, value, cache, metadata, output=output)
    torch.testing.assert_close(output, attending.attended(query, key, value, [(2, 4)], backend()))
