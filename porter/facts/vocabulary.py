"""Special tokens and their ids, from every tokenizer file of a repo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from porter.facts.model import Evidence
from porter.hub.snapshot import Snapshot
from porter.jsontypes import JSONObject

MAX_ID = 2**31
TOKEN_LISTS = ("additional_special_tokens", "extra_special_tokens")


@dataclass(slots=True)
class Vocabulary:
    """Special tokens by string and by id. Where files disagree about a token the first one read wins, which is the
    order of READERS; `clashes` says so by token. `listed` are tokens that a file names without an id."""

    ids: dict[str, int] = field(default_factory=dict)
    tokens: dict[int, str] = field(default_factory=dict)
    sources: dict[str, list[Evidence]] = field(default_factory=dict)
    clashes: dict[str, str] = field(default_factory=dict)
    listed: dict[str, list[Evidence]] = field(default_factory=dict)

    def add(self, token: str, index: int, file: str, where: str) -> None:
        kept = self.ids.setdefault(token, index)
        other = self.tokens.setdefault(index, token)
        if kept != index:
            self.clashes[token] = (
                f"{token} is {kept} in {self.sources[token][0].file}, which wins over {index} in {file}"
            )
        elif other != token:
            self.clashes[token] = f"id {index} is {other} in {self.sources[other][0].file} and {token} in {file}"
            self.clashes.setdefault(other, self.clashes[token])
        self.sources.setdefault(token, []).append(Evidence(file, where, f"{index}: {token}"))

    def token(self, index: int) -> str | None:
        return self.tokens.get(index)

    def shown(self, token: str, limit: int = 2) -> tuple[Evidence, ...]:
        """Where files name a token: with its id, else without."""
        return tuple((self.sources.get(token) or self.listed.get(token) or [])[:limit])


def read_vocabulary(snapshot: Snapshot) -> Vocabulary:
    vocabulary = Vocabulary()
    for file, reader in READERS.items():
        entries = [entry for entry in reader(snapshot.json.get(file, {})) if _usable(entry[0], entry[1])]
        for index, token, where in sorted(entries):
            vocabulary.add(token, index, file, where)
    for token, source in _listed(snapshot):
        vocabulary.listed.setdefault(token, []).append(source)
    return vocabulary


def _usable(index: object, token: object) -> bool:
    whole = isinstance(index, int) and not isinstance(index, bool) and 0 <= index < MAX_ID
    return whole and isinstance(token, str) and bool(token)


Entries = Iterator[tuple[int, str, str]]


def _decoder(content: JSONObject) -> Entries:
    decoder = content.get("added_tokens_decoder")
    for key, entry in decoder.items() if isinstance(decoder, dict) else ():
        if len(key) < 12 and key.isdecimal():
            yield int(key), text_of(entry) or "", f"added_tokens_decoder.{key}"


def _added(content: JSONObject) -> Entries:
    for token, index in content.items():
        yield index if isinstance(index, int) else -1, token, token


def _fast(content: JSONObject) -> Entries:
    listed = content.get("added_tokens")
    for entry in listed if isinstance(listed, list) else []:
        index = entry.get("id") if isinstance(entry, dict) else None
        yield index if isinstance(index, int) else -1, text_of(entry) or "", f"added_tokens {index}"


READERS = {"tokenizer_config.json": _decoder, "added_tokens.json": _added, "tokenizer.json": _fast}


def text_of(entry: object) -> str | None:
    """The string of a token that a file gives as a string or as an object with `content`."""
    content = entry.get("content") if isinstance(entry, dict) else entry
    return content if isinstance(content, str) else None


def _listed(snapshot: Snapshot) -> Iterator[tuple[str, Evidence]]:
    """Tokens that a file names as special, with where."""
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        content = snapshot.json.get(file, {})
        for key in TOKEN_LISTS:
            group = content.get(key)
            members = group.items() if isinstance(group, dict) else enumerate(group) if isinstance(group, list) else ()
            for name, entry in members:
                token = text_of(entry)
                if token:
                    yield token, Evidence(file, f"{key}.{name}", token)
