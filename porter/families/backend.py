"""The tree's Transformers backend: every condition of it that source can tell, each held against one repo."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass

from porter.facts.model import Evidence
from porter.families.backend_subject import Subject, subject_of
from porter.families.base import Condition, State
from porter.families.lineages import ClassAt, Lineage
from porter.families.view import View

FOLDER = "model_executor/models/transformers"
MULTIMODAL = f"{FOLDER}/multimodal.py"
INTERFACE = "ALL_ATTENTION_FUNCTIONS"
NESTED = ("text_config", "decoder", "generator", "text_encoder")
"""Sub-configs that transformers' `get_text_config` finds; a tree may rename others to them."""


@dataclass(frozen=True, slots=True)
class Backend:
    """All conditions for one repo; `listed` is the tree's own row for the architecture, if it has one."""

    conditions: tuple[Condition, ...]
    listed: str = ""

    @property
    def serves(self) -> bool:
        """No condition fails, and what source cannot tell is vouched for by the tree's own list."""
        states = {condition.state for condition in self.conditions}
        return "fails" not in states and ("unknown" not in states or bool(self.listed))

    def open(self) -> tuple[Condition, ...]:
        """What keeps the repo from the backend: failing conditions first, then those that cannot be told."""
        failing = [item for item in self.conditions if item.state == "fails"]
        return (*failing, *(item for item in self.conditions if item.state == "unknown"))


def backend_conditions(view: View) -> Backend:
    """Each condition of the tree's backend; conditions that need a class which was not found are left out after it."""
    subject = subject_of(view)
    found: list[Condition] = []
    for check in CHECKS:
        condition = check(subject)
        if condition is not None:
            found.append(condition)
            if condition.state == "fails" and check in GATES:
                break
    return Backend(tuple(found), subject.listed)


def _tree_has_it(s: Subject) -> Condition:
    if s.tree.has(MULTIMODAL):
        return _holds("multimodal backend", f"{MULTIMODAL} is in this vLLM", Evidence(MULTIMODAL, "line 1", ""))
    why = f"vLLM {s.tree.version} has no {MULTIMODAL}: its Transformers backend takes no images in the form known here"
    return Condition("multimodal backend", "fails", why)


def _class_exists(s: Subject) -> Condition:
    if s.model is not None:
        where = s.model.classes[0]
        return _holds(
            "model class", f"{where.node.name} is {'the repo' if s.remote else 'transformers'}'s own", _at(where)
        )
    if s.remote_entry is not None:
        shown = Evidence("config.json", f"auto_map.{s.remote_entry.key}", s.remote_entry.file)
        why = f"auto_map names {s.remote_entry.file}, which was not read"
        return Condition("model class", "unknown", why, (shown,))
    why = f"transformers {s.library.version or '(not found)'} has no {s.architecture}, and auto_map has no AutoModel"
    return Condition("model class", "fails", why, (Evidence("config.json", "architectures[0]", s.architecture),))


def _compatible(s: Subject) -> Condition | None:
    """`is_backend_compatible()`, or transformers' own test of a module's source for the attention interface."""
    if s.model is None:
        return None
    found = s.model.attribute("_supports_attention_backend")
    if found is not None and isinstance(found[1], ast.Constant) and found[1].value is True:
        return _holds("attention backend", "_supports_attention_backend = True", _at(found[0], found[1]))
    first = s.model.classes[0]
    own = [node for node in s.classes_of(first) if "Attention" in node.name and _bases(node) == ["nn.Module"]]
    lacking = [node for node in own if INTERFACE not in s.text_of(first)]
    if not lacking:
        return _holds("attention backend", "its module has no attention class without the interface", _at(first))
    why = f"_supports_attention_backend is not set, and {lacking[0].name} does not use {INTERFACE}"
    return Condition("attention backend", "fails", why, (_at(first, lacking[0]),))


def _nested_config(s: Subject) -> Condition:
    config = s.reading.snapshot.config()
    names = (*NESTED, *s.renamed_to_text)
    key = next((name for name in names if isinstance(config.get(name), dict)), None)
    if key is not None:
        return _holds("nested text config", f"config.json has {key}", Evidence("config.json", key, "a sub-config"))
    if s.config_sets_text:
        return _holds("nested text config", "the config class makes a text_config", s.config_sets_text)
    why = f"config.json has none of {', '.join(names)}: it would be taken for a text model"
    if not s.config_read:
        return Condition("nested text config", "unknown", f"{why}, unless its config class makes one (not read)")
    return Condition(
        "nested text config", "fails", why, (Evidence("config.json", "(top level)", "no text sub-config"),)
    )


def _attention(s: Subject) -> Condition | None:
    """The language model's attention through the interface, one call per module with its `layer_idx`."""
    if s.model is None:
        return None
    if s.linear_attention is not None:
        return Condition("attention interface", "fails", "it has layers of linear attention", (s.linear_attention,))
    text = s.text_file
    if text is None:
        return Condition("attention interface", "unknown", "the language model's own class was not found")
    classes = [node for node in text.classes if node.name.endswith("Attention")]
    if not classes:
        return Condition("attention interface", "unknown", f"{text.file} has no attention class of its own")
    plain = [node for node in classes if INTERFACE not in text.source(node) or "layer_idx" not in text.source(node)]
    if plain and len(plain) == len(classes):
        why = f"{plain[0].name} computes attention itself, not by {INTERFACE} with layer_idx"
        return Condition(
            "attention interface", "fails", why, (Evidence(text.file, f"line {plain[0].lineno}", plain[0].name),)
        )
    first = next(node for node in classes if node not in plain)
    return _holds(
        "attention interface", f"{first.name} uses {INTERFACE}", Evidence(text.file, f"line {first.lineno}", first.name)
    )


def _processor(s: Subject) -> Condition:
    if s.processor is None:
        if s.processor_unread:
            return Condition("processor", "unknown", s.processor_unread[1], (s.processor_unread[0],))
        why = "neither the repo nor transformers has a processor class for it"
        return Condition("processor", "fails", why, (Evidence("processor_config.json", "processor_class", "absent"),))
    first = s.processor.classes[0]
    if not s.processor.descends("ProcessorMixin"):
        state: State = "fails" if s.processor.whole else "unknown"
        return Condition("processor", state, f"{first.node.name} is no ProcessorMixin", (_at(first),))
    image = s.processor.sets(("image_processor",)) or _parameter(s.processor, "image_processor")
    if image is None:
        return Condition("processor", "fails", f"{first.node.name} has no image_processor", (_at(first),))
    return _holds("processor", f"{first.node.name} is a ProcessorMixin with an image_processor", _at(first))


def _image_token(s: Subject) -> Condition | None:
    return _on_processor(s, "image_token", "image_token", ("image_token",), "sets no image_token")


def _counts_tokens(s: Subject) -> Condition | None:
    name = "_get_num_multimodal_tokens"
    return _on_processor(s, "token counting", name, (name,), f"has no {name}")


def _replaces_tokens(s: Subject) -> Condition | None:
    """Trees since the offsets: `replace_image_token`; before: `mm_token_type_ids` from the processor's call."""
    if s.processor is None:
        return None
    offsets = s.tree.has(MULTIMODAL) and "text_replacement_offsets" in s.tree.text(MULTIMODAL)
    name = "replace_image_token" if offsets else "return_mm_token_type_ids"
    first = s.processor.classes[0]
    if offsets:
        found = s.processor.method(name)
        if found is not None:
            return _holds("placeholder offsets", f"{first.node.name} has {name}", _at(found[0], found[1]))
    elif any(name in s.text_of(item) for item in s.processor.classes):
        return _holds("placeholder offsets", f"{first.node.name} gives mm_token_type_ids", _at(first))
    state: State = "fails" if s.processor.whole else "unknown"
    return Condition("placeholder offsets", state, f"{first.node.name} does not implement {name}", (_at(first),))


def _image_features(s: Subject) -> Condition | None:
    if s.base is None:
        return Condition("image features", "unknown", s.base_unread) if s.model is not None else None
    first = s.base.classes[0]
    found = s.base.method("get_image_features")
    if found is None:
        state: State = "fails" if s.base.whole else "unknown"
        return Condition("image features", state, f"{first.node.name} has no get_image_features", (_at(first),))
    owner, node = found
    names = [argument.arg for argument in [*node.args.args, *node.args.kwonlyargs]]
    if "pixel_values" not in names and len(names) < 2:
        return Condition("image features", "fails", "get_image_features takes no pixel_values", (_at(owner, node),))
    pooled = "pooler_output" in ast.unparse(node) or "BaseModelOutputWithPooling" in ast.unparse(node.returns or node)
    if not pooled or (node.args.kwarg is None and "return_dict" not in names):
        why = "get_image_features returns no object with pooler_output, or takes no return_dict"
        return Condition("image features", "fails", why, (_at(owner, node),))
    return _holds("image features", f"{first.node.name}.get_image_features gives pooler_output", _at(owner, node))


def _video(s: Subject) -> Condition | None:
    modalities = s.reading.facts.value("modalities")
    wanted = s.minimum_for("video inputs")
    if not isinstance(modalities, list) or "video" not in modalities or wanted is None:
        return None
    text, shown = wanted
    if s.library_is_at_least(text):
        return _holds("video", f"transformers {s.library.version} is {text} or newer", shown)
    why = f"video needs transformers {text}, here is {s.library.version or 'none'}: images only"
    return Condition("video", "fails", why, (shown,))


def _language_model(s: Subject) -> Condition | None:
    if s.base is None:
        return None
    names = ("language_model", "text_model")
    found = s.base.sets(names)
    first = s.base.classes[0]
    if found is not None:
        return _holds("language model", f"{first.node.name} keeps it under a name that vLLM finds", _at(*found))
    state: State = "fails" if s.base.whole else "unknown"
    why = f"{first.node.name} sets neither {' nor '.join(names)}, by which vLLM finds the language model"
    return Condition("language model", state, why, (_at(first),))


def _on_processor(s: Subject, name: str, what: str, names: tuple[str, ...], why: str) -> Condition | None:
    if s.processor is None:
        return None
    first = s.processor.classes[0]
    found = s.processor.sets(names)
    if found is not None:
        return _holds(name, f"{first.node.name} has {what}", _at(*found))
    state: State = "fails" if s.processor.whole else "unknown"
    return Condition(name, state, f"{first.node.name} {why}", (_at(first),))


def _parameter(lineage: Lineage, name: str) -> tuple[ClassAt, ast.AST] | None:
    found = lineage.method("__init__")
    names = [argument.arg for argument in found[1].args.args] if found is not None else []
    stated = lineage.attribute("attributes")
    if found is not None and name in names:
        return found
    return stated if stated is not None and name in ast.unparse(stated[1]) else None


def _bases(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(base) for base in node.bases]


def _holds(name: str, why: str, evidence: Evidence) -> Condition:
    return Condition(name, "holds", why, (evidence,))


def _at(owner: ClassAt, node: ast.AST | None = None) -> Evidence:
    place = node if node is not None else owner.node
    return Evidence(owner.file, f"line {getattr(place, 'lineno', owner.node.lineno)}", owner.node.name)


Check = Callable[[Subject], "Condition | None"]
CHECKS: tuple[Check, ...] = (
    _tree_has_it, _class_exists, _compatible, _nested_config, _attention, _processor, _image_token, _counts_tokens,
    _replaces_tokens, _image_features, _language_model, _video,
)  # fmt: skip
GATES: tuple[Check, ...] = (_tree_has_it,)
"""Behind a gate that fails nothing else is worth a look."""
