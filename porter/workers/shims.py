"""What older remote code needs to run under the installed transformers. Every shim that acts says so in `used`.

Shims change the reference's process only; vLLM never runs in it.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")
REMOTE = "transformers_modules"
MAX_STUBS = 12


class StubModule(types.ModuleType):
    """A module whose every attribute is a class that nothing can be built from."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        message = f"{self.__name__}.{name} is a stand-in: the package is not installed"

        def refuse(*_: Any, **__: Any) -> Any:
            raise RuntimeError(message)

        return type(name, (), {"__init__": refuse, "__module__": self.__name__})


class StubFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers imports of the packages in `names`."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname.partition(".")[0] not in self.names:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: Any) -> StubModule:
        module = StubModule(spec.name)
        module.__path__ = []
        return module

    def exec_module(self, module: Any) -> None:
        return None


def with_stubs(load: Callable[[], Result], used: list[str]) -> Result:
    """Run `load`; each package that it cannot import is replaced by a stand-in, one after the other.

    Packages that the code imports inside try/except stay missing, as they would be.
    """
    finder = StubFinder()
    sys.meta_path.append(finder)
    for _ in range(MAX_STUBS):
        try:
            return load()
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if not package or package in finder.names or package in sys.modules or package == REMOTE:
                raise
            finder.names.add(package)
            used.append(f"stand-in for the missing package {package}")
            for name in [name for name in sys.modules if name.partition(".")[0] == REMOTE]:
                del sys.modules[name]
    return load()


def skip_import_check() -> None:
    """transformers checks for packages before importing the code; the stand-ins are found on import only."""
    import transformers.dynamic_module_utils as dynamic

    dynamic.check_imports = dynamic.get_relative_imports


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
        for name in ("attn_implementation", "_attn_implementation"):
            if str(getattr(part, name, None) or "eager") not in ("eager", "sdpa"):
                setattr(part, name, "eager")
        if getattr(part, "use_flash_attn", False):
            part.use_flash_attn = False


def _old_rope(part: Any, used: list[str]) -> None:
    rope = getattr(part, "rope_parameters", None)
    if isinstance(rope, dict) and getattr(part, "rope_theta", None) is None and "rope_theta" in rope:
        part.rope_theta = rope["rope_theta"]
        used.append(f"{type(part).__name__}.rope_theta restored")
    scaling = getattr(part, "rope_scaling", None)
    if not type(part).__module__.startswith(REMOTE) or not isinstance(scaling, dict):
        return
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind == "default":
        part.rope_scaling = None
        used.append(f"{type(part).__name__}.rope_scaling of type default removed")
    elif "type" not in scaling:
        part.rope_scaling = {**scaling, "type": kind}
        used.append(f"{type(part).__name__}.rope_scaling: key `type` restored")


def config_parts(config: Any) -> list[Any]:
    from transformers import PretrainedConfig

    return [config, *(value for value in vars(config).values() if isinstance(value, PretrainedConfig))]
