"""What older remote code needs to run under the installed transformers. Every shim that acts says so in `used`.

Shims change the reference's process only; vLLM never runs in it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from porter_worker.standin_packages import REMOTE, skip_import_check, with_stubs

__all__ = ["patch_classes", "patch_config", "retie", "skip_import_check", "with_stubs"]


def patch_classes(used: list[str]) -> None:
    """Apply the class shims to every model class of the repo's code that is loaded."""
    from transformers import PreTrainedModel

    waiting: list[Any] = [PreTrainedModel]
    while waiting:
        cls = waiting.pop()
        waiting.extend(cls.__subclasses__())
        if cls.__module__.startswith(REMOTE):
            _tied_keys(cls, used)
            _tolerant_attention(cls, used)


def _tied_keys(cls: Any, used: list[str]) -> None:
    """`_tied_weights_keys` used to be a list; now it maps output to input. `retie` ties afterwards."""
    if isinstance(cls.__dict__.get("_tied_weights_keys"), (list, tuple)):
        cls._tied_weights_keys = None
        used.append(f"{cls.__name__}._tied_weights_keys is a list")


def _tolerant_attention(cls: Any, used: list[str]) -> None:
    name = "_check_and_adjust_attn_implementation"
    override = cls.__dict__.get(name)
    if override is None:
        return

    def tolerant(self: Any, attn_implementation: Any, is_init_check: bool = False, **kwargs: Any) -> Any:
        try:
            return override(self, attn_implementation, is_init_check)
        except (TypeError, ImportError, ValueError):
            used.append(f"{cls.__name__}.{name} refused; eager attention instead")
            return "eager"

    setattr(cls, name, tolerant)


def retie(model: Any, used: list[str]) -> None:
    """Tie the heads of modules whose config asks for it and whose class could not say how."""
    from transformers import PreTrainedModel

    for module in model.modules():
        if not isinstance(module, PreTrainedModel) or not getattr(module.config, "tie_word_embeddings", False):
            continue
        head, embedding = _ends(module)
        if head is None or embedding is None or head.weight is embedding.weight:
            continue
        if head.weight.shape == embedding.weight.shape:
            head.weight = embedding.weight
            used.append(f"{type(module).__name__}: head tied to the embedding by hand")


def _ends(module: Any) -> tuple[Any, Any]:
    try:
        head, embedding = module.get_output_embeddings(), module.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None, None
    return (head, embedding) if hasattr(head, "weight") and hasattr(embedding, "weight") else (None, None)


def patch_config(config: Any, used: list[str]) -> None:
    """Give each (sub-)config the spellings that older code reads, and eager attention."""
    for part in config_parts(config):
        _old_rope(part, used)
        _padding(part, used)
        for name in ("attn_implementation", "_attn_implementation"):
            if str(getattr(part, name, None) or "eager") not in ("eager", "sdpa"):
                setattr(part, name, "eager")
        if getattr(part, "use_flash_attn", False):
            part.use_flash_attn = False


def _padding(part: Any, used: list[str]) -> None:
    """A padding token that only the config class knows may lie beyond the tiny vocabulary; nothing here is padded."""
    token, rows = getattr(part, "pad_token_id", None), getattr(part, "vocab_size", None)
    if isinstance(token, int) and isinstance(rows, int) and token >= rows:
        part.pad_token_id = None
        used.append(f"{type(part).__name__}.pad_token_id {token} removed: the vocabulary has {rows} rows")


def _old_rope(part: Any, used: list[str]) -> None:
    rope = getattr(part, "rope_parameters", None)
    if isinstance(rope, dict) and getattr(part, "rope_theta", None) is None and "rope_theta" in rope:
        part.rope_theta = rope["rope_theta"]
        used.append(f"{type(part).__name__}.rope_theta restored")
    scaling = getattr(part, "rope_scaling", None)
    if not type(part).__module__.startswith(REMOTE) or not isinstance(scaling, dict) or _knows_new_rope():
        return
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind == "default":
        part.rope_scaling = None
        used.append(f"{type(part).__name__}.rope_scaling of type default removed")
    elif "type" not in scaling:
        part.rope_scaling = {**scaling, "type": kind}
        used.append(f"{type(part).__name__}.rope_scaling: key `type` restored")


def _knows_new_rope() -> bool:
    """Whether the repo's code reads `rope_parameters`: what is older to it, an alias of that, must stay as it is."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith(REMOTE)]
    files = [Path(str(module.__file__)) for module in modules if getattr(module, "__file__", None)]
    return any(b".rope_parameters" in file.read_bytes() for file in files if file.suffix == ".py")


def config_parts(config: Any) -> list[Any]:
    from transformers import PretrainedConfig

    return [config, *(value for value in vars(config).values() if isinstance(value, PretrainedConfig))]
