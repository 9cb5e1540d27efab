from __future__ import annotations

from porter.weights.patterns import group_names


def test_layers_fold_and_gaps_show() -> None:
    names = [f"a.layers.{i}.w" for i in (0, 1, 2, 5)] + ["head.weight", "a.layers.7.b"]
    assert [(g.pattern, len(g.names)) for g in group_names(names)] == [
        ("a.layers.{0..2,5}.w", 4),
        ("head.weight", 1),
        ("a.layers.7.b", 1),
    ]


def test_two_numbers_and_awkward_characters() -> None:
    names = [f"l.{i}.e.{j}.100%.{{}}" for i in range(2) for j in range(3)]
    (group,) = group_names(names)
    assert group.pattern == "l.{0..1}.e.{0..2}.100%.{}"
    assert group.names == tuple(names)


def test_many_gaps_are_counted_instead() -> None:
    (group,) = group_names([f"e.{i}.w" for i in range(0, 40, 2)])
    assert group.pattern == "e.{0..38: 20}.w"
