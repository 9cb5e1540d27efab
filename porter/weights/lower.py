"""Name rules as source text of a `WeightsMapper(...)`, in the fields that a tree's class has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from porter.errors import TreeError
from porter.weights.mapper import NameRules

FIELDS: Mapping[str, str] = {
    "regex": "orig_to_new_regex",
    "substr": "orig_to_new_substr",
    "prefix": "orig_to_new_prefix",
    "suffix": "orig_to_new_suffix",
}


def lower(rules: NameRules, fields: Sequence[str], *, indent: int = 4, base: str | None = None) -> str:
    """The expression, ruff-formatted, at `indent` columns. `base` is a mapper to extend (`Parent.hf_to_vllm_mapper`).

    Raises TreeError, with the field's name, when the tree's WeightsMapper lacks one that the rules need.
    """
    needed = [kind for kind in FIELDS if getattr(rules, kind)]
    lacking = [FIELDS[kind] for kind in needed if FIELDS[kind] not in fields]
    if lacking:
        raise TreeError(f"this tree's WeightsMapper has no {', '.join(lacking)}, which the weight names need")
    if not needed:
        return base or "WeightsMapper()"
    pad = " " * indent
    lines = [f"{base} | WeightsMapper(" if base else "WeightsMapper("]
    for kind in needed:
        lines.append(f"{pad}    {FIELDS[kind]}={{")
        lines += [f"{pad}        {_entry(kind, old, new)}," for old, new in getattr(rules, kind).items()]
        lines.append(f"{pad}    }},")
    return "\n".join([*lines, f"{pad})"])


def needs_re(rules: NameRules) -> bool:
    """Whether the lowered text uses the module `re`."""
    return bool(rules.regex)


def _entry(kind: str, old: str, new: str | None) -> str:
    if kind == "regex":
        return f"re.compile({_literal(old)}): {_literal(new)}"
    return f"{_literal(old)}: {_literal(new)}"


def _literal(text: str | None) -> str:
    if text is None:
        return "None"
    if '"' in text:
        return repr(text)
    if "\\" in text and not text.endswith("\\") and text.isprintable():
        return f'r"{text}"'
    return '"' + repr(text)[1:-1].replace("\\'", "'") + '"'
