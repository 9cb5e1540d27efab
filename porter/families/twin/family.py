"""Matching a repo with the original of a family, and the port that follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from porter.errors import Refused, TreeError
from porter.facts.model import Evidence
from porter.families.base import Match, ReadingLike
from porter.families.internvl.judgement import Notes, blocked
from porter.families.library import library_beside
from porter.families.twin.anchors import TwinAnchors, read_anchors
from porter.families.twin.configs import PartMap, fields, respelled_keys
from porter.families.twin.judge import Judgement, judge
from porter.families.twin.original import COMPARED, GAPS, ORIGINALS, Gap, Original, original, resembles
from porter.families.twin.spec import TwinBase, TwinPart, TwinSpec
from porter.families.twin.theirs import theirs_of
from porter.families.twin.weights import misplaced
from porter.families.twin.writing import add_imports, written
from porter.planning import layout
from porter.planning.model_file import Imports, mapper
from porter.planning.names import names_for
from porter.planning.render import render_python
from porter.planning.spec import Prompt, Spec
from porter.source.symbols import CONFIG
from porter.vllm_tree.registry import config_registry
from porter.vllm_tree.tree import Tree
from porter.weights.infer import rules_from
from porter.weights.mapper import NameRules

PREFIX_LM = "is_mm_prefix_lm"
"""What vLLM asks a config for before it looks its model_type up among those whose images attend both ways."""
UNCOMPARED = "vLLM's class is taken for the model's by its name: only the comparison at the end can tell"


@dataclass(frozen=True, slots=True)
class Twin:
    """One family: the original that both transformers and the tree have under the name `architecture`."""

    name: str
    architecture: str

    def anchors(self, tree: Tree) -> TwinAnchors:
        return read_anchors(tree, self.architecture)

    def match(self, reading: ReadingLike, tree: Tree) -> Match:
        """Raises TreeError where the repo's code has nothing of the original, or transformers lacks it."""
        python = theirs_of(reading, tree.package).modeling
        if not resembles(tree.package, self.architecture, python, tuple(ORIGINALS.values())):
            raise TreeError(f"the repo's code is no copy of {self.architecture}")
        found = original(tree.package, self.architecture)
        if found is None:
            raise TreeError(f"transformers has no {self.architecture}")
        if found.model_type in config_registry(tree).classes:
            raise TreeError(f"this vLLM has a config class of its own for {found.model_type}")
        anchors = read_anchors(tree, self.architecture, found.model_type)
        judged, notes = judge(reading, tree, anchors, found)
        wrong = misplaced(judged.places, _effective(judged, _rules(judged, None, reading)))
        notes = notes.plus(blocked("weights", wrong)) if wrong else notes
        return Match(
            family=self.name,
            module=anchors.module,
            model_class=anchors.model_class,
            processor_class=_processor(judged, found),
            score=judged.alike if notes.blockers else 1.0,
            differences=notes.differences,
            blockers=notes.blockers,
            evidence=(Evidence(anchors.relpath, anchors.model_class, f"the original is {found.model.file}"),),
            unsure=(*judged.unsure, *(() if self.name in COMPARED else (UNCOMPARED,))),
            advice=_alias(judged, found, notes),
            judgement=judged,
        )

    def spec(self, match: Match, reading: ReadingLike, tree: Tree, *, rules: NameRules | None = None) -> TwinSpec:
        judged = match.judgement
        if match.blockers or not isinstance(judged, Judgement):
            why = match.blockers[0].why if match.blockers else "nothing was judged"
            raise Refused(f"the {self.name} family does not fit: {why}")
        found = original(tree.package, self.architecture)
        assert found is not None
        gap = GAPS.get(self.name, Gap())
        root, *parts = [replace(part, forced={**part.forced, **gap.inside(part.name)}) for part in judged.parts]
        config = judged.processing.trio.config if judged.processing is not None else ""
        others = config not in ("", found.config.name)
        spelled = respelled_keys(library_beside(tree.package), config, reading.snapshot.config()) if others else {}
        given = {**root.given, **({PREFIX_LM: True} if judged.anchors.prefix_lm else {})}
        return TwinSpec(
            family=self.name,
            names=names_for(str(reading.facts.value("architecture"))),
            model_type=str(reading.facts.value("model_type")),
            base=_base(judged, found),
            root=_part(replace(root, given=given, renames={**spelled, **root.renames})),
            parts=tuple(_part(part) for part in parts),
            placeholder=judged.placeholder,
            video_placeholder=judged.video,
            settings=(*gap.settings, *judged.settings),
            modules=judged.modules,
            largest=gap.largest,
            native_type=found.model_type if judged.anchors.typed else "",
            counted=judged.counted,
            native_config=_loads_itself(judged, found, gap),
            rules=with_drops(_rules(judged, rules, reading), judged.unread, reading, judged.anchors.mapper),
        )

    def draft_rules(self, match: Match, reading: ReadingLike) -> NameRules:
        judged = match.judgement
        return _rules(judged, None, reading) if isinstance(judged, Judgement) else NameRules()

    def model_file(self, spec: Spec, *, relative: bool, own_config: bool) -> str:
        own = _own(spec)
        if not own_config and not own.native_config:
            raise Refused(_needs_config(own), hint="leave --remote-config out")
        return render_python("twin/model.py.j2", **_model(own, relative))

    def config_file(self, spec: Spec) -> str:
        return render_python("twin/configuration.py.j2", **_config(_own(spec)))

    def prompt(self, spec: Spec, tile: int) -> Prompt:
        own = _own(spec)
        sizes = ((tile, tile), 1), ((2 * tile, tile), 1)
        return Prompt(own.placeholder, "", "", "", sizes, ("",), unit=1, processor=own.base.processor)

    def remote_obstacle(self, reading: ReadingLike, spec: Spec, tree: Tree) -> str | None:
        own = _own(spec)
        return None if own.native_config else _needs_config(own)


def _processor(judged: Judgement, found: Original) -> str:
    trio = judged.processing.trio if judged.processing is not None else judged.anchors.trios[0]
    other = judged.processing.processor if judged.processing is not None else ""
    return other or trio.hf_processor or found.processor


def _alias(judged: Judgement, found: Original, notes: Notes) -> str:
    """How vLLM serves a repo that is the original but for the name of its architecture."""
    same = judged.native is not None and judged.native.model_type == found.model_type
    if not same or notes != Notes():
        return ""
    named = f'--hf-overrides \'{{"architectures": ["{judged.anchors.model_class}"]}}\''
    return f"it is {found.model.name} under another name: vLLM serves it without a port too, with {named}"


def _loads_itself(judged: Judgement, found: Original, gap: Gap) -> bool:
    """Whether transformers' own config class for the repo has all that the tree's class reads, under its names."""
    native, processing = judged.native, judged.processing
    if native is None or processing is None or any(part.renames for part in judged.parts):
        return False
    asked = processing.trio.config in ("", native.config.name)
    marked = (judged.anchors.prefix_lm or judged.anchors.typed) and native.model_type != found.model_type
    lacking = set(fields(found.side, found.config)) - set(fields(native.side, native.config))
    return asked and not marked and not gap.given and not lacking


def _effective(judged: Judgement, rules: NameRules) -> NameRules:
    """The rules that a port has: without rules of its own, those of its base."""
    return rules if rules != NameRules() else judged.anchors.mapper


def _rules(judged: Judgement, inferred: NameRules | None, reading: ReadingLike) -> NameRules:
    """The renames that the walk over both models gives, none where the base's own do; what stands inside a model of
    elsewhere, or would go where the base has no parameter, goes where names and shapes say."""
    mapper = judged.anchors.mapper
    stored = [tensor.name for tensor in reading.snapshot.tensors.tensors]
    others = (inferred or mapper).apply_all(stored).results
    taken = frozenset(others) if inferred is not None else frozenset(judged.places.values())
    places = {
        name: other if place is None or (place not in taken and other != name) else place
        for (name, other) in zip(stored, others, strict=True)
        for place in [judged.places.get(name)]
    }
    wanted = {name: place for name, place in places.items() if place and name.rpartition(".")[2] not in judged.unread}
    if wanted and all(mapper.apply(name) == place for name, place in wanted.items()):
        return NameRules()
    known = rules_from(wanted) if judged.places else None
    return known or inferred or NameRules()


def with_drops(rules: NameRules, unread: frozenset[str], reading: ReadingLike, base: NameRules) -> NameRules:
    """The rules, or the base's own where there are none, and a drop for each stored buffer that no code reads."""
    stored = [tensor.name for tensor in reading.snapshot.tensors.tensors]
    drops: dict[str, str | None] = {name: None for name in stored if name.rpartition(".")[2] in unread}
    kept = base if drops and rules == NameRules() else rules
    return replace(kept, prefix={**drops, **kept.prefix})


def _base(judged: Judgement, found: Original) -> TwinBase:
    anchors, processing = judged.anchors, judged.processing
    assert processing is not None
    trio, other = processing.trio, bool(processing.processor)
    return TwinBase(
        module=anchors.module,
        model=anchors.model_class,
        config=trio.config or found.config.name,
        placeholder=anchors.placeholder,
        video=anchors.video,
        trio=trio,
        registered=trio == anchors.trios[0],
        maps=anchors.maps,
        processor=("transformers" if other else trio.hf_module or "transformers", _processor(judged, found)),
        other=other,
        renames=processing.renames,
    )


def _part(part: PartMap) -> TwinPart:
    forced = {} if part.model_type is None else {"model_type": part.model_type}
    return TwinPart(part.name, part.key, part.renames, part.given, {**part.forced, **forced})


def _own(spec: Spec) -> TwinSpec:
    assert isinstance(spec, TwinSpec)
    return spec


def _needs_config(spec: TwinSpec) -> str:
    return f"{spec.base.trio.info} of vLLM takes a {spec.base.config} only"


def _model(spec: TwinSpec, relative: bool) -> dict[str, Any]:
    """Everything that templates/twin/model.py.j2 names."""
    placeholder = spec.placeholder != spec.base.placeholder
    dummy = placeholder and spec.base.trio.literal
    loads = bool(spec.rules) and not spec.base.maps
    registers = bool(dummy or spec.largest or spec.base.other or not spec.base.registered)
    imports = _imports(spec, relative)
    if loads:
        imports.add("collections.abc", "Iterable")
        imports.plain.add("torch")
    if dummy:
        imports.add("collections.abc", "Mapping")
    if spec.base.other:
        imports.add(*spec.base.processor)
    if registers:
        imports.add("vllm.multimodal", "MULTIMODAL_REGISTRY")
        imports.model(spec.base.trio.module, spec.base.trio.info, spec.base.trio.processor, spec.base.trio.dummy)
    return {
        "spec": spec,
        "imports": imports.render(),
        "mapper": mapper(spec.rules),
        "loads": loads,
        "placeholder": spec.placeholder if placeholder else None,
        "video": spec.video_placeholder if spec.video_placeholder != spec.base.video else None,
        "dummy": spec.names.cls("DummyInputsBuilder") if dummy else None,
        "info": spec.names.cls("ProcessingInfo") if spec.largest or spec.base.other else spec.base.trio.info,
        "registers": registers,
        "bare": not (spec.rules or placeholder or spec.settings or spec.modules or spec.counted),
        "modules": [written(item, spec.names.cls(item.role)) for item in spec.modules],
        "reads_config": any(not item.role and CONFIG in item.text for item in spec.modules),
    }


def _imports(spec: TwinSpec, relative: bool) -> Imports:
    """What the spec by itself asks for."""
    imports = Imports(relative=relative)
    imports.model(spec.base.module, spec.base.model)
    if spec.rules:
        imports.model("utils", "WeightsMapper")
    if spec.rules.regex:
        imports.plain.add("re")
    if spec.settings or spec.modules:
        imports.add("vllm.config", "VllmConfig")
    add_imports(imports, spec.modules, spec.base.config)
    if any(value.startswith("nn.") for _, value in spec.settings):
        imports.plain.add("torch.nn as nn")
    if spec.counted:
        imports.add("vllm.multimodal.inputs", "MultiModalFeatureSpec")
        imports.plain.add("torch")
    if spec.largest is not None:
        imports.model(*spec.largest)
        imports.add("vllm.multimodal.parse", "ImageSize")
    return imports


def _config(spec: TwinSpec) -> dict[str, Any]:
    """Everything that templates/twin/configuration.py.j2 names."""
    imports = Imports(relative=False)
    imports.add("typing", "Any")
    imports.add("transformers", spec.base.config)
    parts = [(part.name, _table(part), _items(part, part.name)) for part in spec.parts if part.touched]
    names = {repo: mine for mine, repo in spec.root.renames.items()}
    names |= {part.key: part.name for part in spec.parts if part.key != part.name}
    return {
        "spec": spec,
        "imports": imports.render(),
        "cls": spec.names.cls("Config"),
        "names": names,
        "tables": [(table, {repo: mine for mine, repo in part.renames.items()}) for part, table in _tables(spec)],
        "parts": parts,
        "items": _items(spec.root, "values"),
    }


def _tables(spec: TwinSpec) -> list[tuple[TwinPart, str]]:
    return [(part, _table(part)) for part in spec.parts if part.renames]


def _table(part: TwinPart) -> str:
    return f"{part.name.removesuffix('_config').upper()}_NAMES"


def _items(part: TwinPart, source: str) -> list[str]:
    inner = f"**{source}"
    if part.name and part.renames:
        inner = "**{" + f"{_table(part)}.get(key, key): value for key, value in {source}.items()" + "}"
    before = [f"{layout.text(key)}: {layout.literal(value)}" for key, value in part.given.items()]
    after = [f"{layout.text(key)}: {layout.literal(value)}" for key, value in part.forced.items()]
    return [*before, inner, *after]
