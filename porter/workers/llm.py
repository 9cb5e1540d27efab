"""One model folder under vLLM: its config, its processor, the engine and what the engine answers."""

from __future__ import annotations

import contextlib
import gc
import resource
import time
from pathlib import Path
from typing import Any

from porter_worker import attending, dummy, images, placeholders, spawned, stages
from porter_worker.build import inspect_in_process


class Engine:
    """One model folder under vLLM; the LLM is rebuilt for each set of weights."""

    def __init__(self, payload: dict[str, Any]) -> None:
        self.payload = payload
        self.out = Path(payload["out"])
        self.folder = self.out / "engine-model"
        self.llm: Any = None
        self.config: Any = None
        self.unresolved: Exception | None = None
        self.embeds: list[Any] = []
        self.figures: dict[str, Any] = {}
        self.most_images = int(payload["max_images"])
        """In one prompt, as the class says."""
        self.left_out: set[str] = set()
        self.stood_in: str | None = None
        """What of vLLM's own did not run, in words."""
        self.arrays: dict[str, Any] = {}
        self.watch = stages.Watch()
        self._lay_out()

    def _lay_out(self) -> None:
        """The model folder as links, so that the weights can be exchanged beside the same files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for source in Path(self.payload["model"]).iterdir():
            link = self.folder / source.name
            if not link.exists():
                link.symlink_to(source.resolve())

    def arguments(self, weights: str | None) -> dict[str, Any]:
        """Of `vllm.LLM`; what was asked for (`payload["arguments"]`) goes over the ladder's own."""
        length = int(self.payload["max_model_len"])
        on_gpu = runtime_device() == "cuda"
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
            **({"gpu_memory_utilization": self.payload["gpu_share"]} if on_gpu else {}),
            **self.payload["arguments"],
        }

    @property
    def spread(self) -> bool:
        """Over several processes: the module is out of reach."""
        sizes = (self.payload["arguments"].get(f"{name}_parallel_size", 1) for name in ("tensor", "pipeline"))
        return any(size > 1 for size in sizes)

    def parse(self) -> str:
        from vllm import EngineArgs

        inspect_in_process()

        weights = self.payload["sets"][0].get("weights")
        try:
            self.config = EngineArgs(**self.arguments(weights)).create_engine_config()
        except Exception as error:
            self.unresolved = spawned.class_error(self.payload["architecture"], error)
            parsed = self._parsed() if self.unresolved is not None else None
            if parsed is None:
                raise
            return f"{parsed}; the rest of vLLM's config needs the class"
        config = self.config.model_config
        return f"{type(config.hf_config).__name__}, architectures {config.architectures}"

    def _parsed(self) -> str | None:
        """The config class that vLLM makes of the folder; None when it makes none."""
        from vllm.transformers_utils.config import get_config

        with contextlib.suppress(Exception):
            return type(get_config(str(self.folder), bool(self.payload.get("trust_remote_code")))).__name__
        return None

    def resolve(self, probe: spawned.Probe) -> str:
        """The class for the architecture, here and in a process of its own."""
        from vllm.model_executor.model_loader import get_model_architecture

        if self.unresolved is not None:
            raise self.unresolved
        cls, name = get_model_architecture(self.config.model_config)
        probe.check(name, self.config)
        return f"{name} -> {cls.__module__}.{cls.__name__}, also in a spawned process"

    def process(self) -> str:
        """The processor and the largest dummy input."""
        from vllm.model_executor.model_loader import get_model_architecture
        from vllm.multimodal import MULTIMODAL_REGISTRY

        config = self.config.model_config
        cls, _ = get_model_architecture(config)
        idle = placeholders.unregistered(cls)
        if idle:
            how = "@MULTIMODAL_REGISTRY.register_processor is missing, or names another class"
            raise RuntimeError(f"{', '.join(idle)} stands beside {cls.__name__} and is not registered: {how}")
        processor = MULTIMODAL_REGISTRY.create_processor(config)
        limits = dict(processor.info.allowed_mm_limits)
        if not limits.get("image"):
            raise RuntimeError(f"the processor takes no image: limits are {limits}")
        self.most_images = int(limits["image"])
        made = placeholders.dummy_inputs(processor, config, {"image": 1})
        count = sum(item.length for item in made["mm_placeholders"]["image"])
        if count >= config.max_model_len:
            raise RuntimeError(f"the largest image takes {count} tokens, max_model_len is {config.max_model_len}")
        self.figures["largest_image_tokens"] = count
        few = f", {self.most_images} image(s) a prompt" if self.most_images < self.payload["max_images"] else ""
        return f"{type(processor).__name__}, largest image {count} tokens, modalities {sorted(limits)}{few}"

    def load(self, weights: str | None) -> str:
        from vllm import LLM

        start = time.monotonic()
        self.close()
        if weights:
            self.link(weights)
        elif self.payload["weights"] == "tiny":
            dummy.draw_dummy_weights()
        arguments = self.arguments(weights)
        if not self.spread:
            self.stood_in = attending.stand_in(self.config.model_config, runtime_device())
        if self.stood_in:  # as vLLM has it wherever its own attention lets an image's tokens see each other
            arguments["disable_chunked_mm_input"] = True
        self.llm = LLM(**arguments, disable_log_stats=True)
        if not self.spread:
            self.llm.apply_model(self._record_embeds)
            self.watch = stages.Watch.of(self.llm, weights)
        seconds = time.monotonic() - start
        self.figures.setdefault("load_seconds", round(seconds, 2))
        self.figures.setdefault("memory_bytes", taken())
        kind = self.payload["weights"] if weights or self.payload["weights"] != "tiny" else "dummy"
        return f"{kind} weights, {arguments['dtype']}, {seconds:.1f} s"

    def link(self, weights: str) -> None:
        """The folder's weights are this file from now on."""
        target = self.folder / "model.safetensors"
        target.unlink(missing_ok=True)
        target.symlink_to(Path(weights).resolve())

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
        taken = [prompt for prompt in prompts if len(prompt["images"]) <= self.most_images]
        lost = [prompt["name"] for prompt in prompts if prompt not in taken]
        self.left_out |= set(lost)
        for prompt in taken:
            arrays = self._one(prompt)
            if np.isnan(arrays["logprobs"]).any():
                raise FloatingPointError(f"prompt {prompt['name']}: a logprob is not a number")
            count += len(arrays["tokens"])
            self.arrays.update({f"{prompt['name']}.{key}": value for key, value in arrays.items()})
        names = ", ".join(prompt["name"] for prompt in taken)
        seconds = time.monotonic() - start
        self.figures["tokens_per_second"] = round(count / seconds, 1)
        more = f"; not run, as the class takes fewer images: {', '.join(lost)}" if lost else ""
        return f"{count} tokens over {len(taken)} prompts ({names}), {seconds:.1f} s{more}"

    def _one(self, prompt: dict[str, Any]) -> dict[str, Any]:
        import numpy as np

        self.embeds.clear()
        pictures = images.load_images(prompt["images"])
        with self.watch.prompt(prompt):
            made = self.llm.generate([self.request(prompt["text"], pictures)], self.sampling(), use_tqdm=False)
        arrays = self.outcome(made[0])
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
        self.watch.save(self.out / stages.file_of("engine", name))
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


def taken() -> int:
    """Bytes that this process has of its device: a GPU's as the driver counts them, else the most of the memory."""
    import torch

    if runtime_device() == "cuda":
        free, total = torch.cuda.mem_get_info()
        return int(total - free)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def runtime_device() -> str:
    from vllm.platforms import current_platform

    return str(current_platform.device_type)
