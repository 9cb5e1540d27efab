"""Job: the rungs that need vLLM, in one process: config, registry, processor, tokens, load, text, image, batch.

Request  {model, out, architecture, rungs, sets: [{name, weights}], prompts: [{name, text, images}], steps,
          max_model_len, max_images, banned, embed_method, trust_remote_code,
          own_modules, placeholder, context_token, modalities, sizes: [[w, h]], pair: [[w, h], [w, h]]}
Answer   {rungs: [{name, status, detail, seconds}], device, engine, sets: [{name, results, error}]}

`weights` null = vLLM's dummy weights. `results` is an .npz file like the reference's. Each rung also is an event.
"""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from porter_worker import batch, dummy, images, placeholders, runtime, tokens
from porter_worker.build import inspect_in_process

PROBE = """
import sys
from vllm.plugins import load_general_plugins
load_general_plugins()
from vllm import ModelRegistry
if sys.argv[1] not in ModelRegistry.get_supported_archs():
    sys.exit(7)
ModelRegistry.models[sys.argv[1]].load_model_cls()
"""
PROBE_TIMEOUT = 120.0


def error_line(error: BaseException, own: list[str]) -> str:
    """`Type: message (file:line in function)` with the innermost frame of the port, else of vLLM's models, else any."""
    frames = traceback.extract_tb(error.__traceback__)
    ranks: list[Callable[[str], bool]] = [
        lambda name: any(f"{os.sep}{module}{os.sep}" in name for module in own),
        lambda name: "model_executor" in name or f"{os.sep}multimodal{os.sep}" in name,
        lambda name: f"{os.sep}vllm{os.sep}" in name,
        lambda name: True,
    ]
    found = next((f for rank in ranks for f in reversed(frames) if rank(f.filename)), None)
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    message = " ".join(lines[:3])[:400]
    place = f" ({Path(found.filename).name}:{found.lineno} in {found.name})" if found else ""
    return f"{type(error).__name__}: {message}{place}"


class Ladder:
    """Runs rungs in order; a rung whose prerequisite did not pass is skipped with the reason."""

    def __init__(self, own: list[str]) -> None:
        self.own = own
        self.rungs: list[dict[str, Any]] = []

    def status(self, name: str) -> str:
        return next((rung["status"] for rung in self.rungs if rung["name"] == name), "skipped")

    def run(self, name: str, needs: tuple[str, ...], action: Callable[[], str]) -> None:
        """`action` answers the detail line; an exception fails the rung."""
        blocked = [need for need in needs if self.status(need) != "passed"]
        start = time.monotonic()
        runtime.event({"rung": name, "event": "start"})
        if blocked:
            status, detail = "skipped", f"needs {', '.join(blocked)}"
        else:
            try:
                status, detail = "passed", action()
            except Exception as error:
                traceback.print_exc()
                status, detail = "failed", error_line(error, self.own)
        rung = {"name": name, "status": status, "detail": detail, "seconds": round(time.monotonic() - start, 2)}
        self.rungs.append(rung)
        runtime.event({"rung": name, "event": "finish", **rung})


class Engine:
    """One model folder under vLLM; the LLM is rebuilt for each set of weights."""

    def __init__(self, payload: dict[str, Any]) -> None:
        self.payload = payload
        self.out = Path(payload["out"])
        self.folder = self.out / "engine-model"
        self.llm: Any = None
        self.config: Any = None
        self.embeds: list[Any] = []
        self.figures: dict[str, Any] = {}
        self.arrays: dict[str, Any] = {}
        self._lay_out()

    def _lay_out(self) -> None:
        """The model folder as links, so that the weights can be exchanged beside the same files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for source in Path(self.payload["model"]).iterdir():
            link = self.folder / source.name
            if not link.exists():
                link.symlink_to(source.resolve())

    def arguments(self, weights: str | None) -> dict[str, Any]:
        length = int(self.payload["max_model_len"])
        return {
            "model": str(self.folder),
            "dtype": "float32",
            "load_format": "auto" if weights else "dummy",
            "enforce_eager": True,
            "max_model_len": length,
            "max_num_batched_tokens": max(length, 2048),
            "max_num_seqs": 4,
            "max_logprobs": -1,
            "enable_prefix_caching": False,
            "limit_mm_per_prompt": {"image": int(self.payload["max_images"])},
            "trust_remote_code": bool(self.payload.get("trust_remote_code")),
            "seed": 0,
            **({"gpu_memory_utilization": 0.5} if runtime_device() == "cuda" else {}),
        }

    def parse(self) -> str:
        from vllm import EngineArgs

        inspect_in_process()

        weights = self.payload["sets"][0].get("weights")
        self.config = EngineArgs(**self.arguments(weights)).create_engine_config()
        config = self.config.model_config
        return f"{type(config.hf_config).__name__}, architectures {config.architectures}"

    def resolve(self, probe: subprocess.Popen[bytes]) -> str:
        """The class for the architecture, here and in a process of its own."""
        from vllm.model_executor.model_loader import get_model_architecture

        cls, name = get_model_architecture(self.config.model_config)
        code = probe.wait(timeout=PROBE_TIMEOUT)
        if code:
            reason = "does not know it" if code == 7 else f"ended with exit code {code}"
            raise RuntimeError(f"architecture {name} resolves here, but a spawned process {reason}")
        return f"{name} -> {cls.__module__}.{cls.__name__}, also in a spawned process"

    def process(self) -> str:
        """The processor and the largest dummy input."""
        from vllm.multimodal import MULTIMODAL_REGISTRY

        config = self.config.model_config
        processor = MULTIMODAL_REGISTRY.create_processor(config)
        limits = dict(processor.info.allowed_mm_limits)
        if not limits.get("image"):
            raise RuntimeError(f"the processor takes no image: limits are {limits}")
        made = placeholders.dummy_inputs(processor, config, {"image": 1})
        count = sum(item.length for item in made["mm_placeholders"]["image"])
        if count >= config.max_model_len:
            raise RuntimeError(f"the largest image takes {count} tokens, max_model_len is {config.max_model_len}")
        self.figures["largest_image_tokens"] = count
        return f"{type(processor).__name__}, largest image {count} tokens, modalities {sorted(limits)}"

    def load(self, weights: str | None) -> str:
        from vllm import LLM

        start = time.monotonic()
        self.close()
        target = self.folder / "model.safetensors"
        if weights:
            target.unlink(missing_ok=True)
            target.symlink_to(Path(weights).resolve())
        else:
            dummy.draw_dummy_weights()
        self.llm = LLM(**self.arguments(weights), disable_log_stats=True)
        self.llm.apply_model(self._record_embeds)
        seconds = time.monotonic() - start
        self.figures.setdefault("load_seconds", round(seconds, 2))
        return f"{'tiny' if weights else 'dummy'} weights, float32, {seconds:.1f} s"

    def _record_embeds(self, model: Any) -> int:
        """Keep what the model's embed method answers from now on."""
        name = self.payload["embed_method"]
        original = getattr(model, name)

        def recorded(*args: Any, **kwargs: Any) -> Any:
            made = original(*args, **kwargs)
            self.embeds.append(made)
            return made

        setattr(model, name, recorded)
        return 0

    def close(self) -> None:
        """End the current LLM, so that another can start in this process."""
        if self.llm is None:
            return
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        with contextlib.suppress(Exception):
            self.llm.llm_engine.engine_core.shutdown()
        self.llm = None
        gc.collect()
        cleanup_dist_env_and_memory()

    def generate(self, prompts: list[dict[str, Any]]) -> str:
        """Run prompts one by one; every logprob must be a number."""
        import numpy as np

        start, count = time.monotonic(), 0
        for prompt in prompts:
            arrays = self._one(prompt)
            if np.isnan(arrays["logprobs"]).any():
                raise FloatingPointError(f"prompt {prompt['name']}: a logprob is not a number")
            count += len(arrays["tokens"])
            self.arrays.update({f"{prompt['name']}.{key}": value for key, value in arrays.items()})
        names = ", ".join(prompt["name"] for prompt in prompts)
        return f"{count} tokens over {len(prompts)} prompts ({names}), {time.monotonic() - start:.1f} s"

    def _one(self, prompt: dict[str, Any]) -> dict[str, Any]:
        import numpy as np

        self.embeds.clear()
        pictures = images.load_images(prompt["images"])
        arrays = self.outcome(
            self.llm.generate([self.request(prompt["text"], pictures)], self.sampling(), use_tqdm=False)[0]
        )
        rows = [rows_of(item) for item in self.embeds]
        if pictures and rows:
            arrays["embeds"] = np.concatenate(rows)
        return arrays

    def request(self, text: str, pictures: list[Any]) -> dict[str, Any]:
        return {"prompt": text, **({"multi_modal_data": {"image": pictures}} if pictures else {})}

    def outcome(self, output: Any) -> dict[str, Any]:
        """What one request answered, as arrays."""
        import numpy as np

        made = output.outputs[0]
        return {
            "ids": np.asarray(output.prompt_token_ids, dtype=np.int64),
            "tokens": np.asarray(made.token_ids, dtype=np.int64),
            "logprobs": dense_logprobs(made.logprobs),
        }

    def sampling(self) -> Any:
        """Greedy, with the logprobs of the whole vocabulary as they are before `banned` tokens are held back."""
        from vllm import SamplingParams

        kept: dict[str, Any] = {"temperature": 0.0, "max_tokens": int(self.payload["steps"]), "ignore_eos": True}
        kept |= {"logprobs": -1, "detokenize": False}
        banned = self.payload.get("banned") or []
        if banned:
            kept["logit_bias"] = {int(token): -100.0 for token in banned}
        if "flat_logprobs" in getattr(SamplingParams, "__struct_fields__", ()):
            kept["flat_logprobs"] = True
        return SamplingParams(**kept)

    def save(self, name: str) -> str:
        import numpy as np

        path = self.out / f"engine-{name}.npz"
        np.savez(str(path), **self.arrays)
        self.arrays = {}
        return str(path)


def dense_logprobs(positions: Any) -> Any:
    """(steps, vocab) float32; a token that was not listed is -inf."""
    import numpy as np

    rows = []
    for index in range(len(positions)):
        if hasattr(positions, "start_indices"):
            span = slice(positions.start_indices[index], positions.end_indices[index])
            tokens, values = positions.token_ids[span], positions.logprobs[span]
        else:
            tokens, values = zip(*((t, v.logprob) for t, v in positions[index].items()), strict=True)
        row = np.full(max(tokens) + 1, -np.inf, dtype=np.float32)
        row[np.asarray(tokens)] = np.asarray(values, dtype=np.float32)
        rows.append(row)
    return np.stack(rows)


def rows_of(made: Any) -> Any:
    """(rows, width) float32 from what an embed method answers: a tensor or a sequence of tensors."""
    import numpy as np

    if isinstance(made, (list, tuple)):
        return np.concatenate([rows_of(item) for item in made])
    return made.detach().float().cpu().reshape(-1, made.shape[-1]).numpy()


def runtime_device() -> str:
    from vllm.platforms import current_platform

    return str(current_platform.device_type)


def describe(engine: Engine) -> tuple[str, dict[str, Any]]:
    """Device and versions."""
    import torch
    import transformers
    import vllm

    device = runtime_device()
    name = torch.cuda.get_device_name(0) if device == "cuda" else "cpu"
    versions = {"vllm": vllm.__version__, "torch": torch.__version__, "transformers": transformers.__version__}
    more = {"dtype": "float32", "max_model_len": engine.payload["max_model_len"], **engine.figures}
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
            sets.append({"name": chosen["name"], "results": None, "error": error_line(error, ladder.own)})
    return sets


def handle(payload: dict[str, Any]) -> dict[str, Any]:
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ["TORCHDYNAMO_DISABLE"] = "1"
    probe = subprocess.Popen([sys.executable, "-c", PROBE, payload["architecture"]])
    runtime.event({"stage": "import"})
    ladder = Ladder(list(payload.get("own_modules") or ()))
    engine = Engine(payload)
    with_images = [prompt for prompt in payload["prompts"] if prompt["images"]]
    text_only = [prompt for prompt in payload["prompts"] if not prompt["images"]]
    rungs: dict[str, tuple[tuple[str, ...], Callable[[], str]]] = {
        "config": ((), engine.parse),
        "registry": (("config",), lambda: engine.resolve(probe)),
        "processor": (("config", "registry"), engine.process),
        "tokens": (("processor",), lambda: tokens.sweep(engine.config, payload)),
        "load": (("config", "registry"), lambda: engine.load(payload["sets"][0].get("weights"))),
        "text": (("load",), lambda: engine.generate(text_only)),
        "image": (("load",), lambda: engine.generate(with_images)),
        "batch": (("text", "image"), lambda: batch.Batches(engine).run()),
    }
    for name, (needs, action) in rungs.items():
        if name in payload["rungs"]:
            ladder.run(name, needs, action)
    sets = further_sets(engine, ladder, payload)
    if probe.poll() is None:
        probe.kill()
    device, figures = describe(engine)
    engine.close()
    return {"rungs": ladder.rungs, "device": device, "engine": figures, "sets": sets}


def main() -> None:
    runtime.serve(handle)


if __name__ == "__main__":
    main()
