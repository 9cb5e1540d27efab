"""What a tree is told about a new model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from porter.jsontypes import JSON


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """A config class that the port brings; `module` is its file in transformers_utils/configs, without `.py`."""

    model_type: str
    class_name: str
    module: str


@dataclass(frozen=True, slots=True)
class SiteEntry:
    """`module` and `class_name` are the model file's; `title` and `inputs` are cells of the docs row.

    `example` are further fields of the tests registry's entry (`max_model_len`, ...); what the tree lacks is left out.
    `config_attrs` are keys that every config gets renamed, and are rarely right: they are generic.
    """

    architecture: str
    module: str
    class_name: str
    repo_id: str
    title: str
    inputs: str = "T + I<sup>+</sup>"
    trust_remote_code: bool = False
    example: Mapping[str, JSON] = field(default_factory=dict)
    config: ConfigEntry | None = None
    config_attrs: Mapping[str, str] = field(default_factory=dict)
