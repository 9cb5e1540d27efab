"""Drawn weights: a norm whose gain is one more than its weight is drawn around zero, every time."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from porter.workers.draw import draw_parameters  # noqa: E402


class ZeroNorm(torch.nn.Module):  # type: ignore[misc,name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(64))


class Model(torch.nn.Module):  # type: ignore[misc,name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.zero_norm = ZeroNorm()
        self.norm = torch.nn.LayerNorm(64)


def test_the_gain_of_a_norm_stays_around_one() -> None:
    model = Model()
    for seed, kind in ((0, "normal"), (1, "stress")):
        draw_parameters(model, seed, kind)
        assert model.zero_norm.weight.mean().abs() < 0.1 and model.zero_norm.weight.std() > 0.1
        assert (model.norm.weight.mean() - 1).abs() < 0.1 and model.norm.weight.std() > 0.1
