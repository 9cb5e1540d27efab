"""The rung `tokens`: the placeholders that the port's processor makes are the feature rows that its model gives.

The processor comes from vLLM's registry, the rows from the model itself. Runs in the job `engine`, needs no weights.
"""

from __future__ import annotations

import contextlib
import math
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from porter_worker.feature_rows import Rows, built_model
from porter_worker.placeholders import Case, Made, Processor, Span, TokenFault, arithmetic, same, signed, tiles_of
from porter_worker.said import placed_line

WORDS = "Describe the picture."
LIMITS = (("min_dynamic_patch", "max_dynamic_patch"), ("min_tiles", "max_tiles"), ("min_num", "max_num"))


class Sweep:
    """Every case of the grid; faults are kept, so that all failing sizes are counted."""

    def __init__(self, processor: Processor, rows: Rows, payload: dict[str, Any]) -> None:
        self.processor = processor
        self.rows = rows
        self.payload = payload
        self.placeholder = str(payload["placeholder"])
        self.context = self._context()
        self.faults: list[str] = []
        self.refused: list[str] = []
        self.not_taken: list[str] = []
        self.own = list(payload.get("own_modules") or ())
        self.count = 0
        self.largest: tuple[int, str] = (0, "")
        self.spans: dict[tuple[int, int], Span] = {}
        self.tiles: set[int] = set()

    def _context(self) -> int | None:
        token = self.payload.get("context_token")
        return self.processor.tokenizer.convert_tokens_to_ids(token) if token else None

    def attempt(self, case: Case, action: Callable[[Case], None]) -> None:
        """A difference or an error is a fault of this case; a picture that no code of the port refuses is noted."""
        self.count += 1
        case = replace(case, text=signed(case.text, self.placeholder))
        try:
            action(case)
        except TokenFault as fault:
            self.faults.append(f"{case.name}: {fault}")
        except Exception as raised:
            error = root_of(raised)
            if case.extreme and refused_elsewhere(error):
                self.refused.append(case.name)
            elif case.kwargs and refused_by_vllm(error, self.own):
                self.not_taken.append(next(iter(case.kwargs)))
            else:
                traceback.print_exc()
                self.faults.append(f"{case.name}: {placed_line(error, self.own)}")

    def compare(self, made: Made, name: str = "") -> None:
        """Placeholders against rows, item by item; in order, and none over the features of another."""
        end = features = 0
        for span in sorted((span for spans in made.spans.values() for span in spans), key=lambda span: span.offset):
            takes = [span.offset + at for at, take in enumerate(span.mask) if take]
            if span.offset < features or (takes and takes[0] < end):
                raise TokenFault(f"a placeholder begins at {span.offset}, inside the one before")
            end, features = span.offset + len(span.ids), takes[-1] + 1 if takes else span.offset
        for modality, spans in made.spans.items():
            items = made.items.get(modality, [])
            rows = self.rows.of(modality, items)
            if not len(spans) == len(items) == len(rows):
                counts = f"{len(spans)} placeholders, {len(items)} inputs and {len(rows)} features"
                raise TokenFault(f"{counts} of {modality}")
            for index, span in enumerate(spans):
                label = f"{modality} {index + 1}: " if len(spans) > 1 else ""
                self._one(span, rows[index], tiles_of(items[index]), label, modality)

    def _one(self, span: Span, rows: int, tiles: int, label: str, modality: str) -> None:
        if span.rows != rows:
            raise TokenFault(label + arithmetic(span, rows, tiles))
        self.tiles.add(tiles)
        taken = {token for token, takes in zip(span.ids, span.mask, strict=True) if takes}
        if modality == "image" and self.context is not None and taken - {self.context}:
            named = self.processor.tokenizer.convert_ids_to_tokens(sorted(taken)[:3])
            token = self.payload["context_token"]
            where = f"{label}features go to {', '.join(map(repr, named))}"
            raise TokenFault(f"{where}, the repo's context token is {token!r}")

    def size(self, case: Case) -> None:
        """One image: rows, and the largest so far; the first of each length is also made from text and from a cache."""
        made = self.processor.run(case)
        if len(made.spans.get("image", ())) != 1:
            raise TokenFault(f"{len(made.spans.get('image', ()))} placeholders for one image")
        span = made.spans["image"][0]
        fresh = len(span.ids) not in {len(known.ids) for known in self.spans.values()}
        self.spans[case.sizes[0]] = span
        self.largest = max(self.largest, (len(span.ids), case.name))
        self.compare(made)
        if fresh:
            self.alike(case, made)

    def several(self, case: Case) -> None:
        """Many images: each as long as alone, and alike by all ways."""
        made = self.processor.run(case)
        found = [len(span.ids) for span in made.spans.get("image", ())]
        alone = [len(self.spans[size].ids) for size in case.sizes if size in self.spans]
        if not case.kwargs and len(alone) == len(case.sizes) and found != alone:
            raise TokenFault(f"placeholders of {found} tokens, alone they are {alone}")
        self.compare(made)
        self.alike(case, made)

    def alike(self, case: Case, made: Made) -> None:
        """From text, into a cache and out of it: the same ids, spans and inputs."""
        cache = self.processor.cache()
        ways: dict[str, Callable[[], Made]] = {
            "the text prompt": lambda: self.processor.run(case, tokens=False),
            "a first use of the cache": lambda: self.processor.run(case, cache=cache),
            "the cached": lambda: self.processor.run(case, cache=cache),
        }
        for name, way in ways.items():
            other = way()
            if other.ids != made.ids:
                raise TokenFault(f"{name} gives {len(other.ids)} tokens, the token prompt {len(made.ids)}, or others")
            if other.spans != made.spans:
                raise TokenFault(f"{name} puts the placeholders elsewhere than the token prompt")
            pairs = [(a, b) for key, items in made.items.items() for a, b in zip(items, other.items[key], strict=True)]
            if not all(same(a.get_data(), b.get_data()) for a, b in pairs):
                raise TokenFault(f"{name} gives other inputs than the token prompt")

    def dummy(self, case: Case) -> None:
        """The image that vLLM profiles with is the largest."""
        made = self.processor.dummy({"image": 1})
        self.compare(made)
        length, name = self.largest
        found = sum(len(span.ids) for span in made.spans["image"])
        if found < length:
            raise TokenFault(f"{found} placeholders, but {name} has {length}: vLLM profiles too little memory")

    def modality(self, case: Case, modality: str) -> None:
        """What the port advertises beside images: an input of it can be made and gives as many rows as placeholders."""
        stated = self.payload.get("modalities")
        if stated and modality not in stated:
            raise TokenFault(f"the port advertises {modality}, the repo takes {', '.join(stated)} only")
        for counts in ({modality: 1}, {"image": 1, modality: 1}):
            made = self.processor.dummy(counts)
            if any(len(made.spans.get(name, ())) != count for name, count in counts.items()):
                raise TokenFault(f"the port advertises {modality}, its dummy inputs have none")
            self.compare(made)

    def run(self) -> None:
        for case in self.cases_of_sizes():
            self.attempt(case, self.size)
        for case in self.cases_of_prompts():
            self.attempt(case, self.several)
        self.attempt(Case("the dummy image", ""), self.dummy)
        others = [name for name, limit in self.processor.info.allowed_mm_limits.items() if limit and name != "image"]
        for name in others:
            self.attempt(Case(name, ""), lambda case, name=name: self.modality(case, name))  # type: ignore[misc]

    def cases_of_sizes(self) -> Iterator[Case]:
        text = f"{self.placeholder}{self.payload['after']}{WORDS}"
        sizes = [tuple(size) for size in self.payload["sizes"]]
        largest = self.processor.dummy_size()
        if largest is not None and math.prod(largest) <= 4096**2:
            w, h = largest
            sizes += [(w, h), (h, w), (w + 1, h + 1), (max(1, w - 1), max(1, h - 1))]
        for width, height in dict.fromkeys(sizes):
            yield Case(f"image {width}x{height}", text, ((width, height),))

    def cases_of_prompts(self) -> Iterator[Case]:
        sign = self.placeholder
        token = self.payload.get("context_token") or sign
        small, wide = self.payload["pair"]
        small, wide = tuple(small), tuple(wide)
        yield Case("no image", WORDS)
        yield Case(f"no image, text with {token}", f"What is {token}? {WORDS}")
        if token != sign:
            yield Case(f"one image, text with {token}", f"A {token} is {token}: {sign} {WORDS} {token}", (wide,))
        yield Case("two images", f"{sign} and {sign}?", (small, wide))
        yield Case("two images, swapped", f"{sign} and {sign}?", (wide, small))
        yield Case("one image twice", f"{sign}{sign}", (wide, wide))
        yield Case("three images", f"{sign}{sign} {WORDS} {sign}", (wide, small, wide))
        for kwargs in self.limits():
            said = ", ".join(f"{name}={value}" for name, value in kwargs.items())
            yield Case(f"image {wide[0]}x{wide[1]} with {said}", f"{sign} {WORDS}", (wide,), kwargs)

    def limits(self) -> Iterator[dict[str, int]]:
        """Settings of tiling that a request may give, where the processor has them."""
        with contextlib.suppress(Exception):
            processor = self.processor.info.get_hf_processor()
            holders = (getattr(processor, "image_processor", None), processor)
            for least, most in LIMITS:
                if any(hasattr(holder, least) and hasattr(holder, most) for holder in holders):
                    yield from ({most: 1}, {least: 2, most: 3})

    def detail(self) -> str:
        lengths = sorted({len(span.ids) for span in self.spans.values()})
        tiles = f", {min(self.tiles)} to {max(self.tiles)} tiles" if len(self.tiles) > 1 else ""
        further = self.count - len(self.spans) - len(self.refused) - len(self.not_taken)
        refused = f"; {len(self.refused)} sizes refused ({self.refused[0]})" if self.refused else ""
        if self.not_taken:
            refused += f"; vLLM's own processor does not take {', '.join(dict.fromkeys(self.not_taken))}"
        return (
            f"{len(self.spans)} sizes{tiles}, {lengths[0]} to {lengths[-1]} placeholders = the model's rows; "
            f"{further} further prompts; dummy image is the largest{refused}"
        )


def refused_elsewhere(error: BaseException) -> bool:
    """Whether an error comes from a library that reads pictures, as the repo's own processor would raise it too."""
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    return any(f"/{name}/" in last for name in ("transformers", "PIL", "torchvision")) and isinstance(error, ValueError)


def refused_by_vllm(error: BaseException, own: list[str]) -> bool:
    """Whether a setting that a request may give is unknown to a processor that is vLLM's, not the port's."""
    if not isinstance(error, TypeError) or "unexpected keyword argument" not in str(error):
        return False
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    return "/vllm/" in last and not any(f"/{module}/" in last for module in own)


def root_of(error: BaseException) -> BaseException:
    """What an error was raised from: vLLM wraps those of a processor."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def sweep(config: Any, payload: dict[str, Any]) -> str:
    """The detail line. Raises TokenFault: the first failing case, and how many fail."""
    processor = Processor(config.model_config)
    with built_model(config) as (model, device):
        done = Sweep(processor, Rows(model, payload["embed_method"], device, config), payload)
        done.run()
    if done.faults:
        raise TokenFault(f"{done.faults[0]} ({len(done.faults)} of {done.count} cases fail)")
    return done.detail()
