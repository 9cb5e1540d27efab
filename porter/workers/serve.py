"""The rung `serve`: vLLM's own OpenAI-compatible server answers a chat request that has an image."""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from porter_worker import groups, images, logs
from porter_worker.placeholders import Case, Processor, signed

SERVER = "vllm.entrypoints.openai.api_server"
NAME = "port"
READY_SECONDS = 300.0
ANSWER_SECONDS = 120.0
ENDING_SECONDS = 20.0
TOKENS = 4
TEXT = "Describe the picture."
TEMPLATE = """\
{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}
{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"""
"""Contents are strings: vLLM then puts the model class's own placeholder before the text."""
TEMPLATES = ("chat_template.jinja", "chat_template.json")

Answer = dict[str, Any]


class ServeFault(Exception):
    """The server does not start, or does not answer as it should."""


def run(engine: Any) -> str:
    """The detail of the rung. Raises ServeFault with the most telling line of the server's log."""
    start = time.monotonic()
    engine.close()
    log = Path(engine.out) / "serve.log"
    with served(command(engine), log) as server:
        server.wait()
        ready = time.monotonic() - start
        server.check_models()
        plain, pictured = server.chat(engine, None), server.chat(engine, 1)
    counts = [int(answer["usage"]["prompt_tokens"]) for answer in (plain, pictured)]
    needed = image_tokens(engine, 1)
    if counts[1] - counts[0] < needed:
        raise ServeFault(f"the prompt has {counts[1]} tokens with the image, {counts[0]} without; it takes {needed}")
    return (
        f"/health, /v1/models, /v1/chat/completions: {counts[1]} prompt tokens with an image of {needed}, "
        f"{counts[0]} without; ready in {ready:.1f} s, {time.monotonic() - start:.1f} s in all"
    )


def command(engine: Any) -> list[str]:
    """The server over the engine's folder, with the engine's arguments."""
    arguments = engine.arguments(engine.payload["sets"][0].get("weights"))
    made = [sys.executable, "-m", SERVER, "--host", "127.0.0.1", "--served-model-name", NAME]
    made += [option(name, value) for name, value in arguments.items()]
    if not has_template(engine.folder):
        path = Path(engine.out) / "chat_template.jinja"
        path.write_text(TEMPLATE, encoding="utf-8")
        made += ["--chat-template", str(path), "--chat-template-content-format", "string"]
    return made


def option(name: str, value: Any) -> str:
    """One argument of vllm.LLM as the server's command line has it."""
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    return f"--{flag}={json.dumps(value) if isinstance(value, (dict, list)) else value}"


def has_template(folder: Path) -> bool:
    """Whether the repo brings a chat template; otherwise vLLM refuses to chat."""
    if any((folder / name).is_file() for name in TEMPLATES):
        return True
    for name in ("tokenizer_config.json", "processor_config.json"):
        with suppress(OSError, ValueError):
            content = json.loads((folder / name).read_text(encoding="utf-8"))
            if isinstance(content, dict) and content.get("chat_template"):
                return True
    return False


class Server:
    """A running server. `process` leads no group of its own: it ends with the worker."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.base = f"http://127.0.0.1:{port}"
        self.log = log
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def said(self) -> str:
        """The line of its log that says most."""
        return logs.telling_line(self.log) or "it said nothing"

    def wait(self) -> None:
        """Until it says that it is well. Raises ServeFault when it ended, or when time is up."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                code = self.process.returncode
                raise ServeFault(f"the server ended with exit code {code}: {self.said()}")
            with suppress(OSError), self.opener.open(f"{self.base}/health", timeout=10.0) as reply:
                if reply.status == 200:
                    return
            time.sleep(0.2)
        raise ServeFault(f"the server was not ready in {READY_SECONDS:g} s: {self.said()}")

    def ask(self, path: str, payload: Answer | None = None) -> Answer:
        """The JSON object that the server answers. Raises ServeFault with its own message."""
        data = None if payload is None else json.dumps(payload).encode()
        request = urllib.request.Request(f"{self.base}{path}", data, {"Content-Type": "application/json"})
        try:
            with self.opener.open(request, timeout=ANSWER_SECONDS) as reply:
                made = json.loads(reply.read())
        except urllib.error.HTTPError as error:
            said = error.read().decode("utf-8", "replace")[:300]
            raise ServeFault(f"{path} answers {error.code}: {message_of(said)}; {self.said()}") from error
        except (OSError, ValueError) as error:
            raise ServeFault(f"{path}: {type(error).__name__}: {error}; {self.said()}") from error
        if not isinstance(made, dict):
            raise ServeFault(f"{path} answers no object")
        return made

    def check_models(self) -> None:
        names = [item.get("id") for item in self.ask("/v1/models").get("data") or ()]
        if NAME not in names:
            raise ServeFault(f"/v1/models lists {names}, not {NAME!r}")

    def chat(self, engine: Any, seed: int | None) -> Answer:
        """One chat request, with the image drawn from `seed` or with none."""
        content: list[Answer] = [{"type": "text", "text": TEXT}]
        if seed is not None:
            content.insert(0, {"type": "image_url", "image_url": {"url": data_url(engine, seed)}})
        payload: Answer = {"model": NAME, "messages": [{"role": "user", "content": content}], "max_tokens": TOKENS}
        payload |= {"temperature": 0, "ignore_eos": True}
        payload["logit_bias"] = {str(token): -100 for token in engine.payload.get("banned") or ()}
        return checked(self.ask("/v1/chat/completions", payload))


def checked(answer: Answer) -> Answer:
    """A whole answer: one choice by the assistant, as many tokens as asked for, and their count."""
    choices, usage = answer.get("choices") or [], answer.get("usage") or {}
    if len(choices) != 1 or choices[0].get("message", {}).get("role") != "assistant":
        raise ServeFault(f"the chat answer has {len(choices)} choices, or none by the assistant")
    if not isinstance(choices[0]["message"].get("content"), str):
        raise ServeFault("the chat answer has no content")
    if usage.get("completion_tokens") != TOKENS:
        raise ServeFault(f"the chat answer has {usage.get('completion_tokens')} tokens of {TOKENS}")
    return answer


def data_url(engine: Any, seed: int) -> str:
    buffer = io.BytesIO()
    images.make_image(*picture_size(engine), seed).save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def picture_size(engine: Any) -> tuple[int, int]:
    """Of the first image that the ladder asks about, so that it fits the model's length."""
    found = [image for prompt in engine.payload["prompts"] for image in prompt["images"] if "width" in image]
    return (int(found[0]["width"]), int(found[0]["height"])) if found else (56, 56)


def image_tokens(engine: Any, count: int) -> int:
    """Placeholders of one image of that size, as the port's processor counts them."""
    sign = engine.payload["placeholder"]
    case = Case("serve", signed(sign, sign), (picture_size(engine),) * count)
    spans = Processor(engine.config.model_config).run(case, tokens=False).spans["image"]
    return sum(len(span.ids) for span in spans)


@contextmanager
def served(line: list[str], log: Path) -> Iterator[Server]:
    """A server on a free port of this machine; it and what it started are gone afterwards."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name != "VLLM_ENABLE_V1_MULTIPROCESSING"}
    before = set(groups.members(os.getpgrp()))
    with log.open("wb") as stream:
        process = subprocess.Popen([*line, f"--port={port}"], stdout=stream, stderr=stream, env=environment)
        try:
            yield Server(process, port, log)
        finally:
            end(process, before)
            sys.stderr.write(log.read_text(encoding="utf-8", errors="replace"))


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def end(process: subprocess.Popen[bytes], before: set[int]) -> None:
    """A server that is asked to end takes its engine along; what is left of the group since then is killed."""
    shared = groups.shared_memory(pid for pid in groups.members(os.getpgrp()) if pid not in before)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(ENDING_SECONDS)
    groups.end_since(before)
    process.kill()
    process.wait()
    groups.remove_left(shared)


def message_of(said: str) -> str:
    """The message in an error answer of the server."""
    with suppress(ValueError, AttributeError):
        made = json.loads(said)
        return str((made.get("error") or made).get("message") or said)
    return said
