"""The context of the config class's template: the repo's keys read as the family's names, nothing invented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from porter.jsontypes import JSON
from porter.planning import layout
from porter.planning.model_file import Imports
from porter.planning.spec import ConfigSpec, PortSpec, Source, SubConfig

TIE = "tie_word_embeddings"
TABLE = "table_image_size"
"""The vision config's name for the image size that its positions are stored for."""


@dataclass(frozen=True, slots=True)
class OwnPart:
    """A sub-config class of the port's own."""

    cls: str
    model_type: str
    renames: Mapping[str, str]
    defaults: Mapping[str, JSON]
    forced: Mapping[str, JSON]
    computed: tuple[str, ...]
    table: str | None = None

    @property
    def merged(self) -> list[str]:
        if self.table is not None:
            rest = replace(self, table=None).merged
            return [f'"{TABLE}": kwargs.get({layout.text(self.table)})', *rest]
        pairs = [f"{layout.text(key)}: {layout.literal(value)}" for key, value in self.defaults.items()]
        ends = [f"{layout.text(key)}: {layout.literal(value)}" for key, value in self.forced.items()]
        return [*pairs, "**kwargs", *ends]


def context(spec: PortSpec) -> dict[str, Any]:
    """Everything that templates/configuration.py.j2 names."""
    config, names = spec.config, spec.names
    imports = Imports(relative=False)
    imports.add("typing", "Any")
    imports.add("transformers", spec.base.config_base)
    tables: list[tuple[str, Mapping[str, str]]] = []
    own: list[OwnPart] = []
    lines = [*_read("vision_config", config.vision), *_read("text_config", config.text)]
    vision_class, made = _vision(spec, imports, own, tables)
    text_class, text_made = _text(spec, imports, own)
    lines += [made, text_made]
    keys = {config.renames.get("vision_config", "vision_config"): vision_class}
    keys[config.renames.get("text_config", "text_config")] = text_class
    return {
        "spec": spec,
        "config": config,
        "cls": names.cls("Config"),
        "base": spec.base.config_base,
        "imports": imports.render(),
        "own_parts": own,
        "tables": tables,
        "sub_configs": list(keys.items()),
        "part_lines": lines,
        "values": _values(config),
        "after": _after(config),
    }


def _read(name: str, part: SubConfig) -> list[str]:
    """The line that takes a part's values out of the keyword arguments."""
    if part.key is None:
        return [f'        {name} = kwargs.pop("{name}", None) or dict(kwargs)']
    if "." not in part.key:
        return [f"        {name} = kwargs.pop({layout.text(part.key)}, None) or {{}}"]
    head = [f'        {name} = kwargs.pop("{name}", None)']
    return [*head, f"        if {name} is None:", f"            {name} = {_chain(part.key, '{}')}"]


def _chain(path: str, default: str) -> str:
    """A nested lookup in `kwargs` that yields a default when any level is missing."""
    *heads, last = path.split(".")
    found = "kwargs" + "".join(f".get({layout.text(head)}, {{}})" for head in heads)
    return f"{found}.get({layout.text(last)}, {default})"


def _vision(
    spec: PortSpec, imports: Imports, own: list[OwnPart], tables: list[tuple[str, Mapping[str, str]]]
) -> tuple[str, str]:
    """(class, the statement that builds it)."""
    part = spec.config.vision
    if part.library is None:
        cls = spec.names.cls("VisionConfig")
        own.append(
            OwnPart(cls, part.model_type, part.renames, part.defaults, part.forced, _own_computed(part), part.table)
        )
        return cls, layout.call(8, f"self.vision_config = {cls}", ["**vision_config"])
    imports.add("transformers", part.library)
    inner = "**vision_config"
    if part.renames:
        tables.append(("VISION_NAMES", {repo: canonical for canonical, repo in part.renames.items()}))
        inner = "**{VISION_NAMES.get(key, key): value for key, value in vision_config.items()}"
    extra = [f"{layout.text(name)}: {_of('vision_config', source)}" for name, source in part.computed.items()]
    return part.library, _built(f"self.vision_config = {part.library}", inner, part, extra)


def _built(head: str, inner: str, part: SubConfig, extra: list[str]) -> str:
    before = [f"{layout.text(key)}: {layout.literal(value)}" for key, value in part.defaults.items()]
    after = [*extra, *(f"{layout.text(key)}: {layout.literal(value)}" for key, value in part.forced.items())]
    if not before and not after:
        return layout.call(8, head, [inner])
    return layout.merged(8, f"{head}(", [*before, inner, *after], ")")


def _text(spec: PortSpec, imports: Imports, own: list[OwnPart]) -> tuple[str, str]:
    part = spec.config.text
    if part.library is None:
        cls = spec.names.cls("TextConfig")
        own.append(OwnPart(cls, part.model_type, part.renames, part.defaults, part.forced, _own_computed(part)))
        return cls, layout.call(8, f"self.text_config = {cls}", ["**text_config"])
    imports.add("transformers", "AutoConfig")
    flat = part.key is None
    first = {} if flat else {"model_type": part.library}
    forced = {**part.forced, **({"model_type": part.library} if flat else {})}
    made = SubConfig(part.key, part.library, part.model_type, part.renames, {**first, **part.defaults}, forced)
    return "AutoConfig", _built("self.text_config = AutoConfig.for_model", "**text_config", made, [])


def _own_computed(part: SubConfig) -> tuple[str, ...]:
    """Lines that set attributes derived from the part's own values."""
    return tuple(_statement(name, _of("kwargs", source)) for name, source in part.computed.items())


def _statement(name: str, value: str) -> str:
    """An assignment to self; the argument of a long call stands on a line of its own."""
    one = f"        self.{name} = {value}"
    if len(one) <= layout.WIDTH or not value.startswith("int("):
        return one
    return layout.call(8, f"self.{name} = int", [value.removeprefix("int(").removesuffix(")")])


def _of(values: str, source: Source) -> str:
    """An attribute derived from a dict of values, its found value where the dict lacks the key."""
    path = layout.text(str(source.path))
    if source.kind == "inverse":
        number = source.value if isinstance(source.value, (int, float)) else 1
        return f"1 / {values}.get({path}, {1 / number if number else 1!r})"
    if source.kind == "product" and source.factor is not None:
        return f"int({values}.get({layout.text(source.factor)}, 0) * {values}.get({path}, {source.otherwise!r}))"
    return layout.literal(source.value)


def _values(config: ConfigSpec) -> str:
    """The statement that merges defaults, the JSON's own values, and what must hold whatever the JSON says."""
    before = [f"{layout.text(key)}: {layout.literal(value)}" for key, value in config.defaults.items()]
    after = [f"{layout.text(name)}: {_top(config, source)}" for name, source in config.computed.items()]
    after += [f"{layout.text(key)}: {layout.literal(value)}" for key, value in config.forced.items()]
    if config.tie is not None:
        stated = f'text_config.get("{TIE}", {config.tie})'
        after.append(f"{layout.text(TIE)}: {config.tie if config.tie_conflict else stated}")
    return layout.braces(8, "values = ", [*before, "**kwargs", *after])


def _top(config: ConfigSpec, source: Source) -> str:
    """A top-level attribute that stands inside another object, or is derived from a number there."""
    path = str(source.path)
    base, inside = _owner(config, path)
    default = (
        1 / source.value
        if source.kind == "inverse" and isinstance(source.value, (int, float)) and source.value
        else source.value
    )
    found = (
        f"{base}.get({layout.text(inside)}, {layout.literal(default)})"
        if base
        else _chain(path, layout.literal(default))
    )
    return f"1 / {found}" if source.kind == "inverse" else found


def _owner(config: ConfigSpec, path: str) -> tuple[str | None, str]:
    for name, part in (("vision_config", config.vision), ("text_config", config.text)):
        if part.key and path.startswith(f"{part.key}.") and "." not in path[len(part.key) + 1 :]:
            return name, path[len(part.key) + 1 :]
    return None, path


def _after(config: ConfigSpec) -> list[str]:
    tiles = f'self.vision_config.image_size = kwargs.get("force_image_size", {config.vision.tile})'
    fitted = [tiles] if config.vision.table is not None else []
    if config.feature_layer_from_end:
        return fitted
    return [*fitted, "if self.select_layer >= 0:", "    self.select_layer -= self.vision_config.num_hidden_layers + 1"]
