"""`porter doctor` on a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from porter.commands.doctor import DoctorResult
from porter.console import Console
from porter.jsontypes import JSON

GIB = 1 << 30
APART = ("version", "kind", "free_bytes")


def show(console: Console, result: DoctorResult) -> None:
    body = result.to_json()
    rows = [(name, *_row(body[name])) for name in ("porter", "python", "vllm", "device")]
    rows += [("memory", *_memory(body["ram_bytes"])), ("packages", *_row(body["packages"]))]
    rows += [(name, "found" if path else "missing", str(path or "")) for name, path in result.tools.items()]
    rows += [("hub", "offline" if result.hub["offline"] else "online", _pairs(result.hub))]
    console.table(rows, ("what", "is", "detail"))
    if result.problem:
        console.line(result.problem, "yellow")
    console.line(_advice(result))


def _row(value: JSON) -> tuple[str, str]:
    if not isinstance(value, dict):
        return "missing", ""
    first = str(value.get("version") or value.get("kind") or "")
    rest = {key: item for key, item in value.items() if key not in APART and item not in (None, [])}
    return first, _pairs(rest)


def _memory(count: JSON) -> tuple[str, str]:
    return ("free", f"{count / GIB:.1f} GiB") if isinstance(count, int) else ("unknown", "")


def _pairs(values: Mapping[str, JSON]) -> str:
    return ", ".join(f"{key} {_words(value)}" for key, value in values.items() if value is not None)


def _words(value: JSON) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _advice(result: DoctorResult) -> str:
    if result.vllm is None:
        return "inspect needs a vLLM to read: --vllm DIR or --python PATH"
    device = result.machine.get("device")
    kind = device.get("kind") if isinstance(device, dict) else "none"
    everything = "inspect, new-model, check-weights and smoke-test can run; the engine runs on the"
    return {
        ("cuda", "cuda"): f"{everything} GPU",
        ("cuda", "cpu"): f"{everything} CPU: this vLLM is built for it",
        ("cpu", "cpu"): f"{everything} CPU",
        ("cpu", "cuda"): "inspect, new-model and check-weights can run; smoke-test needs a vLLM that runs on the CPU",
    }.get(
        (str(kind), str(result.machine.get("vllm_build"))),
        "inspect and new-model can run; check-weights and smoke-test need torch and vLLM",
    )
