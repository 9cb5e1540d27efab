"""When a model is not spread over processes, and when what they answer is a fault."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

np = pytest.importorskip("numpy")


def engine(heads: int = 4, layers: int = 2, **more: Any) -> SimpleNamespace:
    text = SimpleNamespace(num_attention_heads=heads, num_hidden_layers=layers)
    config = SimpleNamespace(model_config=SimpleNamespace(hf_text_config=text))
    return SimpleNamespace(config=config, payload={"weights": "tiny"}, **more)


def test_a_tiny_model_that_has_too_little_is_skipped() -> None:
    from porter.workers.parallel import PIPELINE, TENSOR, check_size
    from porter_worker.outcome import Skipped

    check_size(engine(), TENSOR, 4)
    check_size(engine(), PIPELINE, 2)
    with pytest.raises(Skipped, match="4 attention heads, 3 does not divide them"):
        check_size(engine(), TENSOR, 3)
    with pytest.raises(Skipped, match="2 layers, fewer than 3 processes"):
        check_size(engine(), PIPELINE, 3)


def test_a_machine_with_too_few_devices_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    import porter_worker.llm
    from porter.workers.parallel import check_machine
    from porter_worker.outcome import Skipped

    monkeypatch.setattr(porter_worker.llm, "runtime_device", lambda: "cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(Skipped, match="needs 2 CUDA devices, 1 found"):
        check_machine(2, "mp")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_machine(2, "mp")
    monkeypatch.setattr("porter.workers.parallel.find_spec", lambda name: None)
    with pytest.raises(Skipped, match="no ray"):
        check_machine(2, "ray")


def answer(tokens: list[int], shift: float = 0.0) -> dict[str, Any]:
    logprobs = np.linspace(-3.0, -1.0, 3 * len(tokens), dtype=np.float32).reshape(len(tokens), 3)
    return {"ids": np.arange(5), "tokens": np.asarray(tokens), "logprobs": logprobs + np.float32(shift)}


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (answer([2, 2], 1e-2), "logprobs of step 1 are 1.0e-02"),
        ({**answer([2, 2]), "ids": np.arange(6)}, "has 6 prompt tokens, in one process 5"),
        (answer([2, 2], np.nan), "a logprob is not a number"),
        ({**answer([2, 2]), "tokens": np.asarray([2, 0])}, "answers token 0 at step 2, in one process 2"),
        (answer([2]), "answers 1 tokens, in one process 2"),
    ],
)
def test_another_answer_than_that_of_one_process_is_a_fault(made: dict[str, Any], words: str) -> None:
    from porter.workers.parallel import ParallelFault, compare_one

    one = engine(arrays={f"text.{name}": value for name, value in answer([2, 2]).items()})
    assert compare_one(one, "text", answer([2, 2], 1e-6), 1e-4) < 1e-5
    with pytest.raises(ParallelFault, match=words):
        compare_one(one, "text", made, 1e-4)


def test_processes_share_the_cores_and_the_environment_comes_back() -> None:
    from porter.workers.parallel import environment

    before = dict(os.environ)
    with environment(2, "mp"):
        assert os.environ["VLLM_HOST_IP"] == "127.0.0.1" and int(os.environ["OMP_NUM_THREADS"]) >= 1
    assert dict(os.environ) == before
