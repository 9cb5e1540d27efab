"""What a port's processor makes of a prompt: token ids, placeholder ranges and inputs. Used by `tokens` and `batch`."""

from __future__ import annotations

import contextlib
import inspect
import sys
from dataclasses import dataclass, field
from typing import Any

EXTREME = 100
NUMBER = "{n}"
"""Where the number of the image stands in a placeholder, if it does."""


def signed(text: str, placeholder: str) -> str:
    """A prompt with its own placeholders: where those are numbered, each is the next number."""
    before, *rest = text.split(placeholder) if NUMBER in placeholder else [text]
    return before + "".join(placeholder.replace(NUMBER, str(at + 1)) + part for at, part in enumerate(rest))


class TokenFault(Exception):
    """The two sides differ; the message has the arithmetic of both."""


@dataclass(frozen=True)
class Span:
    """One placeholder range: `ids` are its tokens, `mask` says which of them take a feature row."""

    offset: int
    ids: tuple[int, ...]
    mask: tuple[bool, ...]

    @property
    def rows(self) -> int:
        return sum(self.mask)


@dataclass(frozen=True)
class Made:
    """What a processor made of one prompt: token ids, and per modality its spans and items."""

    ids: list[int]
    spans: dict[str, list[Span]]
    items: dict[str, list[Any]]

    @classmethod
    def of(cls, output: Any) -> Made:
        ids = list(output["prompt_token_ids"])
        spans = {
            modality: [_span(ids, place) for place in places] for modality, places in output["mm_placeholders"].items()
        }
        return cls(ids, spans, {name: list(items) for name, items in output["mm_kwargs"].items()})


def _span(ids: list[int], place: Any) -> Span:
    end = place.offset + place.length
    if end > len(ids):
        raise TokenFault(f"a placeholder ends at {end}, the prompt has {len(ids)} tokens")
    mask = [True] * place.length if place.is_embed is None else place.is_embed.tolist()
    return Span(place.offset, tuple(ids[place.offset : end]), tuple(bool(value) for value in mask))


@dataclass(frozen=True)
class Case:
    """One prompt of the sweep."""

    name: str
    text: str
    sizes: tuple[tuple[int, int], ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def extreme(self) -> bool:
        return any(min(size) < 28 or max(size) > EXTREME * min(size) for size in self.sizes)


class Processor:
    """The port's processor, whatever this vLLM's signature for a cache is."""

    def __init__(self, config: Any) -> None:
        from vllm.multimodal import MULTIMODAL_REGISTRY

        self.config = config
        self.create = MULTIMODAL_REGISTRY.create_processor
        self.plain = self.create(config)
        self.info = self.plain.info
        self.tokenizer = self.info.get_tokenizer()

    def run(self, case: Case, *, tokens: bool = True, cache: Any = None) -> Made:
        processor, more = self.plain, {"hf_processor_mm_kwargs": case.kwargs}
        if cache is not None and "cache" in inspect.signature(self.create).parameters:
            processor = self.create(self.config, cache=cache)
        elif cache is not None:
            more["cache"] = cache
        pictures = [picture(*size) for size in case.sizes]
        items = processor.data_parser.parse_mm_data({"image": pictures} if pictures else {})
        prompt = self.encode(case.text) if tokens else case.text
        return Made.of(processor(prompt, mm_items=items, **more))

    def encode(self, text: str) -> list[int]:
        settings = getattr(self.info, "default_tok_params", None)
        return list(self.tokenizer.encode(text, **(settings.get_encode_kwargs() if settings else {})))

    def dummy(self, counts: dict[str, int]) -> Made:
        return Made.of(dummy_inputs(self.plain, self.config, counts))

    def dummy_size(self) -> tuple[int, int] | None:
        """Width and height of the image that vLLM profiles with."""
        builder = self.plain.dummy_inputs.get_dummy_mm_data
        options = self.config.get_multimodal_config().limit_per_prompt
        with contextlib.suppress(Exception):
            made = builder(self.config.max_model_len, {"image": 1}, options)["image"]
            first = made[0] if isinstance(made, list) else made
            return int(first.size[0]), int(first.size[1])
        return None

    def cache(self) -> Any:
        from vllm.multimodal.cache import MultiModalProcessorOnlyCache

        return MultiModalProcessorOnlyCache(self.config)


def unregistered(model: type) -> list[str]:
    """Classes for processing that the model's own module defines and its registered processor does not use.

    A module of vLLM's own may hold several models, each with a registration: there only a class without one counts.
    """
    from vllm.multimodal import processing

    if model.__module__.startswith("vllm.") and "_processor_factory" in vars(model):
        return []
    kinds = tuple(
        getattr(processing, name)
        for name in ("BaseProcessingInfo", "BaseMultiModalProcessor", "BaseDummyInputsBuilder")
        if hasattr(processing, name)
    )
    factories = getattr(model, "_processor_factory", None)
    used = {base for made in vars(factories).values() for base in getattr(made, "__mro__", ())} if factories else set()
    defined = vars(sys.modules[model.__module__]).values()
    own = [cls for cls in defined if isinstance(cls, type) and cls.__module__ == model.__module__]
    return [cls.__name__ for cls in own if issubclass(cls, kinds) and cls not in used]


def picture(width: int, height: int) -> Any:
    from PIL import Image

    return Image.new("RGB", (width, height), (width % 251, height % 241, 97))


def dummy_inputs(processor: Any, config: Any, counts: dict[str, int]) -> Any:
    """What vLLM profiles with; older versions have it on the registry."""
    if hasattr(processor, "get_dummy_mm_inputs"):
        return processor.get_dummy_mm_inputs(counts)
    from vllm.multimodal import MULTIMODAL_REGISTRY

    return MULTIMODAL_REGISTRY.get_dummy_mm_inputs(config, counts, processor=processor)


def same(left: Any, right: Any) -> bool:
    """Whether two items of a processor hold the same numbers."""
    import torch

    if isinstance(left, torch.Tensor):
        return isinstance(right, torch.Tensor) and left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, dict):
        return set(left) == set(right) and all(same(left[name], right[name]) for name in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def tiles_of(item: Any) -> int:
    """Tiles of an image: the first size of its largest stack of pictures."""
    stacks = [value for value in item.get_data().values() if getattr(value, "ndim", 0) >= 4]
    return int(max(stacks, key=lambda value: value.numel()).shape[0]) if stacks else 1


def arithmetic(span: Span, rows: int, tiles: int) -> str:
    """Both sides as sums: tiles × tokens + the rest = placeholders, tiles × tokens = rows."""
    rest = len(span.ids) - span.rows
    left = f"{_product(tiles, span.rows)}{f' + {rest}' if rest else ''}"
    placeholders = f"{left} = {len(span.ids)} placeholders" if left != str(len(span.ids)) else f"{left} placeholders"
    features = f", {span.rows} of them for features" if rest else ""
    right = _product(tiles, rows)
    return f"{placeholders}{features}; the model gives {f'{right} = {rows}' if right != str(rows) else rows} rows"


def _product(tiles: int, total: int) -> str:
    return str(total) if tiles <= 1 or total % tiles else f"{tiles} tiles × {total // tiles} tokens"
