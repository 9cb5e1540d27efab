"""How other checkpoints call the same modules."""

from __future__ import annotations

from collections.abc import Callable

Rename = Callable[[str], str]


def chain(*moves: tuple[str, str]) -> Rename:
    """Literal replacements; a text with a leading ^ stands at the start of a name only."""

    def rename(name: str) -> str:
        for old, new in moves:
            if old.startswith("^"):
                name = new + name[len(old) - 1 :] if name.startswith(old[1:]) else name
            else:
                name = name.replace(old, new)
        return name

    return rename


RENAMINGS: dict[str, Rename] = {
    "identity": chain(),
    "model in front": chain(("^", "model.")),
    "deeper": chain(("^", "base_model.model.")),
    "language model unnamed": chain(("^language_model.", "")),
    "llm": chain(("^language_model.", "llm.")),
    "inner model dropped": chain(("^language_model.model.", "language_model.")),
    "model for all but the head": chain(("^language_model.model.", "model.language_model."), ("^language_model.", "")),
    "vit and connector": chain(
        ("^vision_model.", "model.vit."), ("^mlp1.", "model.connector."), ("^vision_tower.", "vit."),
    ),
    "blocks": chain(("encoder.layers.", "blocks."), ("patch_embedding", "patch_embed")),
    "attention words": chain(("attn.", "attention.")),
    "norm words": chain(("norm1", "ln_1"), ("norm2", "ln_2"), (".ls1", ".gamma_1"), (".ls2", ".gamma_2")),
    "projection words": chain(("out_proj", "proj_out"), ("attn.proj", "attn.dense"), ("o_proj", "wo")),
    "mlp words": chain(("mlp.fc1", "ffn.lin1"), ("mlp.fc2", "ffn.lin2"), ("gate_proj", "w1"), ("up_proj", "w3")),
    "connector by words": chain(
        ("^mlp1.0", "proj.norm"), ("^mlp1.1", "proj.fc1"), ("^mlp1.3", "proj.fc2"),
        ("^multi_modal_projector.linear_1", "proj.0"), ("^multi_modal_projector.linear_2", "proj.2"),
    ),
    "nested tower": chain(
        ("^vision_model.", "vision_tower.vision_model."), ("^vision_tower.vision_model.", "vision_tower."),
    ),
    "all at once": chain(
        ("^vision_model.", "eye."), ("^vision_tower.", "eye."), ("^language_model.model.", "brain.core."),
        ("^language_model.", "brain."), ("encoder.layers.", "blocks."), ("mlp.", "ff."), ("attn.qkv", "mha.in_proj"),
        ("attn.proj", "mha.out"), ("norm1", "pre_norm"), ("norm2", "post_norm"),
    ),
}  # fmt: skip
