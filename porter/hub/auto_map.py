"""The `auto_map` values of a repo's JSON files: where they stand, and what they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from porter.hub.files import CONFIG
from porter.hub.jsonfiles import kind_of
from porter.hub.reference import is_repo_id, printable
from porter.jsontypes import JSON, JSONObject

OWNERS = (
    CONFIG,
    "tokenizer_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
)
SEPARATOR = "--"
KEY = "auto_map"
NO_CONFIGS = frozenset({KEY, "added_tokens_decoder"})
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Target:
    """One value of an `auto_map`. `owner` is the map's JSON path, `folder` (`google/siglip/`) where its file lies."""

    owner: str
    key: str
    value: JSON
    folder: str = ""


def auto_maps(documents: Mapping[str, JSONObject]) -> Iterator[Target]:
    """Every target of every map, with those of sub-configs at any depth and of configs in folders of their own."""
    nested = [name for name in documents if "/" in name]
    for name in (*OWNERS, *nested):
        folder = name[: name.rfind("/") + 1]
        yield from maps_within(name, documents.get(name, {}), folder)


def maps_within(document: str, value: JSONObject, folder: str, path: str = "") -> Iterator[Target]:
    mapping = value.get(KEY)
    if isinstance(mapping, dict):
        owner = f"{document}:{path}" if path else document
        for key, target in mapping.items():
            yield from (Target(owner, key, item, folder) for item in variants(target))
    for key, child in value.items():
        if key in NO_CONFIGS:
            continue
        inner = f"{path}.{key}" if path else key
        if isinstance(child, dict):
            yield from maps_within(document, child, folder, inner)
        for index, item in enumerate(child if isinstance(child, list) else ()):
            if isinstance(item, dict):
                yield from maps_within(document, item, folder, f"{inner}[{index}]")


def variants(target: JSON) -> tuple[JSON, ...]:
    """A value is one reference, or a list of them (slow and fast tokenizer) in which null means "no such variant"."""
    return tuple(item for item in target if item is not None) if isinstance(target, list) else (target,)


def split_reference(reference: str) -> tuple[str | None, str, str]:
    """`ORG/NAME--package.module.Class` as (repo or None, dotted module, class)."""
    repo, separator, rest = reference.rpartition(SEPARATOR)
    module, _, class_name = rest.rpartition(".")
    return (repo if separator else None), module, class_name


def refusal(value: JSON) -> str:
    """Why a value can name no class in a file of a repo; empty when it can."""
    if not isinstance(value, str):
        return f"{'an object' if isinstance(value, dict) else kind_of(value)}, not a class"
    repo, module, class_name = split_reference(value)
    if repo is not None and not is_repo_id(repo):
        return f"{printable(repo) or 'nothing'} is no repo id"
    if module_file(module) is None:
        return f"{printable(module) or 'nothing'} is no file within a repo"
    if not class_name.isidentifier() or len(class_name) > LONGEST_NAME:
        return f"{printable(class_name) or 'nothing'} is no class name"
    return ""


def module_file(module: str) -> str | None:
    """The path of a dotted module; None when a part is no plain file name (`../x`, `/etc`, empty)."""
    parts = module.split(".")
    plain = all(part and part.isprintable() and not set(part) & set("/\\:\0") for part in parts)
    return f"{'/'.join(parts)}.py" if plain and len(module) <= LONGEST_NAME else None
