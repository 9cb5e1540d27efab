"""The rung `lora`: an engine with LoRA enabled, and adapters in PEFT's layout for every module that it wrapped."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from porter_worker import images, steps
from porter_worker.adapters import ALPHA, RANK, LoRAFault, Target, Wrapped, tied, untouched, wrapped_modules
from porter_worker.outcome import Skipped

MAX_RANK = 8
SAME = 1e-4
MERGED = 1e-3
MOVED = 1e-3
STRONG = 4.0
"""Of the adapter for tower and connector: a tower's part in an answer is small."""
SHOWN = 4


def run(engine: Any) -> str:
    """The detail of the rung. Raises LoRAFault with what the port lacks, or what an adapter did not do."""
    if engine.spread:
        raise Skipped("adapters are checked where one process holds the whole model, not with --tp or --pp")
    check_class(engine)
    try:
        return Adapters(engine).run()
    finally:
        engine.close()


def check_class(engine: Any) -> None:
    """Whether the class can have adapters at all, before an engine starts for it."""
    from vllm.model_executor.model_loader import get_model_architecture
    from vllm.model_executor.models import supports_lora

    cls, _ = get_model_architecture(engine.config.model_config)
    if not supports_lora(cls):
        raise LoRAFault(f"{cls.__name__} does not support LoRA yet: it lacks SupportsLoRA")
    if not hasattr(cls, "get_mm_mapping"):
        raise LoRAFault(f"{cls.__name__} has no attribute 'get_mm_mapping': which part is its language model?")


class Adapters:
    """Adapters of one engine; `engine.arrays` holds what the prompts answer without LoRA."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.weights = engine.payload["sets"][0].get("weights")
        prompts = [prompt for prompt in engine.payload["prompts"] if f"{prompt['name']}.tokens" in engine.arrays]
        texts = [prompt for prompt in prompts if not prompt["images"]]
        self.prompts = texts[:1] + [prompt for prompt in prompts if len(prompt["images"]) == 1][:1]
        self.base: list[dict[str, Any]] = []
        self.count = 0

    def run(self) -> str:
        import torch

        start = time.monotonic()
        self.start(enable_lora=True, max_lora_rank=MAX_RANK, max_loras=1, enable_tower_connector_lora=True)
        wrapped = self.engine.llm.apply_model(wrapped_modules(self.checkpoint(), tied(self.engine.config)))[0]
        self.check_language(wrapped)
        self.base = self.answers(None)
        if self.engine.config.model_config.dtype == torch.float32:
            plain = [steps.answer(self.engine.arrays, prompt["name"]) for prompt in self.prompts]
            self.check_same(plain, self.base, "LoRA enabled, no adapter")
        self.check_same(self.base, self.answers(self.write(wrapped.targets, 0.0)), "an adapter of zeros")
        moved = self.answers(self.write(wrapped.targets, 1.0))
        self.check_touched(wrapped)
        self.check_moved(moved, self.prompts, "an adapter")
        beside = self.check_tower(wrapped)
        merged = self.check_merged(wrapped, moved)
        return f"{told(wrapped)}{beside}; {merged}, {time.monotonic() - start:.1f} s"

    def start(self, **more: Any) -> None:
        """The engine of the ladder with further arguments, without what `load` watches."""
        from vllm import LLM

        self.engine.close()
        self.engine.llm = LLM(**{**self.engine.arguments(self.weights), **more}, disable_log_stats=True)

    def checkpoint(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the tensors that the engine was loaded from; none when its weights are dummies."""
        from safetensors import safe_open

        made: dict[str, tuple[int, ...]] = {}
        dummies = self.engine.arguments(self.weights)["load_format"] == "dummy"
        for path in () if dummies else Path(self.engine.folder).glob("*.safetensors"):
            with safe_open(str(path), "np") as file:
                made |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        return made

    def write(self, targets: tuple[Target, ...] | list[Target], scale: float) -> Any:
        """An adapter for these modules, as PEFT saves it, and the request that asks for it."""
        from safetensors.numpy import save_file
        from vllm.lora.request import LoRARequest

        self.count += 1
        folder = Path(self.engine.out) / f"adapter-{self.count}"
        folder.mkdir(parents=True, exist_ok=True)
        modules = sorted({target.source.rpartition(".")[2] for target in targets})
        config = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "target_modules": modules, "bias": "none"}
        (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
        tensors = dict(pair for target in targets for pair in target.tensors(scale))
        save_file(tensors, str(folder / "adapter_model.safetensors"))
        return LoRARequest(folder.name, self.count, str(folder))

    def answers(self, adapter: Any) -> list[dict[str, Any]]:
        """What the prompts answer with this adapter, images encoded anew."""
        made = []
        for prompt in self.prompts:
            for name in ("reset_mm_cache", "reset_encoder_cache"):
                getattr(self.engine.llm.llm_engine, name, lambda: None)()
            request = self.engine.request(prompt["text"], images.load_images(prompt["images"]))
            more = {"lora_request": adapter} if adapter else {}
            output = self.engine.llm.generate([request], self.engine.sampling(), use_tqdm=False, **more)[0]
            made.append(self.engine.outcome(output))
        return made

    def check_language(self, wrapped: Wrapped) -> None:
        """Every linear layer of the language model takes an adapter, and a checkpoint's name leads to it."""
        outside = wrapped.of_language(wrapped.unwrapped)
        if outside:
            raise LoRAFault(f"vLLM wraps none of {listed(outside)}: does get_mm_mapping name the language model?")
        lost = wrapped.of_language(wrapped.unreached)
        if lost:
            raise LoRAFault(
                f"no tensor name of the checkpoint leads to {listed(lost)}: an adapter cannot reach what "
                "hf_to_vllm_mapper and packed_modules_mapping do not name"
            )

    def check_touched(self, wrapped: Wrapped) -> None:
        """The last adapter lies in every module that a name leads to."""
        known = {*wrapped.unreached, *wrapped.left}
        missed = [name for name in self.engine.llm.apply_model(untouched(self.count))[0] if name not in known]
        if missed:
            raise LoRAFault(f"an adapter for every module left {listed(missed)} as they were")

    def check_same(self, expected: list[dict[str, Any]], made: list[dict[str, Any]], what: str) -> None:
        for prompt, left, right in zip(self.prompts, expected, made, strict=True):
            if wrong := steps.fault(f"{what}: prompt '{prompt['name']}'", left, right, SAME, "without"):
                raise LoRAFault(wrong)

    def check_moved(self, made: list[dict[str, Any]], prompts: list[dict[str, Any]], what: str) -> None:
        import numpy as np

        for prompt, base, answer in zip(self.prompts, self.base, made, strict=True):
            if np.isnan(answer["logprobs"]).any():
                raise LoRAFault(f"{what}: a logprob of prompt '{prompt['name']}' is not a number")
            gap = max(map(steps.distance, base["logprobs"], answer["logprobs"]))
            if prompt in prompts and gap < MOVED:
                raise LoRAFault(f"{what} moves no logprob of prompt '{prompt['name']}' by more than {gap:.1e}")
            if prompt not in prompts and gap > SAME:
                raise LoRAFault(f"{what} moves the logprobs of prompt '{prompt['name']}' by {gap:.1e}")

    def check_tower(self, wrapped: Wrapped) -> str:
        """An adapter for the tower and the connector moves the answers to pictures, and no others."""
        beside = wrapped.beside()
        if not beside:
            return ""
        made = self.answers(self.write(beside, STRONG))
        with_images = [prompt for prompt in self.prompts if prompt["images"]]
        self.check_moved(made, with_images, "an adapter for the tower and the connector")
        return f", {len(beside)} of them in tower and connector"

    def check_merged(self, wrapped: Wrapped, moved: list[dict[str, Any]]) -> str:
        """With its changes added to the weights, an engine without LoRA answers as with the adapter."""
        if not self.weights:
            return "not compared with merged weights: that is done at tiny size, on weights that the reference drew"
        try:
            self.engine.link(self.merge(wrapped.targets))
            self.start()
            gaps = [steps.farthest(left, right) for left, right in zip(moved, self.answers(None), strict=True)]
        finally:
            self.engine.link(self.weights)
        if max(gaps) > MERGED:
            name = self.prompts[gaps.index(max(gaps))]["name"]
            raise LoRAFault(f"prompt '{name}': logprobs with the adapter are {max(gaps):.1e} from the merged weights'")
        return f"logprobs as with merged weights to {max(gaps):.1e}"

    def merge(self, targets: tuple[Target, ...]) -> str:
        from safetensors.numpy import load_file, save_file

        tensors = load_file(self.weights)
        for target in targets:
            name = f"{target.source}.weight"
            tensors[name] = tensors[name] + target.change(1.0).astype(tensors[name].dtype)
        path = Path(self.engine.out) / "merged.safetensors"
        save_file(tensors, str(path))
        return str(path)


def told(wrapped: Wrapped) -> str:
    """What was touched, and what was not."""
    rest = {
        "no tensor name leads to": wrapped.unreached,
        "left out": wrapped.left,
        "vLLM wraps no": wrapped.unwrapped,
        "torch's own layers": wrapped.plain,
    }
    left = [f"{why} {listed(list(names))}" for why, names in rest.items() if names]
    return f"adapters for {len(wrapped.targets)} matrices{', not for: ' if left else ''}{'; '.join(left)}"


def listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
