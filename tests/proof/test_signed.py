"""The signed-off table: what was compared, how far it is off, what it does not prove; kept while nothing changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porter.jsontypes import JSONObject
from porter.planning.plan import FileChange, Plan
from porter.proof.compare import Parity, Row, judge
from porter.proof.signed import at_most, carried, section_of, signed, signed_off, with_section
from tests.proof.ways import way

ENGINE: JSONObject = {"vllm": "0.32.0", "torch": "2.13.0", "transformers": "5.19.0"}
ROWS = [Row(name, "one tile", True, True, 8.1e-6, 7.2e-7, (28, 28), (True, True)) for name in ("normal", "stress")]
NOTES = "# Port\n\n## Facts\n\nsome\n"


def document(rows: list[Row] | None = None) -> JSONObject:
    found = judge(rows or ROWS, seeds={"normal": 4, "stress": 5}, not_proven=["sizes: a|b"], places=way())
    return {**found.to_json(), "prompts": [{"name": "one tile", "images": [[56, 56], None]}]}


def test_the_table_says_all_that_was_compared_and_what_was_not() -> None:
    text = signed_off(document(), ENGINE) or ""
    for words in (
        "| prompts | one tile (56x56, a file) |",
        "| weights | normal (seed 4), stress (seed 5) |",
        "vllm 0.32.0, torch 2.13.0, transformers 5.19.0",
        "| prompt token ids | equal | equal |",
        "| logprobs, whole vocabulary | at most 9e-06 | 3e-05 |",
        "| stage merge (relative) | at most 1e-06 | 1e-05 |",
        "tensor parallelism; CUDA kernels; quantisation; the real weights; sizes: a\\|b.",
    ):
        assert words in text, words
    assert "Not proved" not in text


def test_a_failed_comparison_is_never_signed_as_a_proof() -> None:
    text = (
        signed_off(document([Row("normal", "one tile", True, False, 2.0, 0.3, (28, 28), (True, True))]), ENGINE) or ""
    )
    assert "Not proved: prompt one tile" in text and "computes what" not in text
    assert "| greedy tokens | not equal | equal |" in text


@pytest.mark.parametrize("status", ["skipped", "unproven"])
def test_nothing_is_said_where_nothing_was_compared(status: str) -> None:
    assert signed_off(Parity(status, "why").to_json(), ENGINE) is None  # type: ignore[arg-type]


@given(st.floats(1e-12, 1e6))
def test_a_bound_is_never_below_what_was_measured_and_close_to_it(value: float) -> None:
    bound = float(at_most(value).removeprefix("at most "))
    assert value <= bound * (1 + 1e-5) and bound <= 2.01 * value


def plan(notes: FileChange, code: FileChange) -> Plan:
    return Plan("out", "plugin", "m", (notes, code))


def test_the_section_replaces_an_older_one() -> None:
    once = with_section(NOTES, "## Proof\n\nfirst\n")
    assert with_section(once, "## Proof\n\nfirst\n") == once
    assert with_section(once, "## Proof\n\nsecond\n") == with_section(NOTES, "## Proof\n\nsecond\n")
    assert section_of(once) == "## Proof\n\nfirst\n" and section_of(NOTES) is None
    assert once.startswith(NOTES)


def test_a_written_plan_gets_the_section_as_an_edit_of_what_stands_there() -> None:
    written = plan(FileChange("PORT.md", None, NOTES), FileChange("m.py", None, "code"))
    whole, edit = signed(written, "## Proof\n\nnew\n")
    assert whole.changes[0].old is None and whole.changes[0].new == edit.changes[0].new
    assert edit.changes[0].old == NOTES and section_of(edit.changes[0].new) == "## Proof\n\nnew\n"
    assert signed(written, None) == (written, written)


@pytest.mark.parametrize(("code", "kept"), [("code", True), ("older code", False)])
def test_a_proof_is_kept_only_while_the_code_is_the_same(code: str, kept: bool) -> None:
    proved = with_section(NOTES, "## Proof\n\nold\n")
    found = carried(plan(FileChange("PORT.md", proved, NOTES), FileChange("m.py", code, "code")))
    assert (found.changes[0].new == proved) is kept
    assert (found.changes[0].action == "unchanged") is kept
