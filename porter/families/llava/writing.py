"""The files of a port of the LLaVA shape, and what its generated tests expect."""

from __future__ import annotations

from typing import Any

from porter.errors import Refused
from porter.families.base import ReadingLike
from porter.families.llava.anyres import Grid
from porter.families.llava.spec import LlavaSpec
from porter.planning import layout
from porter.planning.model_file import Imports, connector_locals, mapper
from porter.planning.render import render_python
from porter.planning.spec import Prompt, Spec, SubConfig
from porter.vllm_tree.tree import Tree

INSIDE = ("vision_tower.", "language_model.")
FROM_CONFIG = {
    "patch_size": "config.vision_config.patch_size",
    "vision_feature_select_strategy": "config.vision_feature_select_strategy",
}
"""Arguments of the HF processor that the config holds too."""


class Writing:
    """The part of the family that turns its specs into files."""

    def model_file(self, spec: Spec, *, relative: bool, own_config: bool) -> str:
        own = _own(spec)
        if not own_config:
            raise Refused(_needs_config(own), hint="leave --remote-config out")
        return render_python("llava/model.py.j2", **_model(own, relative))

    def config_file(self, spec: Spec) -> str:
        return render_python("llava/configuration.py.j2", **_config(_own(spec)))

    def prompt(self, spec: Spec, tile: int) -> Prompt:
        own = _own(spec)
        if own.grid is None:
            return Prompt(own.image_token, "", own.image_token, "", (((tile, tile), 1), ((2 * tile, tile), 1)), INSIDE)
        grid = _scaled(own.grid, tile)
        cases = tuple(((width, tile), grid.tokens(width, tile)) for width in (tile, 2 * tile))
        return Prompt(own.image_token, "", own.image_token, "", cases, INSIDE, unit=1)

    def remote_obstacle(self, reading: ReadingLike, spec: Spec, tree: Tree) -> str | None:
        return _needs_config(_own(spec))


def _scaled(grid: Grid, tile: int) -> Grid:
    """The grid of the tiny twin: as many tiles, each with fewer patches."""
    patches = grid.patches * tile // grid.side
    smaller = tuple((height * tile // grid.side, width * tile // grid.side) for height, width in grid.resolutions)
    return Grid(tile, patches, grid.base - grid.patches**2 + patches**2, smaller)


def _own(spec: Spec) -> LlavaSpec:
    assert isinstance(spec, LlavaSpec)
    return spec


def _needs_config(spec: LlavaSpec) -> str:
    return f"{spec.base.info} of vLLM takes a {spec.base.config} only"


def _model(spec: LlavaSpec, relative: bool) -> dict[str, Any]:
    """Everything that templates/llava/model.py.j2 names."""
    base, names = spec.base, spec.names
    builds = bool(spec.connector or spec.post_norm)
    placeholder = spec.image_token != base.placeholder
    return {
        "spec": spec,
        "imports": _imports(spec, relative, builds).render(),
        "info": names.cls("ProcessingInfo"),
        "arguments": [(name, FROM_CONFIG.get(name) or layout.literal(value)) for name, value in spec.processor.items()],
        "mapper": mapper(spec.rules),
        "placeholder": spec.image_token if placeholder else None,
        "builds": builds,
        "locals": ["config = self.config", *connector_locals(spec.connector)],
        "bare": not (spec.rules or placeholder or builds),
    }


def _imports(spec: LlavaSpec, relative: bool, builds: bool) -> Imports:
    base = spec.base
    imports = Imports(relative=relative)
    imports.model(base.module, base.model)
    if spec.processor:
        imports.add(base.hf_module, base.hf_processor)
        imports.add("vllm.multimodal", "MULTIMODAL_REGISTRY")
        imports.model(base.module, base.info, base.processor, base.dummy)
    if spec.rules:
        imports.model("utils", "WeightsMapper")
    if spec.rules.regex:
        imports.plain.add("re")
    if builds:
        imports.add("vllm.config", "VllmConfig")
    if spec.post_norm:
        imports.model(base.module, base.build_tower)
        imports.model("utils", "maybe_prefix")
    if spec.connector:
        imports.plain.add("torch.nn as nn")
    for cls, module in (("RMSNorm", "layernorm"), ("QuickGELU", "activation")):
        if any(line.startswith(f"{cls}(") for line in spec.connector):
            imports.add(f"vllm.model_executor.layers.{module}", cls)
    return imports


def _config(spec: LlavaSpec) -> dict[str, Any]:
    """Everything that templates/llava/configuration.py.j2 names."""
    imports = Imports(relative=False)
    imports.add("typing", "Any")
    imports.add("transformers", spec.base.config)
    vision_names = {repo: canonical for canonical, repo in spec.vision.renames.items()}
    before = [f"{layout.text(key)}: {layout.literal(value)}" for key, value in spec.given.items()]
    after = [f"{layout.text(key)}: {layout.literal(value)}" for key, value in spec.forced.items()]
    return {
        "spec": spec,
        "imports": imports.render(),
        "cls": spec.names.cls("Config"),
        "names": {repo: canonical for canonical, repo in spec.renames.items()},
        "vision_names": vision_names,
        "vision": _part(spec.vision, "vision_config", bool(vision_names)),
        "text": _part(spec.text, "text_config", False),
        "flat": spec.text.key is None,
        "items": [*before, "**values", *after],
    }


def _part(part: SubConfig, name: str, renamed: bool) -> list[str] | None:
    """The items of a part's values; None when the JSON holds them as transformers wants them."""
    given = dict(part.defaults)
    if name == "text_config" and part.key is not None:
        given = {"model_type": part.library, **given}
    forced = dict(part.forced)
    if part.key is None:
        forced["model_type"] = part.library
    if not renamed and not forced and (not given or given == {"model_type": part.library}):
        return None
    inner = f"**{name}"
    if renamed:
        inner = "**{VISION_NAMES.get(key, key): value for key, value in " + name + ".items()}"
    before = [f"{layout.text(key)}: {layout.literal(value)}" for key, value in given.items()]
    after = [f"{layout.text(key)}: {layout.literal(value)}" for key, value in forced.items()]
    return [*before, inner, *after]
