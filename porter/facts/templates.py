"""What a chat template puts where an image stands, and image tokens recognised by name. Templates are parsed,
never rendered."""

from __future__ import annotations

from collections.abc import Sequence

from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.vocabulary import Vocabulary
from porter.hub.snapshot import Snapshot

NAMES: dict[str, tuple[str, ...]] = {
    "image_context_token": (
        "<IMG_CONTEXT>",
        "<|image_pad|>",
        "<image_pad>",
        "<|image|>",
        "<image>",
        "<im_patch>",
        "<|image_token|>",
    ),
    "image_start_token": ("<img>", "<|vision_start|>", "<im_start>", "<|image_start|>", "<image_start>"),
    "image_end_token": ("</img>", "<|vision_end|>", "<im_end>", "<|image_end|>", "<image_end>", "</image>"),
}


def named_token(name: str, vocabulary: Vocabulary) -> Fact:
    """A token by the field's usual names, a guess; unknown when none of them is there."""
    for token in NAMES[name]:
        if token in vocabulary.ids:
            return Fact(name, token, Confidence.GUESS, tuple(vocabulary.sources[token][:2]), note="by its name")
    return Fact(name, None, Confidence.UNKNOWN)


def chat_template(snapshot: Snapshot) -> tuple[str, str] | None:
    """(file, template text) of the repo's chat template."""
    if "chat_template.jinja" in snapshot.text:
        return "chat_template.jinja", snapshot.text["chat_template.jinja"]
    for file in ("chat_template.json", "processor_config.json", "tokenizer_config.json"):
        found = snapshot.json.get(file, {}).get("chat_template")
        if isinstance(found, str):
            return file, found
        if (
            isinstance(found, list)
            and found
            and isinstance(found[0], dict)
            and isinstance(found[0].get("template"), str)
        ):
            return file, str(found[0]["template"])
    return None


def template_placeholder(snapshot: Snapshot) -> tuple[str, Evidence] | None:
    """The text that the template writes for content of type image."""
    found = chat_template(snapshot)
    if found is None or len(found[1]) > 200_000:
        return None
    from jinja2 import Environment, TemplateSyntaxError, nodes

    try:
        tree = Environment(extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do"]).parse(found[1])
    except (TemplateSyntaxError, RecursionError):
        return None
    for branch in tree.find_all(nodes.If):
        tests_image = any(
            isinstance(c.value, str) and c.value in ("image", "image_url") for c in branch.test.find_all(nodes.Const)
        )
        if not tests_image:
            continue
        text = _written(branch.body)
        if text is not None and text.strip():
            return text.strip(), Evidence(found[0], f"line {branch.lineno}", text.strip()[:80])
    return None


def _written(body: Sequence[object]) -> str | None:
    """The literal text of a branch; None when something computed (an image number) stands in it."""
    from jinja2 import nodes

    parts: list[str] = []
    for node in body:
        if not isinstance(node, nodes.Node):
            continue
        for output in [node] if isinstance(node, nodes.Output) else node.find_all(nodes.Output):
            for item in output.nodes:
                if isinstance(item, nodes.TemplateData):
                    parts.append(item.data)
                elif isinstance(item, nodes.Const) and isinstance(item.value, str):
                    parts.append(item.value)
                else:
                    return None
    return "".join(parts)
