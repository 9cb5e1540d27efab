"""REPO → Snapshot."""

from __future__ import annotations

from collections.abc import Iterable

from porter.errors import MissingFile, RepoError
from porter.hub.added_tokens import FILE as TOKENIZER
from porter.hub.added_tokens import added_tokens
from porter.hub.choice import ADAPTER_CONFIG
from porter.hub.files import (
    CONFIG,
    JSON_FILES,
    KNOWN_FILES,
    LICENSE_FILES,
    TEXT_FILES,
    LazyFiles,
    nested_configs,
    read_bytes,
    read_text,
    tokenizer_files,
)
from porter.hub.jsonfiles import MAX_BYTES, parse_object
from porter.hub.licence import licence_of
from porter.hub.local import LocalSource
from porter.hub.reference import parse_reference
from porter.hub.remote_code import read_remote_code
from porter.hub.snapshot import Snapshot
from porter.hub.source import Source
from porter.hub.tensors import read_tensors
from porter.jsontypes import JSONObject

TEMPLATE_FOLDER = "additional_chat_templates/"


def snapshot_of(repo: str, *, revision: str | None = None, offline: bool = False) -> Snapshot:
    """One repo at one commit. `repo` is an id, a local folder, or the link of a model page.

    Raises HubError, RepoError (MissingFile without a config.json), UsageError.
    """
    reference = parse_reference(repo, revision)
    if reference.folder is not None:
        return read_snapshot(LocalSource(reference.folder), offline)
    return read_snapshot(hub_source(reference.id, reference.revision, offline), offline)


def hub_source(repo: str, revision: str | None, offline: bool, tries: int = 3) -> Source:
    """Imported here: huggingface_hub costs more start-up time than all of porter, and a folder needs none of it."""
    from porter.hub.client import HubSource

    return HubSource.open(repo, revision, offline, tries=tries)


def read_snapshot(source: Source, offline: bool) -> Snapshot:
    sizes = source.sizes
    if CONFIG not in sizes:
        raise missing_config(source)
    json, text = read_json(source, json_names(sizes)), {}
    for name in json:
        text[name] = read_text(source, name)
    text.update((name, read_text(source, name)) for name in text_names(sizes))
    listed = added_tokens(source, json)
    if listed is not None:
        json[TOKENIZER] = listed
    code = read_remote_code(source, json, lambda other: hub_source(other, None, offline, tries=1))
    return Snapshot(
        repo=source.ref,
        json=json,
        text=text,
        python=code.python,
        auto_map=code.entries,
        missing_code=code.missing,
        tensors=read_tensors(source),
        absent=frozenset(name for name in KNOWN_FILES if name not in sizes),
        listing=tuple(sizes),
        license=licence_of(text),
        binary=LazyFiles(source, tokenizer_files(sizes)),
    )


def json_names(sizes: Iterable[str]) -> tuple[str, ...]:
    names = tuple(sizes)
    return (*(name for name in JSON_FILES if name in names), *nested_configs(names))


def text_names(sizes: Iterable[str]) -> tuple[str, ...]:
    names = tuple(sizes)
    templates = (name for name in names if name.startswith(TEMPLATE_FOLDER) and name.endswith(".jinja"))
    return (*(name for name in (*TEXT_FILES, *LICENSE_FILES) if name in names), *templates)


def read_json(source: Source, names: Iterable[str]) -> dict[str, JSONObject]:
    return {name: parse_object(read_bytes(source, name, MAX_BYTES), name) for name in names}


def missing_config(source: Source) -> MissingFile:
    names = [name for name in source.sizes if name.endswith((".gguf", ".safetensors", ".py"))]
    seen = f"; it has {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}" if names else ""
    return MissingFile(f"{source.ref.id} has no {CONFIG}{seen}", hint=instead(source), where=CONFIG)


def instead(source: Source) -> str:
    """What to give in place of a repo without a config.json."""
    base = adapted(source)
    if base is not None:
        return f"this is an adapter: give the model that it adapts, {base}"
    if any(name.endswith(".gguf") for name in source.sizes):
        return "porter reads safetensors: give the repo that the GGUF files were made from"
    return "give a Hugging Face model repo, or the folder inside it that has the config.json"


def adapted(source: Source) -> str | None:
    """The model that an adapter repo names as its own."""
    if ADAPTER_CONFIG not in source.sizes:
        return None
    try:
        base = read_json(source, (ADAPTER_CONFIG,))[ADAPTER_CONFIG].get("base_model_name_or_path")
    except RepoError:
        return None
    return base if isinstance(base, str) and base else None
