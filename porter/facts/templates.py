"""What a chat template puts where an image stands. Templates are parsed, never rendered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from porter.facts.model import Evidence
from porter.facts.token_roles import role_of
from porter.hub.snapshot import Snapshot
from porter.jsontypes import objects

if TYPE_CHECKING:
    from jinja2 import nodes

FILES = ("chat_template.json", "processor_config.json", "tokenizer_config.json")
IMAGE_TYPES = ("image", "image_url")
MAX_TEMPLATE, MAX_TEMPLATES = 200_000, 8


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`text` is what a template writes for one image, with `{}` where it writes a number, `after` the white space that
    it writes behind it; `note` says what was read instead of the first template."""

    text: str
    source: Evidence
    numbered: bool = False
    note: str = ""
    after: str = ""


def chat_templates(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """(file, template text), in the order in which a processor looks for them: its own, then the tokenizer's; the
    default of named ones first."""
    if "chat_template.jinja" in snapshot.text:
        yield "chat_template.jinja", snapshot.text["chat_template.jinja"]
    for file in FILES:
        found = snapshot.json.get(file, {}).get("chat_template")
        if isinstance(found, str):
            yield file, found
        named = objects(found)
        pairs = list(found.items()) if isinstance(found, dict) else [(i.get("name"), i.get("template")) for i in named]
        for _, text in sorted(pairs, key=lambda pair: (pair[0] != "default", str(pair[0]))):
            if isinstance(text, str):
                yield file, text
    for name in sorted(snapshot.text):
        if name.startswith("additional_chat_templates/"):
            yield name, snapshot.text[name]


def template_placeholder(snapshot: Snapshot, image_token: str | None = None) -> Placeholder | None:
    """The text that the first template with a place for images writes there. `image_token` is what a variable of
    such a name stands for."""
    silent = ""
    for number, (file, text) in enumerate(chat_templates(snapshot)):
        if number >= MAX_TEMPLATES:
            return None
        found = _placeholder(file, text, image_token) if len(text) <= MAX_TEMPLATE else None
        if found is not None:
            note = f"{silent} has no place for images" if silent and silent != file else ""
            return replace(found, note=note)
        silent = silent or file
    return None


def _placeholder(file: str, text: str, image_token: str | None) -> Placeholder | None:
    from jinja2 import Environment, TemplateSyntaxError

    try:
        tree = Environment(extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do"]).parse(text)
        for test, body in _branches(tree):
            written = _written(body, image_token) if _asks_for_images(test) else None
            if written is not None and written.strip(" \n{}"):
                shown, after = written.strip(), written[len(written.rstrip()) :]
                source = Evidence(file, f"line {test.lineno}", shown[:80])
                return Placeholder(shown, source, "{}" in shown, after=after)
    except (TemplateSyntaxError, RecursionError):
        return None
    return None


def _branches(tree: nodes.Template) -> Iterator[tuple[nodes.Node, Sequence[nodes.Node]]]:
    """(what is asked, what is done then) of every `if` and of every loop over chosen content."""
    from jinja2 import nodes

    for branch in tree.find_all(nodes.If):
        yield branch.test, branch.body
    for loop in tree.find_all(nodes.For):
        yield loop.iter, loop.body


def _asks_for_images(test: nodes.Node) -> bool:
    from jinja2 import nodes

    inside = [test, *test.find_all(nodes.Const)]
    return any(isinstance(item, nodes.Const) and item.value in IMAGE_TYPES for item in inside)


def _written(body: Sequence[nodes.Node], image_token: str | None) -> str | None:
    """The text of a branch, `{}` for a number; None when something else that is computed stands in it. What stands
    under a further condition (a time stamp, an image number that was asked for) is left out."""
    from jinja2 import nodes

    parts: list[str | None] = []
    for node in body:
        if isinstance(node, nodes.Output):
            parts.extend(_text(item, image_token) for item in node.nodes)
    if not parts:
        inner = [node for node in body if isinstance(node, (nodes.If, nodes.For))]
        return _written(inner[0].body, image_token) if inner else None
    known = [part for part in parts if part is not None]
    return "".join(known) if len(known) == len(parts) else None


def _text(node: nodes.Node, image_token: str | None) -> str | None:
    """What one expression writes; `{}` for a counter, None for anything else that is computed."""
    from jinja2 import nodes

    if isinstance(node, nodes.TemplateData):
        return node.data
    if isinstance(node, nodes.Const):
        return str(node.value) if isinstance(node.value, (str, int)) else None
    if isinstance(node, (nodes.Add, nodes.Concat)):
        inner = [node.left, node.right] if isinstance(node, nodes.Add) else node.nodes
        parts = [_text(item, image_token) for item in inner]
        return "".join(part or "" for part in parts) if None not in parts else None
    if isinstance(node, nodes.Name) and role_of(node.name) in (("context", "token"), ("placeholder", "token")):
        return image_token
    if isinstance(node, nodes.Filter) and node.node is not None:
        return _text(node.node, image_token)
    names = [name.attr for name in [node, *node.find_all(nodes.Getattr)] if isinstance(name, nodes.Getattr)]
    names += [name.name for name in [node, *node.find_all(nodes.Name)] if isinstance(name, nodes.Name)]
    return "{}" if any(word in name for name in names for word in ("count", "index", "idx", "num", "value")) else None
