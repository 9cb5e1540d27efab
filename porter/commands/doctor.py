"""What this machine can do: which vLLM, which device, which tools, which Hub."""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from porter import __version__
from porter.commands.session import Result, Settings, Silent, Talk, scratch
from porter.errors import PorterError, TreeError
from porter.jsontypes import JSON, JSONObject

TOOLS = ("git", "ruff")


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorResult(Result):
    """`vllm` is None when none was found (`problem` says why), `machine` the answer of the chosen interpreter."""

    vllm: JSON
    machine: JSONObject
    tools: JSONObject
    hub: JSONObject
    problem: str = ""

    def to_json(self) -> JSONObject:
        return {
            "python": {"version": self.machine.get("python"), "executable": self.machine.get("executable")},
            "porter": {"version": __version__, "python": platform.python_version(), "executable": sys.executable},
            "vllm": self.vllm,
            "packages": self.machine.get("packages"),
            "device": self.machine.get("device"),
            "vllm_build": self.machine.get("vllm_build"),
            "ram_bytes": self.machine.get("ram_bytes"),
            "tools": self.tools,
            "hub": self.hub,
            "cpus": self.machine.get("cpus"),
            "problem": self.problem or None,
        }


def doctor(settings: Settings, talk: Talk | None = None) -> DoctorResult:
    """Never fails on a machine without vLLM: that is an answer too."""
    from porter.hub.session import hub_settings
    from porter.process import run_worker

    talk = talk or Silent()
    vllm, problem = _vllm(settings)
    machine: JSONObject = {}
    talk.note("asking the interpreter for its packages and its device")
    with scratch(settings) as room:
        try:
            machine = run_worker("machine", {}, settings=room.worker(settings.python, timeout=120))
        except PorterError as error:
            problem = f"{problem}; {error.message}" if problem else error.message
    return DoctorResult(
        vllm=vllm,
        machine=machine,
        tools=_tools(settings.python),
        hub=hub_settings(),
        problem=problem,
        failed=not machine,
        log=settings.log,
    )


def _vllm(settings: Settings) -> tuple[JSON, str]:
    from porter.vllm_tree import locate

    try:
        tree = locate(None, settings.vllm, settings.python)
    except TreeError as error:
        return None, error.message
    return {"version": tree.version, "layout": tree.layout, "path": str(tree.package), "commit": tree.commit}, ""


def _tools(python: str) -> JSONObject:
    """Where each tool is, beside the interpreter or on PATH; None when it is nowhere."""
    beside = str(Path(python).parent)
    return {name: shutil.which(name, path=beside) or shutil.which(name) for name in TOOLS}
