"""Job: the rungs that need vLLM, in one process: config, registry, processor, tokens, load, text, image, batch.

Request  {model, out, architecture, rungs: {name: [those it needs]} in order, sets: [{name, weights}],
          prompts: [{name, text, images}], steps, max_model_len, max_images, banned, embed_method, trust_remote_code,
          own_modules, placeholder, after, context_token, modalities, sizes: [[w, h]], pair: [[w, h], [w, h]],
          weights: tiny|dummy|real, arguments: {of vllm.LLM}, gpu_share, parallel: {tp, pp, executor}}
Answer   {rungs: [{name, status, detail, seconds}], device, engine, sets: [{name, results, error}]}

`weights` of a set null = vLLM's dummy weights, or those in the folder.
`results` is an .npz file like the reference's. Each rung also is an event.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from typing import Any

from porter_worker import batch, lora, parallel, runtime, serve, spawned, tokens
from porter_worker.llm import Engine, runtime_device
from porter_worker.outcome import Skipped
from porter_worker.said import placed_line


class Ladder:
    """Runs rungs in order; a rung whose prerequisite did not pass is skipped with the reason."""

    def __init__(self, own: list[str]) -> None:
        self.own = own
        self.rungs: list[dict[str, Any]] = []

    def status(self, name: str) -> str:
        return next((rung["status"] for rung in self.rungs if rung["name"] == name), "skipped")

    def run(self, name: str, needs: list[str], action: Callable[[], str]) -> None:
        """`action` answers the detail line; an exception fails the rung."""
        blocked = [need for need in needs if self.status(need) != "passed"]
        start = time.monotonic()
        runtime.event({"rung": name, "event": "start"})
        if blocked:
            status, detail = "skipped", f"needs {', '.join(blocked)}"
        else:
            try:
                status, detail = "passed", action()
            except Skipped as reason:
                status, detail = "skipped", str(reason)
            except Exception as error:
                traceback.print_exc()
                status, detail = "failed", placed_line(error, self.own)
        rung = {"name": name, "status": status, "detail": detail, "seconds": round(time.monotonic() - start, 2)}
        self.rungs.append(rung)
        runtime.event({"rung": name, "event": "finish", **rung})


def describe(engine: Engine) -> tuple[str, dict[str, Any]]:
    """Device and versions."""
    import torch
    import transformers
    import vllm

    device = runtime_device()
    name = torch.cuda.get_device_name(0) if device == "cuda" else "cpu"
    versions = {"vllm": vllm.__version__, "torch": torch.__version__, "transformers": transformers.__version__}
    shown = {name: engine.arguments(None)[name] for name in ("dtype", "max_model_len")}
    more = {**shown, "weights": engine.payload["weights"], **engine.figures}
    return device, {**versions, "device_name": name, **more}


def further_sets(engine: Engine, ladder: Ladder, payload: dict[str, Any]) -> list[dict[str, Any]]:
    """The first set is what the rungs ran; the others load and run in the same process."""
    first, *others = payload["sets"]
    complete = ladder.status("text") == "passed" and ladder.status("image") == "passed"
    sets = [{"name": first["name"], "results": engine.save(first["name"]) if engine.arrays else None, "error": None}]
    for chosen in others if complete else ():
        runtime.event({"stage": "set", "set": chosen["name"]})
        try:
            engine.load(chosen["weights"])
            engine.generate(payload["prompts"])
            sets.append({"name": chosen["name"], "results": engine.save(chosen["name"]), "error": None})
        except Exception as error:
            traceback.print_exc()
            sets.append({"name": chosen["name"], "results": None, "error": placed_line(error, ladder.own)})
    return sets


def handle(payload: dict[str, Any]) -> dict[str, Any]:
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ["TORCHDYNAMO_DISABLE"] = "1"
    probe = spawned.Probe()
    runtime.event({"stage": "import"})
    ladder = Ladder(list(payload.get("own_modules") or ()))
    engine = Engine(payload)
    with_images = [prompt for prompt in payload["prompts"] if prompt["images"]]
    text_only = [prompt for prompt in payload["prompts"] if not prompt["images"]]
    actions: dict[str, Callable[[], str]] = {
        "config": engine.parse,
        "registry": lambda: engine.resolve(probe),
        "processor": engine.process,
        "tokens": lambda: tokens.sweep(engine.config, payload),
        "load": lambda: engine.load(payload["sets"][0].get("weights")),
        "text": lambda: engine.generate(text_only),
        "image": lambda: engine.generate(with_images),
        "batch": lambda: batch.Batches(engine).run(),
        "lora": lambda: lora.run(engine),
        "tp": lambda: parallel.tensor(engine),
        "pp": lambda: parallel.pipeline(engine),
        "serve": lambda: serve.run(engine),
    }
    for name, needs in payload["rungs"].items():
        ladder.run(name, needs, actions[name])
    sets = further_sets(engine, ladder, payload)
    probe.close()
    device, figures = describe(engine)
    engine.close()
    told = {"left_out": sorted(engine.left_out), "stood_in": engine.stood_in}
    return {"rungs": ladder.rungs, "device": device, "engine": figures, "sets": sets, **told}


def main() -> None:
    runtime.serve(handle)


if __name__ == "__main__":
    main()
