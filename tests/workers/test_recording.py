"""What flows through a model is kept under the reference's names, on both sides, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from porter.workers.differences import rows  # noqa: E402
from porter.workers.stages import Recorder, first_call, layout_of, paired, recorder_of, watched  # noqa: E402


class Layer(nn.Module):  # type: ignore[misc,name-defined]
    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        self.fused = fused
        self.norm = nn.LayerNorm(8)
        if fused:
            self.qk_proj = nn.Linear(8, 16)
        else:
            self.q_proj, self.k_proj = nn.Linear(8, 8), nn.Linear(8, 8)
        self.o_proj = nn.Linear(8, 8, bias=False)

    def forward(self, x: Any, residual: Any = None) -> Any:
        whole = x if residual is None else x + residual
        inner = self.norm(whole)
        q, k = self.qk_proj(inner).chunk(2, -1) if self.fused else (self.q_proj(inner), self.k_proj(inner))
        out = self.o_proj(torch.tanh(q) * k)
        return (out, whole) if self.fused else whole + out


class Stack(nn.Module):  # type: ignore[misc,name-defined]
    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Layer(fused=fused) for _ in range(2)])

    def forward(self, x: Any) -> Any:
        residual = None
        for layer in self.layers:
            made = layer.forward(x, residual)  # as the call of a compiled class does: past the hooks
            x, residual = made if isinstance(made, tuple) else (made, None)
        return x if residual is None else x + residual


class Model(nn.Module):  # type: ignore[misc,name-defined]
    """The reference, or the engine's form of it: other names, fused projections, residuals handed on."""

    def __init__(self, *, engine: bool = False) -> None:
        super().__init__()
        self.names = ("vision_model", "mlp1", "language_model") if engine else ("vit", "bridge", "llm")
        parts = (Stack(fused=engine), nn.Sequential(nn.Linear(8, 8)), Stack(fused=engine))
        for name, part in zip(self.names, parts, strict=True):
            setattr(self, name, part)

    def forward(self, x: Any) -> Any:
        for name in self.names:
            x = getattr(self, name)(x)
        return x


FACTS = {"vision_tower": [{"path": "vit"}], "connector": {"prefix": "bridge."}, "language_model": {"path": "llm"}}


@pytest.fixture
def models() -> tuple[Any, Any]:
    torch.manual_seed(0)
    reference, engine = Model(), Model(engine=True)
    for parameter in reference.parameters():
        parameter.data.normal_()
    stored = reference.state_dict()
    names = dict(zip(("vision_model", "mlp1", "language_model"), ("vit", "bridge", "llm"), strict=True))
    for name, parameter in engine.named_parameters():
        head, _, tail = name.partition(".")
        old = f"{names[head]}.{tail}"
        parts = [old] if old in stored else [old.replace("qk_proj", f"{part}_proj") for part in "qk"]
        parameter.data.copy_(torch.cat([stored[part] for part in parts]))
    return reference, engine


def test_parts_and_layers_are_found_by_the_facts(models: tuple[Any, Any]) -> None:
    layout = layout_of(models[0], FACTS)
    assert layout["parts"] == {"tower": "vit", "connector": "bridge", "language_model": "llm"}
    assert layout["blocks"] == {
        "tower": ["vit.layers.0", "vit.layers.1"],
        "language_model": ["llm.layers.0", "llm.layers.1"],
    }
    assert layout["leaves"]["vit.layers.0.norm"] == "LayerNorm"
    assert layout_of(models[0], {"vision_tower": "odd", "connector": {"path": "nowhere"}})["parts"]["connector"] is None


def test_the_engines_modules_are_found_by_their_weights(models: tuple[Any, Any]) -> None:
    reference, engine = models
    parameters = dict(engine.named_parameters())
    parameters["language_model.layers.0.o_proj.weight"] = torch.empty(0)  # vLLM keeps packed weights elsewhere
    found = paired(
        reference.state_dict(), parameters, [name for name, _ in engine.named_modules()], layout_of(reference, FACTS)
    )
    assert found["vit.layers.1.norm"] == "vision_model.layers.1.norm"
    assert found["llm.layers.0.o_proj"] == "language_model.layers.0.o_proj"
    assert found["vit.layers.0"] == "vision_model.layers.0" and found["bridge"] == "mlp1"
    assert "vit.layers.0.q_proj" not in found


def test_both_sides_show_equal_places_and_a_mistake_where_it_is(models: tuple[Any, Any], tmp_path: Any) -> None:
    import json

    import numpy as np
    from safetensors.torch import save_file

    reference, engine = models
    layout = layout_of(reference, FACTS)
    save_file(reference.state_dict(), str(tmp_path / "weights-normal.safetensors"))
    modules = dict(reference.named_modules())
    left = Recorder({path: modules[path] for path in watched(layout)})
    right = recorder_of(engine, tmp_path / "weights-normal.safetensors", layout)

    def compared() -> dict[str, Any]:
        x = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))
        first_call(reference, left)(x)
        right.on = True
        engine(x)
        engine.language_model(x[:, :1])  # decoding
        right.on = False
        stored = {**left.arrays("p"), "layout": np.asarray(json.dumps(layout))}
        return {f"{row['side']} {row['path']}": row for row in rows(stored, right.arrays("p"), ["p"])}

    with torch.no_grad():
        before = compared()
        engine.language_model.layers[1].norm.eps = 0.5
        after = compared()
    seen = {key for key, row in before.items() if None not in row["shapes"]}
    assert {"out vit.layers.0", "in bridge.0", "out bridge", "in llm.layers.1", "out llm.layers.1"} <= seen
    assert all(before[key]["rel_diff"] < 1e-5 for key in seen)
    assert after["in llm.layers.1.norm"]["rel_diff"] < 1e-5 < after["out llm.layers.1.norm"]["rel_diff"]


def test_a_recorded_model_answers_as_before_and_its_faults_are_its_own(models: tuple[Any, Any]) -> None:
    reference, _ = models
    x = torch.randn(1, 3, 8)
    with torch.no_grad():
        expected = reference(x)
        recorder = Recorder({path: module for path, module in reference.named_modules() if path})
        recorder.on = True
        assert torch.equal(reference(x), expected)
        with pytest.raises(RuntimeError, match="shapes"):
            reference.bridge(torch.randn(2, 3))
    assert recorder.kept["out|bridge"][0].shape == (1, 3, 8)


def test_only_the_first_call_is_kept(models: tuple[Any, Any]) -> None:
    reference, _ = models
    recorder = Recorder({"vit": reference.vit})
    step = first_call(reference, recorder)
    with torch.no_grad():
        for _ in range(3):
            step(torch.randn(1, 3, 8))
    assert len(recorder.kept["out|vit"]) == 1
