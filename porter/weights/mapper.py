"""The weight mapper as a value of its own, before it is lowered to the fields that a tree's WeightsMapper has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from porter.jsontypes import JSONObject


@dataclass(frozen=True, slots=True)
class NameRules:
    """Renames in vLLM's own order of application: regex, substr, prefix, suffix; a value of None drops the tensor.

    Semantics are WeightsMapper's: each rule sees the result of the one before, only the first occurrence is replaced
    (a regex replaces every match). A regex is the last resort, where no literal text can tell two places apart.
    """

    substr: Mapping[str, str | None] = field(default_factory=dict)
    prefix: Mapping[str, str | None] = field(default_factory=dict)
    suffix: Mapping[str, str | None] = field(default_factory=dict)
    regex: Mapping[str, str | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.substr or self.prefix or self.suffix or self.regex)

    def apply(self, name: str) -> str | None:
        """The target name of a checkpoint tensor, None when it is dropped on purpose."""
        for pattern, new in self.regex.items():
            if re.search(pattern, name):
                if new is None:
                    return None
                name = re.sub(pattern, new, name)
        for old, new in self.substr.items():
            if old in name:
                if new is None:
                    return None
                name = name.replace(old, new, 1)
        for old, new in self.prefix.items():
            if name.startswith(old):
                if new is None:
                    return None
                name = new + name[len(old) :]
        for old, new in self.suffix.items():
            if name.endswith(old):
                if new is None:
                    return None
                name = name[: -len(old)] + new
        return name

    def to_json(self) -> JSONObject:
        return {
            "substr": dict(self.substr),
            "prefix": dict(self.prefix),
            "suffix": dict(self.suffix),
            "regex": dict(self.regex),
        }
