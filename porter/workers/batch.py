"""The rung `batch`: what requests answer together is what each answers alone. Runs in the job `engine`, on its LLM."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from porter_worker import images, steps
from porter_worker.placeholders import Case, Processor

TOLERANCE = 1e-3
FEATURES = 1e-4


class BatchFault(Exception):
    """A request answers otherwise in company than alone."""


class Batches:
    """`engine.arrays` holds what each prompt answered alone, as the rungs `text` and `image` left it."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.done: list[str] = []
        self.open: list[str] = []
        self.apart = 0.0
        prompts = engine.payload["prompts"]
        self.all = [prompt for prompt in prompts if f"{prompt['name']}.tokens" in engine.arrays]
        self.texts = [prompt for prompt in self.all if not prompt["images"]]
        self.ones = [prompt for prompt in self.all if len(prompt["images"]) == 1]
        self.pairs = [prompt for prompt in self.all if len(prompt["images"]) == 2]

    def run(self) -> str:
        start = time.monotonic()
        self.together("text beside image", [*self.texts[:1], *self.ones[:1]])
        self.together("two sizes", self.ones[:2])
        self.together("two images in one prompt", [*self.pairs[:1], *self.ones[-1:]])
        self.together("all prompts", [*reversed(self.all)])
        for prompt in self.pairs[:1]:
            self.swapped(prompt)
        if self.ones:
            self.split(max(self.ones, key=lambda prompt: len(self.alone(prompt)["ids"])))
        missing = f"; not covered: {', '.join(self.open)}" if self.open else ""
        far = f"logprobs apart by {self.apart:.1e} at most"
        return f"{', '.join(self.done)}: as alone, {far}, {time.monotonic() - start:.1f} s{missing}"

    def alone(self, prompt: dict[str, Any]) -> dict[str, Any]:
        return dict(steps.answer(self.engine.arrays, prompt["name"]))

    def together(self, name: str, prompts: list[dict[str, Any]]) -> None:
        if len(prompts) < 2:
            self.open.append(name)
            return
        answers = self.answers(prompts)
        self.compare_features(name, prompts)
        for prompt, made in zip(prompts, answers, strict=True):
            self.compare(name, prompt["name"], self.alone(prompt), made)
        self.done.append(name)

    def compare_features(self, name: str, prompts: list[dict[str, Any]]) -> None:
        """Features of the images of one batch against those of each prompt alone."""
        import numpy as np

        kept = [f"{prompt['name']}.embeds" for prompt in prompts if prompt["images"]]
        alone = [self.engine.arrays[key] for key in kept if key in self.engine.arrays]
        made = self.features()
        if not alone or not made or sum(map(len, alone)) != sum(map(len, made)):
            self.note("features of a batch")
            return
        rows = np.concatenate(made)
        for prompt, expected in zip((p for p in prompts if p["images"]), alone, strict=True):
            places = range(len(rows) - len(expected) + 1)
            if not any(close(expected, rows[start : start + len(expected)]) for start in places):
                raise BatchFault(f"{name}: the image features of prompt '{prompt['name']}' are others than alone")

    def answers(self, prompts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """All prompts in one call, images encoded anew."""
        self.forget()
        self.engine.embeds.clear()
        requests = [self.engine.request(prompt["text"], images.load_images(prompt["images"])) for prompt in prompts]
        outputs = self.engine.llm.generate(requests, self.engine.sampling(), use_tqdm=False)
        return [self.engine.outcome(output) for output in outputs]

    def forget(self) -> None:
        """Drop what was encoded before: a cached feature would hide how a batch is encoded."""
        for name in ("reset_mm_cache", "reset_encoder_cache"):
            reset = getattr(self.engine.llm.llm_engine, name, None)
            if reset is None:
                self.note("images encoded anew")
            else:
                reset()

    def note(self, what: str) -> None:
        if what not in self.open:
            self.open.append(what)

    def compare(self, name: str, prompt: str, alone: dict[str, Any], made: dict[str, Any]) -> None:
        if wrong := steps.fault(f"{name}: prompt '{prompt}'", alone, made, TOLERANCE, "alone"):
            raise BatchFault(wrong)
        self.apart = max(self.apart, steps.farthest(alone, made))

    def swapped(self, prompt: dict[str, Any]) -> None:
        """Two images the other way round: as alone in a batch with the first order, and features change places."""
        import numpy as np

        other = {**prompt, "name": "images swapped", "images": [*reversed(prompt["images"])]}
        (alone,) = self.answers([other])
        swapped = self.features()
        made, first = self.answers([other, prompt])
        self.compare("images swapped", other["name"], alone, made)
        self.compare("images swapped", prompt["name"], self.alone(prompt), first)
        self.answers([prompt])
        straight = self.features()
        if len(straight) != 2 or len(swapped) != 2:
            self.note("places of the features of swapped images")
        elif not all(map(close, straight, reversed(swapped))):
            raise BatchFault("images swapped: the features of the two images do not change places")
        elif np.array_equal(alone["ids"], self.alone(prompt)["ids"]) and same_answers(alone, self.alone(prompt)):
            raise BatchFault("images swapped: the answer is the same, the order of the images is lost")
        self.done.append("images swapped")

    def features(self) -> list[Any]:
        """(rows, width) of each image that the model embedded since the last call of `answers`."""
        from porter_worker.llm import rows_of

        return [rows_of(item) for made in self.engine.embeds for item in (made if is_list(made) else [*made])]

    def split(self, prompt: dict[str, Any]) -> None:
        """A token budget of one step that ends in the middle of the image."""
        name = "token budget that splits an image"
        scheduler = scheduler_of(self.engine.llm)
        span = self.span(prompt)
        if scheduler is None or span is None:
            self.note(name)
            return
        if getattr(scheduler.scheduler_config, "disable_chunked_mm_input", False):
            self.note(f"{name} (this scheduler does not split images)")
            return
        offset, length = span
        with budget(scheduler, offset + length // 2) as counts:
            (made,) = self.answers([prompt])
        ends = [sum(counts[: index + 1]) for index in range(len(counts))]
        if not any(offset < end < offset + length for end in ends):
            self.note(f"{name} (this scheduler does not split images)")
            return
        self.compare(name, prompt["name"], self.alone(prompt), made)
        self.done.append(f"image of {length} tokens split by a budget of {offset + length // 2}")

    def span(self, prompt: dict[str, Any]) -> tuple[int, int] | None:
        """(offset, length) of the placeholders of the prompt's image; None when they are too few to split."""
        sizes = tuple(image.size for image in images.load_images(prompt["images"]))
        made = Processor(self.engine.config.model_config).run(Case(prompt["name"], prompt["text"], sizes), tokens=False)
        (span,) = made.spans["image"]
        return (span.offset, len(span.ids)) if len(span.ids) >= 2 else None


def close(left: Any, right: Any) -> bool:
    """Whether two sets of features are the same but for rounding."""
    import numpy as np

    return left.shape == right.shape and bool(np.abs(left - right).max(initial=0.0) <= FEATURES * np.abs(left).max())


def is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def same_answers(left: dict[str, Any], right: dict[str, Any]) -> bool:
    """Whether the logprobs of the first step are the same to the last bit."""
    import numpy as np

    return bool(np.array_equal(left["logprobs"][0], right["logprobs"][0]))


def scheduler_of(llm: Any) -> Any:
    """The scheduler of an engine in this process, if its budget can be set and prefill may be chunked."""
    core = getattr(getattr(llm.llm_engine, "engine_core", None), "engine_core", None)
    scheduler = getattr(core, "scheduler", None)
    if scheduler is None or not hasattr(scheduler, "max_num_scheduled_tokens"):
        return None
    return scheduler if scheduler.scheduler_config.enable_chunked_prefill else None


@contextlib.contextmanager
def budget(scheduler: Any, tokens: int) -> Iterator[list[int]]:
    """`tokens` per step; yields the list of how many were scheduled in each."""
    before, original, counts = scheduler.max_num_scheduled_tokens, scheduler.schedule, []

    def schedule(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        counts.append(int(made.total_num_scheduled_tokens))
        return made

    scheduler.max_num_scheduled_tokens, scheduler.schedule = max(1, tokens), schedule
    try:
        yield counts
    finally:
        scheduler.max_num_scheduled_tokens = before
        del scheduler.schedule
