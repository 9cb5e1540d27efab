"""Selection of a device, command lines and what does not fit: all of it without a GPU."""

from __future__ import annotations

import pytest

from porter.errors import UsageError
from porter.smoke.devices import EngineChoice, Machine, chosen, engine_choice, fit, room_of
from porter.smoke.estimate import GIB, Load, Sizes

GPUS = Machine(("H200", "H200"), (140 * GIB, 120 * GIB), 128 * GIB, "cuda")
LAPTOP = Machine((), (), 16 * GIB, "cpu")
BIG = Sizes(16 * GIB, 28, 3584, 18944, 152064, 28, 1024, 4)


def test_the_plain_choice_asks_nothing_of_the_machine() -> None:
    assert EngineChoice().plain and EngineChoice().arguments() == {}
    assert not any(EngineChoice(**change).plain for change in ({"tp": 2}, {"device": "cuda"}, {"weights": "dummy"}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("device", "machine", "taken", "why"),
    [
        ("auto", GPUS, "cuda", ""),
        ("auto", LAPTOP, "cpu", ""),
        ("cuda", LAPTOP, "cuda", "no CUDA device"),
        ("cuda", Machine(GPUS.names, GPUS.free, None, "cpu"), "cuda", "built for the CPU"),
        ("auto", Machine(GPUS.names, GPUS.free, None, "cpu"), "cpu", ""),
        ("cpu", GPUS, "cpu", "built for CUDA"),
        ("auto", Machine((), (), 16 * GIB, "cuda"), "cpu", "no CUDA device"),
    ],
)
def test_what_was_asked_for_is_never_exchanged(device: str, machine: Machine, taken: str, why: str) -> None:
    found = chosen(engine_choice(device=device), machine)
    assert found.device == taken
    assert why in found.why_not and bool(why) == bool(found.why_not)


def test_more_devices_than_there_are() -> None:
    assert "needs 4 CUDA devices, there are 2" in chosen(EngineChoice(tp=2, pp=2), GPUS).why_not
    assert not chosen(EngineChoice(tp=2, pp=2, executor="ray"), GPUS).why_not
    assert not chosen(EngineChoice(tp=2), GPUS).why_not
    assert not chosen(EngineChoice(tp=2), LAPTOP).why_not


def test_arguments_and_command_line() -> None:
    choice = engine_choice(device="cuda", weights="dummy", tp=2, pp=2, executor="ray", lora=True)
    assert choice.arguments("cuda") == {
        "dtype": "auto",
        "load_format": "dummy",
        "tensor_parallel_size": 2,
        "pipeline_parallel_size": 2,
        "distributed_executor_backend": "ray",
        "enable_lora": True,
        "max_lora_rank": 8,
        "gpu_memory_utilization": 0.9,
    }
    assert " ".join(choice.command("org/name", 4096, "cuda", trust=True)) == (
        "vllm serve org/name --max-model-len 4096 --enforce-eager --dtype auto --load-format dummy "
        "--tensor-parallel-size 2 --pipeline-parallel-size 2 --distributed-executor-backend ray --enable-lora "
        "--max-lora-rank 8 --gpu-memory-utilization 0.9 --trust-remote-code"
    )
    assert EngineChoice(tp=2).arguments() == {"tensor_parallel_size": 2, "distributed_executor_backend": "mp"}
    assert EngineChoice(weights="real").arguments() == {"dtype": "auto", "load_format": "auto"}


@pytest.mark.parametrize(
    "words",
    [{"device": "tpu"}, {"weights": "huge"}, {"executor": "mpi"}, {"tp": 0}, {"pp": -1}],
)
def test_words_that_there_are_not(words: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"--(device|weights|distributed-executor-backend|tp|pp)"):
        engine_choice(**words)  # type: ignore[arg-type]


def test_the_room_of_one_process() -> None:
    assert room_of(EngineChoice(weights="dummy"), GPUS, "cuda") == int(140 * GIB * 0.9)
    assert room_of(EngineChoice(weights="dummy", tp=2), GPUS, "cuda") == int(120 * GIB * 0.9)
    assert room_of(EngineChoice(tp=2), LAPTOP, "cpu") == 8 * GIB
    assert room_of(EngineChoice(), Machine(), "cpu") is None


def test_what_cannot_fit_says_so_with_figures() -> None:
    load = Load(length=4096, batch_tokens=4096)
    found = fit(EngineChoice(weights="dummy"), LAPTOP, "cpu", BIG, load)
    assert found.why_not.startswith("needs about ") and "there are 16.00 GiB" in found.why_not
    assert "weights 16.00 GiB" in found.why_not and "--weights tiny" in found.why_not
    assert found.to_json()["fits"] is False
    assert not fit(EngineChoice(weights="dummy"), GPUS, "cuda", BIG, load).why_not
    assert not fit(EngineChoice(weights="dummy"), Machine(), "cpu", BIG, load).why_not


def test_a_machine_is_read_from_any_answer() -> None:
    device = {"kind": "cuda", "names": ["A"], "free_bytes": [5], "memory_gib": [1.0]}
    assert Machine.from_json({"device": device, "ram_bytes": 7, "vllm_build": "cuda"}) == Machine(
        ("A",), (5,), 7, "cuda"
    )  # type: ignore[dict-item]
    assert Machine.from_json({"device": {"kind": "cpu", "names": []}}) == Machine()
    assert Machine.from_json({"device": 3, "ram_bytes": "x"}) == Machine()
