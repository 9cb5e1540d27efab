"""Findings for people: few lines, whatever the number of tensors."""

from __future__ import annotations

from porter.weights.report import Finding, Line, summary


def findings(names: list[str], reason: str) -> tuple[Finding, ...]:
    return tuple(Finding(name, reason) for name in names)


def test_layers_are_one_line() -> None:
    names = [f"model.layers.{layer}.mlp.up.weight" for layer in range(40)]
    assert summary(findings(names, "lost")) == (Line("model.layers.{0..39}.mlp.up.weight", 40, "lost"),)


def test_many_patterns_of_one_reason_are_told_by_their_module() -> None:
    parts = ["q", "k", "v", "o", "up", "down"]
    names = [f"vit.blocks.23.{part}.weight" for part in parts] + ["head.weight"]
    assert summary(findings(names, "beyond")) == (
        Line("vit.blocks.23.*", 6, "beyond"),
        Line("head.weight", 1, "beyond"),
    )


def test_a_range_with_gaps_is_one_word() -> None:
    names = [f"a.layers.{layer}.{part}" for layer in (0, 1, 5, 6) for part in "pqrst"]
    assert [line.pattern for line in summary(findings(names, "x"))] == ["a.layers.{0..1,5..6}.*"]


def test_few_patterns_stay_apart_and_so_do_reasons() -> None:
    found = summary((*findings(["a.w", "b.w"], "one"), *findings(["c.w"], "two")))
    assert [(line.pattern, line.reason) for line in found] == [("a.w", "one"), ("b.w", "one"), ("c.w", "two")]


def test_seventy_thousand_names_are_a_few_lines() -> None:
    names = [f"m{module}.layers.{layer}.p{part}" for module in range(7) for layer in range(1000) for part in range(10)]
    assert len(summary(findings(names, "x"))) == 7
