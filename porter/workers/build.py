"""Building an architecture on the meta device: full size, the real config, no GPU and no real memory.

Runs only in a worker. `build` is shared by the jobs `parameters` and `join`.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from porter_worker.said import place_of


@dataclass(frozen=True)
class Built:
    """A module tree on the meta device; `config` is vLLM's own, `synthetic` when its class was made here.

    `unquantized`: the checkpoint's quantisation method, when this vLLM lacks it and plain weights were built instead.
    """

    model: Any
    config: Any
    synthetic: bool
    unquantized: str | None = None

    def about(self) -> dict[str, Any]:
        from importlib.metadata import version

        import torch
        import vllm

        return {
            "architecture": type(self.model).__name__,
            "synthetic_config": self.synthetic,
            "unquantized": self.unquantized,
            "quantization": self.unquantized or self.config.model_config.quantization,
            "versions": {"vllm": vllm.__version__, "torch": torch.__version__, "transformers": version("transformers")},
        }


def build(payload: dict[str, Any]) -> Built:
    """`payload`: model (folder with config.json), trust_remote_code, dtype, optional hf_overrides."""
    from porter_worker.standins import ask_no_processor, give_any_tokenizer, without_unknown_quantization

    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    folder = Path(payload["model"])
    trust = bool(payload.get("trust_remote_code"))
    _prefer_cpu()
    inspect_in_process()
    from vllm.plugins import load_general_plugins

    load_general_plugins()
    ask_no_processor()
    give_any_tokenizer()
    unknown = without_unknown_quantization(folder)
    synthetic = not trust and make_config_known(folder)
    config = _engine_config(folder, trust, payload)
    return Built(module(config), config, synthetic, unknown)


def inspect_in_process() -> None:
    """vLLM looks at a model class in a child so that it may fork with CUDA later; a worker does not fork."""
    from vllm.model_executor.models import registry

    if hasattr(registry, "_run_in_subprocess"):
        registry._run_in_subprocess = lambda function: function()


def _prefer_cpu() -> None:
    """A vLLM built for an accelerator that this machine lacks knows no device at all; names and shapes need none."""
    import vllm.platforms

    if not vllm.platforms.current_platform.device_type:
        from vllm.platforms.cpu import CpuPlatform

        vllm.platforms._current_platform = CpuPlatform()


def make_config_known(folder: Path) -> bool:
    """Registers a config class made from the JSON when nobody else knows the model type. True when it did."""
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from vllm.transformers_utils import config as vllm_config

    raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model_type = raw.get("model_type") or "porter_unnamed"
    if model_type in CONFIG_MAPPING or model_type in getattr(vllm_config, "_CONFIG_REGISTRY", {}):
        return False
    AutoConfig.register(model_type, synthetic_config_class(model_type))
    return True


def synthetic_config_class(model_type: str) -> Any:
    """A config class that holds what the JSON says and nothing else; nested dicts become configs of their own."""
    base = _config_base()

    class SyntheticConfig(base):  # type: ignore[valid-type, misc]
        has_no_defaults_at_init = True

        def __init__(self, **values: Any) -> None:
            nested = {key: _nested(key, value) for key, value in values.items()}
            super().__init__(**nested)

    SyntheticConfig.model_type = model_type
    return SyntheticConfig


def _config_base() -> Any:
    import transformers

    return getattr(transformers, "PreTrainedConfig", None) or transformers.PretrainedConfig


def _nested(key: str, value: Any) -> Any:
    if (
        not isinstance(value, dict)
        or not key.endswith("_config")
        or key in ("quantization_config", "generation_config")
    ):
        return value
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    model_type = value.get("model_type")
    if model_type in CONFIG_MAPPING:
        return CONFIG_MAPPING[model_type](**value)
    return synthetic_config_class(model_type or "")(**value)


def _engine_config(folder: Path, trust: bool, payload: dict[str, Any]) -> Any:
    from vllm.engine.arg_utils import EngineArgs

    overrides = payload.get("hf_overrides")
    arguments = EngineArgs(
        model=str(folder),
        dtype=payload.get("dtype") or "auto",
        load_format="dummy",
        enforce_eager=True,
        skip_tokenizer_init=True,
        trust_remote_code=trust,
        **({"hf_overrides": overrides} if overrides else {}),
    )
    return arguments.create_engine_config()


def _asked_for(config: Any) -> str:
    architectures = getattr(config.model_config.hf_config, "architectures", None) or ["the model"]
    return str(architectures[0])


def module(config: Any, device: str = "meta") -> Any:
    """The module tree of vLLM's config `config`, its weights not set, in a world of one process."""
    import torch
    from vllm.config import set_current_vllm_config
    from vllm.distributed import init_distributed_environment, initialize_model_parallel
    from vllm.model_executor.model_loader.utils import initialize_model

    rendezvous = Path(tempfile.mkdtemp()) / "rendezvous"
    with set_current_vllm_config(config):
        init_distributed_environment(1, 0, f"file://{rendezvous}", 0, "gloo")
        initialize_model_parallel(1, 1)
        default = torch.get_default_dtype()
        torch.set_default_dtype(config.model_config.dtype)
        try:
            with torch.device(device):
                return initialize_model(config)
        except Exception as error:
            place = f" ({found})" if (found := place_of(error, "/models/")) else ""
            raise RuntimeError(
                f"vLLM cannot build {_asked_for(config)}: {type(error).__name__}: {error}{place}"
            ) from error
        finally:
            torch.set_default_dtype(default)
