"""A second process beside the engine's: whether an architecture is known where vLLM's own workers would look for it.

It is spawned as vLLM spawns them, imports vLLM while the engine's process does, and then gets that process's
environment and config. Runs in the job `engine`.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import traceback
from multiprocessing.reduction import ForkingPickler
from typing import Any

TIMEOUT = 120.0
START_METHOD = "spawn"


class Unknown(Exception):
    """The architecture does not resolve in a process of its own, or the config cannot be sent there."""


class Probe:
    """Started early, asked late."""

    def __init__(self) -> None:
        context: Any = multiprocessing.get_context(START_METHOD)
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=look, args=(other,), daemon=True)
        self.process.start()
        other.close()

    def check(self, architecture: str, config: Any) -> None:
        """Raises Unknown with the reason."""
        try:
            sent = packed(config)
        except Exception as error:
            raise Unknown(f"the config cannot be sent to a worker process: {error}") from error
        try:
            self.pipe.send((dict(os.environ), architecture, sent))
            if not self.pipe.poll(TIMEOUT):
                raise Unknown(f"a spawned process gave no answer in {TIMEOUT:g} s")
            reason = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(TIMEOUT)
            code = self.process.exitcode
            raise Unknown(f"a spawned process that looked for {architecture} ended with exit code {code}") from None
        self.process.kill()  # its own way of ending would take a core from the engine that is loaded next
        if reason:
            raise Unknown(f"{architecture} resolves here, but in a spawned process {reason}")

    def close(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.join()


def class_error(architecture: str, error: Exception) -> Exception | None:
    """Why vLLM has no class for the architecture, which is what made `error`; None when it has one."""
    from vllm import ModelRegistry

    if architecture not in ModelRegistry.get_supported_archs():
        return error
    try:
        ModelRegistry.models[architecture].load_model_cls()
    except Exception as reason:
        return reason
    return None


def packed(config: Any) -> bytes:
    """The config as vLLM sends it: classes of remote code go by value."""
    from vllm.transformers_utils import config as configs

    getattr(configs, "maybe_register_config_serialize_by_value", lambda: None)()
    return bytes(ForkingPickler.dumps(config))


def look(pipe: Any) -> None:
    """Runs in the spawned process; answers what is wrong, or an empty text."""
    import vllm.plugins as plugins
    from vllm import ModelRegistry

    try:
        environment, architecture, sent = pipe.recv()
    except EOFError:
        return
    os.environ.update(environment)
    pipe.send(reason(plugins, ModelRegistry, architecture, sent))


def reason(plugins: Any, registry: Any, architecture: str, sent: bytes) -> str:
    steps = (
        ("the plugin cannot be loaded", plugins.load_general_plugins),
        ("", lambda: None if architecture in registry.get_supported_archs() else "it is not registered"),
        ("its class cannot be imported", lambda: registry.models[architecture].load_model_cls() and None),
        ("the config cannot be unpickled", lambda: pickle.loads(sent) and None),
        ("registering it a second time fails", lambda: load_again(plugins)),
    )
    for name, step in steps:
        try:
            found = step()
        except Exception as error:
            traceback.print_exc()
            return f"{name}: {type(error).__name__}: {error}"
        if found:
            return str(found)
    return ""


def load_again(plugins: Any) -> None:
    """vLLM may load plugins more than once in a process."""
    plugins.plugins_loaded = False
    plugins.load_general_plugins()
