"""The text that code writes before each image of a prompt whose images are numbered: `<image 1><img>...</img>`."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from porter.facts.callers import value_inside
from porter.facts.code import methods
from porter.facts.configs import Configs
from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.syntax import called
from porter.facts.tile_tags import NUMBER
from porter.facts.token_roles import role_of
from porter.jsontypes import JSON
from porter.source.codebase import snippet, where
from porter.source.interpreter import Stop
from porter.source.values import Function, Instance, Src
from porter.source.walking import nodes

Around = tuple[JSON, JSON, JSON]
"""The tokens before, in place of and after an image."""
OTHERS = ("video", "audio", "frame")


@dataclass(frozen=True, slots=True)
class Label:
    """`text` holds NUMBER, which counts images from 1; "" where nothing stands before the image's own tokens."""

    text: str
    source: Src


def image_label(configs: Configs, processors: Sequence[Instance], around: Around) -> Label | None:
    """The one label that the processors' f-strings put before an image; None when none or several were read."""
    found: dict[str, Src] = {}
    for function in _methods(configs, processors):
        for node in nodes(function.node):
            if isinstance(node, ast.JoinedStr) and not _of_others(function.node, node):
                text = _label(configs, function, node, around)
                if text is not None:
                    found.setdefault(text, Src(function.file, where(node), snippet(node)))
    return Label(*next(iter(found.items()))) if len(found) == 1 else None


def labelled(separators: Fact, label: Label) -> Fact:
    """The separators with the label among them; they stay unknown where nothing else tells and there is no label."""
    if not label.text:
        return separators
    row: JSON = {"token": label.text, "id": None, "role": "label"}
    rows = separators.value if isinstance(separators.value, list) else []
    place = Evidence(label.source.file, label.source.where, label.source.text)
    known = separators.confidence is not Confidence.UNKNOWN
    sure = separators.confidence if known else Confidence.LIKELY
    return replace(separators, value=[row, *rows], confidence=sure, evidence=(place, *separators.evidence), note="")


def _methods(configs: Configs, processors: Sequence[Instance]) -> Iterator[Function]:
    for processor in processors:
        for owner, node in methods(configs.code.run, processor):
            yield Function(owner.file, node, processor, owner)


def _of_others(function: ast.AST, wanted: ast.JoinedStr) -> bool:
    """Whether it stands where the code asks for something else than an image."""
    for node in nodes(function):
        if isinstance(node, ast.If) and any(wanted is inner for part in node.body for inner in nodes(part)):
            words = [item.value for item in nodes(node.test) if isinstance(item, ast.Constant)]
            if any(isinstance(word, str) and any(other in word for other in OTHERS) for word in words):
                return True
    return False


def _label(configs: Configs, function: Function, node: ast.JoinedStr, around: Around) -> str | None:
    """What stands before start, repeated context tokens and end; None for any other f-string."""
    start, context, end = around
    parts = list(node.values)
    texts = [_text(configs, function, part) for part in parts]
    place = next((index for index, text in enumerate(texts) if text == start), None)
    if place is None or len(parts) != place + 3 or texts[-1] != end:
        return None
    if not any(_is_context(configs, function, factor, context) for factor in _factors(parts[place + 1])):
        return None
    before = [NUMBER if _counts(function.node, part) else text for part, text in zip(parts, texts, strict=True)]
    words = [text for text in before[:place] if isinstance(text, str)]
    found = "".join(words)
    return found if len(words) == place and found.count(NUMBER) == (1 if found else 0) else None


def _is_context(configs: Configs, function: Function, factor: ast.expr, context: JSON) -> bool:
    """The context token, or an attribute of its name that is left to the tokenizer."""
    value = _value(configs, function, factor)
    named = isinstance(factor, ast.Attribute) and role_of(factor.attr) == ("context", "token")
    return value == context if value is not None else named


def _text(configs: Configs, function: Function, part: ast.expr) -> str | None:
    if isinstance(part, ast.Constant):
        return str(part.value)
    plain = isinstance(part, ast.FormattedValue) and part.format_spec is None
    return _value(configs, function, part.value) if plain and isinstance(part, ast.FormattedValue) else None


def _value(configs: Configs, function: Function, node: ast.expr) -> str | None:
    try:
        value = value_inside(configs, function, node).value
    except (Stop, RecursionError):
        return None
    return value if isinstance(value, str) else None


def _factors(part: ast.expr) -> Iterator[ast.expr]:
    node = part.value if isinstance(part, ast.FormattedValue) else part
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        yield from _factors(node.left)
        yield from _factors(node.right)
    else:
        yield node


def _counts(function: ast.AST, part: ast.expr) -> bool:
    """`{index + 1}` of an index that the code makes from 0: `enumerate`, or the prompt's own number less 1."""
    node = part.value if isinstance(part, ast.FormattedValue) else None
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add) or not _is_one(node.right):
        return False
    name = node.left.id if isinstance(node.left, ast.Name) else ""
    return any(_from_zero(item, name) for item in nodes(function))


def _from_zero(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
        less = node.value
        number = isinstance(less, ast.BinOp) and isinstance(less.op, ast.Sub) and _is_one(less.right)
        return number and isinstance(less, ast.BinOp) and called(less.left) == "int"
    if isinstance(node, ast.For) and called(node.iter) == "enumerate" and isinstance(node.target, ast.Tuple):
        first = node.target.elts[0]
        return isinstance(first, ast.Name) and first.id == name and len(getattr(node.iter, "args", ())) == 1
    return False


def _is_one(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 1
