"""The files of a port of the InternVL shape, and what its generated tests expect."""

from __future__ import annotations

from porter.facts.tile_tags import NUMBER
from porter.families.base import ReadingLike
from porter.planning import config_file, layout, model_file
from porter.planning.render import render_python
from porter.planning.spec import PortSpec, Prompt, Spec, SubConfig, TagSpec
from porter.vllm_tree.registry import config_registry
from porter.vllm_tree.tree import Tree

INSIDE = ("vision_model.", "language_model.")


class Writing:
    """The part of the family that turns its specs into files."""

    def model_file(self, spec: Spec, *, relative: bool, own_config: bool) -> str:
        made = model_file.context(_own(spec), relative=relative, own_config=own_config)
        return render_python("model.py.j2", **made)

    def config_file(self, spec: Spec) -> str:
        return render_python("configuration.py.j2", **config_file.context(_own(spec)))

    def prompt(self, spec: Spec, tile: int) -> Prompt:
        own = _own(spec)
        tokens = {**own.base.tokens, **own.tokens.arguments}
        first = (own.tokens.placeholder or own.base.placeholder, own.tokens.label or "")
        placeholder, label = (text.replace(NUMBER, "1") if own.tokens.numbered else text for text in first)
        return Prompt(
            placeholder=placeholder,
            start=label + tokens["start_image_token"],
            context=tokens["ctx_image_token"],
            end=tokens["end_image_token"],
            cases=_cases(own, tile),
            inside=INSIDE,
            tags=_tags(own.tokens.tags),
        )

    def remote_obstacle(self, reading: ReadingLike, spec: Spec, tree: Tree) -> str | None:
        return remote_obstacle(reading, _own(spec), tree)


def _own(spec: Spec) -> PortSpec:
    assert isinstance(spec, PortSpec)
    return spec


def _tags(tags: TagSpec | None) -> str | None:
    if tags is None:
        return None
    text, numbers = tags.code("tiles")
    last = f" + [{layout.text(tags.overview)}]" if tags.overview is not None else ""
    return f"[{text} for i in range({numbers})]{last}"


def _cases(spec: PortSpec, tile: int) -> tuple[tuple[tuple[int, int], int], ...]:
    """Images whose tile count follows from the tiling rule without doubt: one tile, and two side by side."""
    values = {name: source.value for name, source in spec.tiling.items()}
    fewest, most = values.get("min_dynamic_patch"), values.get("max_dynamic_patch")
    tiled = bool(values.get("dynamic_image_size")) and isinstance(most, int) and isinstance(fewest, int)
    thumbnail = 1 if values.get("use_thumbnail") else 0
    single = ((tile, tile), 1)
    if not tiled or not isinstance(fewest, int) or not isinstance(most, int):
        return (single, ((2 * tile, tile), 1))
    cases = [single] if fewest == 1 else []
    if fewest <= 2 <= most:
        cases.append(((2 * tile, tile), 2 + thumbnail))
    return tuple(cases) or (((tile * fewest, tile), fewest + (thumbnail if fewest > 1 else 0)),)


def remote_obstacle(reading: ReadingLike, spec: PortSpec, tree: Tree) -> str | None:
    """Why the repo's own config class cannot be adapted by assignments in the model file; None when it can."""
    config = spec.config
    auto_map = reading.facts.value("auto_map")
    entry = auto_map.get("AutoConfig") if isinstance(auto_map, dict) else None
    if not (isinstance(entry, dict) and entry.get("found")):
        return "the repo has no config class"
    mapped = {"text_config", *config_registry(tree).attrs}
    if config.text.key not in mapped:
        return f"vLLM does not find a text config under {config.text.key or 'the top level'}"
    if _adapted(config.vision) or _adapted(config.text) or "." in (config.vision.key or "."):
        return "its vision or text config has other attribute names than vLLM reads"
    if config.computed or not config.feature_layer_from_end:
        return "some of its values have to be computed"
    return None


def _adapted(part: SubConfig) -> bool:
    return bool(part.table or part.renames or part.defaults or part.forced or part.computed)
