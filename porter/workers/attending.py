"""Images whose tokens see each other: vLLM's attention on a CPU passes over that, so for the ladder it is made up for.

vLLM's runner tells its attention the spans (`mm_req_doc_ranges`); a backend without `supports_mm_prefix` does not look
at them. The rows of such prompts are computed anew here, from the keys and values that the layer was given.
"""

from __future__ import annotations

from typing import Any

WORDS = "vLLM's own attention on a CPU: it lets no token of an image see a later one, porter's stood in its place"
SPANS = "mm_req_doc_ranges"
Spans = list[tuple[int, int]]


def stand_in(model_config: Any, device: str) -> str | None:
    """Puts it in where it is needed, and says so; None elsewhere."""
    if device != "cpu" or not getattr(model_config, "is_mm_prefix_lm", False):
        return None
    from vllm.v1.attention.backend import CommonAttentionMetadata
    from vllm.v1.attention.backends import cpu_attn

    told = SPANS in CommonAttentionMetadata.__dataclass_fields__
    if not told or cpu_attn.CPUAttentionBackend.supports_mm_prefix():
        return None
    patch(cpu_attn.CPUAttentionMetadataBuilder, cpu_attn.CPUAttentionBackendImpl)
    return WORDS


def patch(builder: Any, backend: Any) -> None:
    """The metadata carries the spans from now on, and the backend looks at them."""
    if hasattr(backend, "porter_sees"):
        return
    build, forward = builder.build, backend.forward

    def built(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = build(self, *args, **kwargs)
        common = kwargs.get("common_attn_metadata", args[1] if len(args) > 1 else None)
        made.porter_spans = getattr(common, SPANS, None) or {}
        return made

    def forwarded(
        self: Any, layer: Any, query: Any, key: Any, value: Any, cache: Any, metadata: Any, output: Any, **kwargs: Any
    ) -> Any:
        answer = forward(self, layer, query, key, value, cache, metadata, output, **kwargs)
        if metadata is not None:
            Prompts(self, layer, metadata, cache.shape[-2]).fill(query, key, value, output)
        return answer

    builder.build, backend.forward, backend.porter_sees = built, forwarded, True


class Prompts:
    """The prompts of one step, in one layer."""

    def __init__(self, backend: Any, layer: Any, metadata: Any, block: int) -> None:
        self.backend = backend
        self.block = block
        self.metadata = metadata
        self.kept: dict[int, tuple[Any, Any]] = layer.__dict__.setdefault("porter_kept", {})
        self.spans: dict[int, Spans] = getattr(metadata, "porter_spans", {})

    def fill(self, query: Any, key: Any, value: Any, output: Any) -> None:
        """Writes the rows of every prompt whose new tokens are of an image."""
        starts = self.metadata.query_start_loc.tolist()
        lengths = self.metadata.seq_lens.tolist()
        slots = self.metadata.slot_mapping.tolist()
        self.kept.update((slot, (key[at].clone(), value[at].clone())) for at, slot in enumerate(slots[: len(key)]))
        for request, spans in self.spans.items():
            start, end, length = starts[request], starts[request + 1], lengths[request]
            before = length - (end - start)
            if any(last >= before and first < length for first, last in spans):
                keys, values = self.whole(request, length)
                made = attended(query[start:end], keys, values, spans, self.backend)
                output[start:end].copy_(made.reshape(output[start:end].shape))

    def whole(self, request: int, length: int) -> tuple[Any, Any]:
        """Keys and values of a prompt from its first token on, as its blocks say."""
        import torch

        table = self.metadata.block_table[request].tolist()
        pairs = [self.kept[table[at // self.block] * self.block + at % self.block] for at in range(length)]
        return torch.stack([key for key, _ in pairs]), torch.stack([value for _, value in pairs])


def attended(query: Any, key: Any, value: Any, spans: Spans, backend: Any) -> Any:
    """(tokens, heads, width): each token sees those before it, within its window, and all of its own image."""
    import torch

    places = torch.arange(len(key))
    own = places[len(key) - len(query) :]
    apart = own[:, None] - places[None, :]
    seen = (apart >= 0) & ((apart < backend.sliding_window) if backend.sliding_window > 0 else apart >= 0)
    for first, last in spans:
        inside = (own >= first) & (own <= last)
        seen |= inside[:, None] & ((places >= first) & (places <= last))[None, :]
    key, value = (item.repeat_interleave(query.shape[1] // item.shape[1], dim=1) for item in (key, value))
    scores = torch.einsum("qhd,khd->hqk", query, key) * backend.scale
    if backend.logits_soft_cap:
        scores = backend.logits_soft_cap * torch.tanh(scores / backend.logits_soft_cap)
    weights = torch.softmax(scores.masked_fill(~seen, -torch.inf), dim=-1)
    return torch.einsum("hqk,khd->qhd", weights, value)
