"""Whether a repo has the shape tower, connector, language model, scatter, and where each part would come from."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from porter.facts.model import Confidence, Evidence
from porter.families.base import Blocker, ReadingLike
from porter.families.internvl.configs import TEXT_SECTIONS
from porter.families.view import View
from porter.jsontypes import JSONObject, items
from porter.source.codebase import snippet
from porter.source.layers import ACTIVATIONS
from porter.vllm_tree.classes import find_class
from porter.vllm_tree.registry import architectures

Origin = Literal["native", "own", "lifted"]
MODELS = "model_executor/models"
TOWERS = {
    "intern_vit": ("intern_vit", "InternVisionModel"),
    "siglip": ("siglip", "SiglipVisionModel"),
    "siglip2": ("siglip2navit", "Siglip2NavitModel"),
    "clip": ("clip", "CLIPVisionModel"),
    "radio": ("radio", "RadioModel"),
    "moonvit": ("moonvit", "MoonVitPretrainedModel"),
    "pixtral": ("pixtral", "PixtralHFVisionModel"),
    "aimv2": ("aimv2", "AIMv2Model"),
    "qwen2_vl": ("qwen2_vl", "Qwen2VisionTransformer"),
    "qwen2_5_vl": ("qwen2_5_vl", "Qwen2_5_VisionTransformer"),
    "qwen3_vl": ("qwen3_vl", "Qwen3_VisionTransformer"),
}
"""Tower kinds and the class by which a tree has each; one that this tree lacks is not native here."""
OPERATIONS = frozenset(
    {"Linear", "LayerNorm", "RMSNorm", "Conv1d", "Conv2d", "Identity", "Dropout", "GELUTanh", *ACTIVATIONS}
)
SCATTERS = frozenset(
    {
        "masked_scatter",
        "masked_scatter_",
        "index_put",
        "index_put_",
        "index_copy",
        "index_copy_",
        "scatter",
        "where",
        "cat",
    }
)
EMBEDDING = frozenset(
    {
        "inputs_embeds",
        "input_embeds",
        "get_input_embeddings",
        "embed_tokens",
        "tok_embeddings",
        "wte",
        "word_embeddings",
    }
)


@dataclass(frozen=True, slots=True)
class Part:
    """One part: `native` is the tree's class, `own` the repo's module as it is, `lifted` rewritten from its code."""

    name: str
    origin: Origin
    what: str
    evidence: tuple[Evidence, ...] = ()

    def line(self) -> str:
        place = f" ({self.evidence[0].file}: {self.evidence[0].where})" if self.evidence else ""
        return f"{self.name}: {self.origin}, {self.what}{place}"


@dataclass(frozen=True, slots=True)
class Composition:
    parts: tuple[Part, ...]
    blockers: tuple[Blocker, ...]
    confidence: Confidence = Confidence.LIKELY

    @property
    def possible(self) -> bool:
        return not self.blockers


def composition(view: View) -> Composition:
    """Every part in turn; a part that facts do not settle is a blocker."""
    found = [item for step in (_towers, _connector, _language, _path, _scatter) for item in step(view)]
    parts = tuple(item for item in found if isinstance(item, Part))
    return Composition(parts, tuple(item for item in found if isinstance(item, Blocker)))


def _towers(view: View) -> Iterator[Part | Blocker]:
    fact = view.reading.facts["vision_tower"]
    towers = [item for item in fact.value if isinstance(item, dict)] if isinstance(fact.value, list) else []
    if not towers:
        yield Blocker("vision tower", "no vision tower could be read", fact.evidence)
    for tower in towers:
        yield _tower(view, tower, fact.evidence)


def _tower(view: View, tower: JSONObject, shown: tuple[Evidence, ...]) -> Part | Blocker:
    kind = str(tower.get("kind"))
    module, name = TOWERS.get(kind, ("", ""))
    file = f"{MODELS}/{module}.py"
    cls = find_class(view.tree, file, name) if module and view.tree.has(file) else None
    if cls is not None:
        return Part(
            "vision tower", "native", f"{kind} as {name} in {file}", (Evidence(file, f"line {cls.line}", name),)
        )
    if tower.get("in_repo"):
        return Part("vision tower", "own", f"{tower.get('class')}, which this vLLM does not have", shown)
    named = tower.get("class") or tower.get("kind") or "its class"
    why = f"{named} is no tower of this vLLM's, and the repo's code could not be followed into one of its own"
    return Blocker("vision tower", why, shown)


def _connector(view: View) -> Iterator[Part | Blocker]:
    fact = view.reading.facts["connector"]
    value = fact.value if isinstance(fact.value, dict) else {}
    layers = [layer for layer in items(value.get("layers")) if isinstance(layer, dict)]
    if not layers or value.get("lost"):
        lost = f": the way to {value['lost']} was lost" if value.get("lost") else ""
        yield Blocker("connector", f"its layers could not be read from the code{lost}", fact.evidence)
        return
    if any(layer.get("op") is None for layer in layers):
        yield Blocker(
            "connector", "its weights are stored, but no code that could be read says how they are used", fact.evidence
        )
        return
    for layer in layers:
        if layer.get("op") not in OPERATIONS:
            yield Blocker(
                "connector", f"it has an operator that porter does not know: {layer.get('op')}", fact.evidence
            )
            return
    yield Part("connector", "lifted", " -> ".join(str(layer.get("op")) for layer in layers), fact.evidence)


def _language(view: View) -> Iterator[Part | Blocker]:
    fact = view.reading.facts["language_model"]
    value = fact.value if isinstance(fact.value, dict) else {}
    stated = value.get("architecture")
    name = stated if isinstance(stated, str) else view.library.causal.get(str(value.get("model_type")))
    entry = architectures(view.tree).get(name) if isinstance(name, str) else None
    if entry is None or entry.section not in TEXT_SECTIONS:
        why = f"{name or value.get('model_type') or 'it'} is not among the text models of this vLLM"
        yield Blocker("language model", why, fact.evidence)
        return
    shown = (Evidence("model_executor/models/registry.py", f"line {entry.line}", entry.name),)
    yield Part("language model", "native", f"{entry.name} in {entry.module}.py", shown)


def _path(view: View) -> Iterator[Part | Blocker]:
    fact = view.reading.facts["feature_path"]
    if not isinstance(fact.value, list) or not fact.value or fact.confidence is Confidence.GUESS:
        yield Blocker(
            "feature path", fact.note or "the way from pixels to the connector was not followed", fact.evidence
        )


def _scatter(view: View) -> Iterator[Part | Blocker]:
    shown = next(scatters(view.reading), None)
    if shown is None:
        why = "no place was found in the model's code where image features enter the text embeddings"
        yield Blocker("scatter", why)
        return
    yield Part("scatter", "native", "vLLM merges features into the embeddings by the placeholder's token", (shown,))


def scatters(reading: ReadingLike) -> Iterator[Evidence]:
    """Places where image features are put among text embeddings: in a function that has the embeddings of the tokens,
    an assignment by mask or position, a masked scatter, a choice between two, or a joining of pieces."""
    code = reading.configs.code
    first = code.model.cls.file if code.model is not None else ""
    files = sorted(code.run.code.every(), key=lambda file: (file.path != first, file.path)) if first else []
    for file in files:
        functions = (node for node in ast.walk(file.tree) if isinstance(node, ast.FunctionDef) and _embeds(node))
        for node in (node for function in functions for node in ast.walk(function) if _puts(node)):
            yield Evidence(file.path, f"line {getattr(node, 'lineno', 1)}", snippet(node))


def _embeds(function: ast.FunctionDef) -> bool:
    """Whether a function embeds the tokens of the prompt."""
    for node in ast.walk(function):
        name = node.attr if isinstance(node, ast.Attribute) else node.arg if isinstance(node, ast.keyword) else None
        if name in EMBEDDING:
            return True
    return False


def _puts(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in SCATTERS
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        target = node.targets[0]
        return not isinstance(target.slice, ast.Constant) and isinstance(target.value, (ast.Name, ast.Attribute))
    return False
