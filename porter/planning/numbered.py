"""Placeholders with the number of the image in them, as code: `<image-1>`, and the text that numbers it again."""

from __future__ import annotations

import re
from dataclasses import dataclass

from porter.facts.tile_tags import NUMBER
from porter.planning import layout
from porter.planning.spec import PortSpec


@dataclass(frozen=True, slots=True)
class Numbered:
    """Expressions of the model file. `target` is the text that the features' tokens replace."""

    sign: str
    dummy: str
    pattern: str
    written: str
    target: str


def numbered(spec: PortSpec) -> Numbered | None:
    """None where every image has the same placeholder."""
    placeholder, label = spec.tokens.placeholder, spec.tokens.label
    if placeholder is None or label is None:
        return None
    tokens = {**spec.base.tokens, **spec.tokens.arguments}
    target = "".join(tokens[f"{name}_image_token"] for name in ("start", "ctx", "end"))
    before, _, after = placeholder.partition(NUMBER)
    pattern = layout.raw(f"{re.escape(before)}(\\d+){re.escape(after)}")
    written = label.replace("\\", "\\\\").replace(NUMBER, "\\g<1>") + target.replace("\\", "\\\\")
    return Numbered(_string(placeholder, "{i}"), _string(placeholder, "{i + 1}"), pattern, layout.raw(written), target)


def _string(placeholder: str, number: str) -> str:
    """An f-string of the placeholder."""
    braced = placeholder.replace("{", "{{").replace("}", "}}").replace("{{n}}", number)
    return f"f{layout.text(braced)}"
