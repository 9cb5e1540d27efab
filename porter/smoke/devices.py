"""Which device an engine runs on, with which weights, over how many processes: what is asked, what there is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

from porter.errors import UsageError
from porter.jsontypes import JSONObject, items
from porter.smoke.estimate import Estimate, Load, Sizes, estimate, gib, proposals

DeviceName = Literal["auto", "cuda", "cpu"]
WeightsName = Literal["tiny", "dummy", "real"]
ExecutorName = Literal["mp", "ray"]
UTILISATION = {"tiny": 0.5, "dummy": 0.9, "real": 0.9}
"""Share of a GPU that vLLM may take."""
LORA_RANK = 8


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The engine that was asked for. `tp` and `pp` count devices; `executor` None is vLLM's own choice."""

    device: DeviceName = "auto"
    weights: WeightsName = "tiny"
    tp: int = 1
    pp: int = 1
    executor: ExecutorName | None = None
    lora: bool = False
    serve: bool = False

    @property
    def world(self) -> int:
        return self.tp * self.pp

    @property
    def plain(self) -> bool:
        """Runs on whatever there is: nothing has to be known of the machine."""
        return self.device == "auto" and self.weights == "tiny" and self.world == 1

    def arguments(self, device: str = "cpu") -> JSONObject:
        """Arguments of `vllm.LLM` that differ from those of the ladder's plain run."""
        full = {} if self.weights == "tiny" else {"dtype": "auto", "load_format": _LOAD_FORMAT[self.weights]}
        spread = {"tensor_parallel_size": self.tp, "pipeline_parallel_size": self.pp}
        backend = self.executor or ("mp" if self.world > 1 else None)
        return {
            **full,
            **{name: count for name, count in spread.items() if count > 1},
            **({"distributed_executor_backend": backend} if backend else {}),
            **({"enable_lora": True, "max_lora_rank": LORA_RANK} if self.lora else {}),
            **({"gpu_memory_utilization": UTILISATION[self.weights]} if device == "cuda" else {}),
        }

    def command(self, model: str, length: int, device: str = "cpu", *, trust: bool = False) -> tuple[str, ...]:
        """The same as a command line: `vllm serve MODEL ...`."""
        words = ["vllm", "serve", model, "--max-model-len", str(length)]
        for name, value in {"enforce_eager": True, **self.arguments(device)}.items():
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        return (*words, *(["--trust-remote-code"] if trust else []))


PLAIN = EngineChoice()
_LOAD_FORMAT = {"dummy": "dummy", "real": "auto"}


def engine_choice(
    *,
    device: str = "auto",
    weights: str = "tiny",
    tp: int = 1,
    pp: int = 1,
    executor: str | None = None,
    lora: bool = False,
    serve: bool = False,
) -> EngineChoice:
    """What was typed. Raises UsageError for a word that there is not."""
    for option, value, known in (
        ("--device", device, get_args(DeviceName)),
        ("--weights", weights, get_args(WeightsName)),
        ("--distributed-executor-backend", executor or "mp", get_args(ExecutorName)),
    ):
        if value not in known:
            raise UsageError(f"{option} {value}: there is no such choice", hint=f"{option} {'|'.join(known)}")
    for option, count in (("--tp", tp), ("--pp", pp)):
        if count < 1:
            raise UsageError(f"{option} {count}: a number of devices is at least 1")
    return EngineChoice(
        cast(DeviceName, device),
        cast(WeightsName, weights),
        tp,
        pp,
        cast("ExecutorName | None", executor),
        lora,
        serve,
    )


@dataclass(frozen=True, slots=True)
class Machine:
    """What the chosen interpreter has. Bytes; `free` per CUDA device, `ram` what the system can still give.

    `build`: the device that its vLLM was built for, None when that is not known.
    """

    names: tuple[str, ...] = ()
    free: tuple[int, ...] = ()
    ram: int | None = None
    build: str | None = None

    @classmethod
    def from_json(cls, answer: JSONObject) -> Machine:
        device = answer.get("device")
        found = device if isinstance(device, dict) and device.get("kind") == "cuda" else {}
        ram, build = answer.get("ram_bytes"), answer.get("vllm_build")
        return cls(
            tuple(str(name) for name in items(found.get("names"))),
            tuple(count for count in items(found.get("free_bytes")) if isinstance(count, int)),
            ram if isinstance(ram, int) else None,
            build if isinstance(build, str) else None,
        )


@dataclass(frozen=True, slots=True)
class Chosen:
    """The device that is used; `why_not` says why no engine can be started on it."""

    device: Literal["cuda", "cpu"]
    why_not: str = ""


def chosen(choice: EngineChoice, machine: Machine) -> Chosen:
    """`auto` takes CUDA where the machine and its vLLM have it, else the CPU. What was asked for is never exchanged."""
    usable = bool(machine.names) and machine.build != "cpu"
    device: Literal["cuda", "cpu"] = (
        "cuda" if choice.device == "cuda" or (choice.device == "auto" and usable) else "cpu"
    )
    return Chosen(device, _why_not(choice, machine, device))


def _why_not(choice: EngineChoice, machine: Machine, device: str) -> str:
    if device == "cuda" and not machine.names:
        return "no CUDA device"
    if device == "cuda" and machine.build == "cpu":
        return "no CUDA device for this vLLM: it is built for the CPU"
    if device == "cpu" and machine.build == "cuda":
        return "no CUDA device, and this vLLM is built for CUDA" if not machine.names else _CUDA_BUILD
    if device == "cuda" and choice.world > len(machine.names) and choice.executor != "ray":
        return f"--tp {choice.tp} --pp {choice.pp} needs {choice.world} CUDA devices, there are {len(machine.names)}"
    return ""


_CUDA_BUILD = "this vLLM is built for CUDA: --device cpu needs one that is built for the CPU"


@dataclass(frozen=True, slots=True)
class Fit:
    """An estimate against what the device has. `why_not` is empty when it fits; `room` None: not known."""

    estimate: Estimate
    room: int | None
    why_not: str = ""

    def to_json(self) -> JSONObject:
        return {**self.estimate.to_json(), "room_bytes": self.room, "fits": not self.why_not}


def fit(choice: EngineChoice, machine: Machine, device: str, sizes: Sizes, load: Load) -> Fit:
    """A rung that cannot fit is skipped, not failed: nothing is known to be wrong with the port."""
    made = estimate(sizes, load)
    room = room_of(choice, machine, device)
    if room is None or made.total <= room:
        return Fit(made, room)
    devices = len(machine.names) if device == "cuda" else 1
    hints = "; ".join(proposals(sizes, load, room, devices))
    per = " per device" if choice.world > 1 else ""
    return Fit(made, room, f"needs about {gib(made.total)}{per} ({made}), there are {gib(room)}: {hints}")


def room_of(choice: EngineChoice, machine: Machine, device: str) -> int | None:
    """Bytes that one process of the engine may take; the CPU's are shared by all of them."""
    if device == "cuda":
        share = UTILISATION[choice.weights]
        used = machine.free[: choice.world]
        return int(min(used) * share) if used else None
    return None if machine.ram is None else machine.ram // choice.world
