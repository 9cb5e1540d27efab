"""Every name of a port, derived once from its architecture."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass

from porter.errors import RepoError
from porter.jsontypes import JSONObject

SUFFIXES = ("ForConditionalGeneration", "ForCausalLM", "ForVisionText2Text", "ForImageTextToText", "ChatModel", "Model")
RESERVED_MODULES = frozenset({"vllm", "torch", "transformers", "test", "tests", "modeling", "configuration"})


@dataclass(frozen=True, slots=True)
class Names:
    """`stem` is the architecture without its task suffix; `module` a snake_case identifier; `dist` the distribution."""

    architecture: str
    stem: str
    module: str
    dist: str

    def cls(self, role: str) -> str:
        """The class of a role: `ProcessingInfo`, `Config`, `VisionConfig`, ..."""
        return f"{self.stem}{role}"

    def to_json(self) -> JSONObject:
        return {"architecture": self.architecture, "stem": self.stem, "module": self.module, "dist": self.dist}


def names_for(architecture: str) -> Names:
    """Names of a port of this architecture. Raises RepoError when it is no Python identifier."""
    if not is_name(architecture):
        raise RepoError(
            f"architectures[0] is {architecture!r}, which cannot name a Python class",
            hint="config.json must give the name of the model's class",
        )
    stem = next(
        (architecture[: -len(s)] for s in SUFFIXES if architecture.endswith(s) and len(s) < len(architecture)),
        architecture,
    )
    stem = stem.strip("_") or architecture
    stem = stem if is_name(stem) else architecture
    module = snake_case(stem)
    if module in RESERVED_MODULES or keyword.iskeyword(module) or not module.isidentifier():
        module = f"{module}_port" if f"{module}_port".isidentifier() else f"port_{module}"
    return Names(architecture, stem, module, f"{module.strip('_').replace('_', '-')}-vllm")


def snake_case(name: str) -> str:
    """`SkylarkVLForX` -> `skylark_vl_for_x`; runs of capitals and digits stay together."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"_+", "_", spaced).strip("_").lower()


def is_name(text: object) -> bool:
    """An ASCII identifier that is no keyword: safe to stand in code as it is."""
    return isinstance(text, str) and text.isascii() and text.isidentifier() and not keyword.iskeyword(text)
