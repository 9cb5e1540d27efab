"""The RADIO of transformers as a tower: what its config class leaves to defaults, and what the class does unseen.

It normalises pixels by two stored buffers, puts learnt rows before the patches, and fits a table of positions to the
image: none of it stands in the repo's code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from porter.hub.snapshot import Snapshot
from porter.jsontypes import JSON, JSONObject
from porter.source.layers import NORMS_OF_PIXELS
from porter.source.values import Layer, LibraryConfig, Val, plain

if TYPE_CHECKING:
    from porter.facts.towers import TowerReading

DEFAULTS: Mapping[str, JSON] = {
    "hidden_size": 1280,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "mlp_ratio": 4.0,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "use_swiglu_ffn": False,
    "qkv_bias": True,
    "layerscale_value": 1.0,
    "patch_size": 16,
    "max_img_size": 2048,
    "num_cls_tokens": 3,
    "num_registers": 7,
    "video_temporal_patch_size": None,
}
"""Of `RadioConfig`."""
MODEL_TYPE, CLASS = "radio", "RadioModel"
SCALE = "layer_scale1.lambda1"
OTHERS = ("summary_idxs",)


def is_radio(module: object, config: Val | None) -> bool:
    """Whether a module is transformers' RADIO, named or built from its config; another repo's code is not."""
    inner = config.value if config is not None else None
    if not isinstance(module, Layer) or not isinstance(inner, LibraryConfig):
        return False
    if module.cls.name == CLASS:
        return True
    auto = module.cls.name in ("from_config", "_from_config") or module.cls.name == "AutoModel"
    stated = plain(inner.values["model_type"]) if "model_type" in inner.values else None
    return auto and stated == MODEL_TYPE and "auto_map" not in inner.values


def settings_of(config: Val | None) -> dict[str, JSON]:
    """Every setting that the class reads, its default where the config says nothing."""
    inner = config.value if config is not None else None
    values = inner.values if isinstance(inner, LibraryConfig) else {}
    return {name: plain(values[name]) if name in values else default for name, default in DEFAULTS.items()}


def rows_of(settings: Mapping[str, JSON]) -> int:
    """Learnt rows before the patches."""
    counts = [settings[name] for name in ("num_cls_tokens", "num_registers")]
    return sum(count for count in counts if isinstance(count, int))


def stored_buffers(snapshot: Snapshot, tower: TowerReading) -> list[JSONObject]:
    """The buffers of the class as the fact `buffers` has them, whichever names the checkpoint was saved under."""
    module = tower.attr
    config = tower.config.value if tower.config is not None else None
    values = config.values if isinstance(config, LibraryConfig) else {}
    found: list[JSONObject] = []
    for name in NORMS_OF_PIXELS:
        numbers = plain(values[name]) if name in values else None
        place = _stored(snapshot, module, f"input_conditioner.{name}")
        found.append(
            {"name": place, "attr": name, "shape": [3, 1, 1], "persistent": True, "target": name, "used": True,
             "values": numbers if isinstance(numbers, list) else None}
        )  # fmt: skip
    unused: JSONObject = {"shape": None, "persistent": True, "target": None, "used": False, "values": None}
    return [*found, *({"name": _stored(snapshot, module, name), "attr": name, **unused} for name in OTHERS)]


def _stored(snapshot: Snapshot, module: str, name: str) -> str:
    ends = (tensor.name for tensor in snapshot.tensors.tensors if tensor.name.endswith(f".{name}"))
    return next((found for found in ends if f".{module}." in f".{found}"), f"{module}.{name}")


def is_scaled(snapshot: Snapshot) -> bool:
    """Whether the checkpoint stores the vectors that scale each branch; real ones do not."""
    return any(tensor.name.endswith(SCALE) for tensor in snapshot.tensors.tensors)
