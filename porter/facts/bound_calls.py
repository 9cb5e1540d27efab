"""Arguments of image functions inside methods: `normalize(x, self.config.mean, self.config.std)` says which values
those are only where `self` is known."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from porter.facts.callers import frame_inside, functions
from porter.facts.configs import Configs, Found
from porter.facts.pixels import call_constant
from porter.facts.syntax import called
from porter.facts.token_roles import about_images
from porter.facts.token_sources import like_token
from porter.source.codebase import snippet, where
from porter.source.interpreter import Frame, Stop
from porter.source.values import Src, plain
from porter.source.walking import nodes

NORMALIZES = ("normalize", "Normalize", "normalise")
RESIZES = ("resize", "Resize", "resized")
ASKS = ("split", "replace", "partition", "count", "find", "index")
MAX_CALLS = 40


def bound_constant(configs: Configs, role: str) -> Found | None:
    """mean or std of a Normalize call, with `self` bound."""
    for node, frame in _calls(configs, NORMALIZES):
        found = call_constant(configs.code, node, role, frame)
        if found is not None:
            return found
    return None


def resized_to(configs: Configs) -> Found | None:
    """The one size that the code makes images; None where it makes several or none that can be told."""
    found: list[Found] = []
    for node, frame in _calls(configs, RESIZES):
        for argument in [*node.args, *(word.value for word in node.keywords if word.arg == "size")]:
            if isinstance(argument, (ast.Tuple, ast.List)):
                value = configs.code.run.evaluate(argument, frame)
                sides = plain(value)
                if isinstance(sides, list) and len(sides) == 2 and all(type(side) is int for side in sides):
                    place = Src(frame.file, where(node), snippet(node))
                    size = sides[0] if sides[0] == sides[1] else sides
                    found.append(Found(size, (*value.src[:2], place), sure=False))
    return found[0] if found and all(item.value == found[0].value for item in found) else None


def asked_text(configs: Configs) -> Found | None:
    """The one image token at which code splits a prompt or for which it looks in one."""
    found: dict[str, Found] = {}
    for node, frame in _calls(configs, ASKS):
        value = configs.code.run.evaluate(node.args[0], frame) if node.args else None
        text = plain(value) if value is not None else None
        if isinstance(text, str) and _is_placeholder(text):
            found.setdefault(text, Found(text, (Src(frame.file, where(node), snippet(node)),), sure=False))
    return next(iter(found.values())) if len(found) == 1 else None


def _is_placeholder(text: str) -> bool:
    """A token of images in brackets; a pattern for numbered ones is no text of a prompt."""
    return len(text) < 100 and like_token(text) and about_images(text) and text[0] in "<[(" and "\\" not in text


def _calls(configs: Configs, names: tuple[str, ...]) -> Iterator[tuple[ast.Call, Frame]]:
    """Calls by name, each with what the function around it knows."""
    left = MAX_CALLS
    for function in functions(configs):
        calls = [node for node in nodes(function.node) if isinstance(node, ast.Call) and called(node) in names]
        if not calls or left <= 0:
            continue
        left -= len(calls)
        try:
            frame = frame_inside(configs, function)
            yield from ((call, frame) for call in calls)
        except (Stop, RecursionError):
            continue
