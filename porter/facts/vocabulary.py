"""Special tokens and their ids, from every tokenizer file of a repo."""

from __future__ import annotations

from dataclasses import dataclass, field

from porter.facts.model import Evidence
from porter.hub.snapshot import Snapshot


@dataclass(slots=True)
class Vocabulary:
    """Special tokens by string and by id, from every tokenizer file that the snapshot holds."""

    ids: dict[str, int] = field(default_factory=dict)
    sources: dict[str, list[Evidence]] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)

    def add(self, token: str, index: int, file: str, where: str) -> None:
        if self.ids.setdefault(token, index) != index:
            self.conflicts.append(f"{token}: {self.ids[token]} and {index} ({file})")
        self.sources.setdefault(token, []).append(Evidence(file, where, f"{index}: {token}"))

    def token(self, index: int) -> str | None:
        return next((token for token, found in self.ids.items() if found == index), None)


def read_vocabulary(snapshot: Snapshot) -> Vocabulary:
    vocabulary = Vocabulary()
    decoder = snapshot.json.get("tokenizer_config.json", {}).get("added_tokens_decoder")
    for key, entry in decoder.items() if isinstance(decoder, dict) else ():
        content = entry.get("content") if isinstance(entry, dict) else None
        if isinstance(content, str) and key.lstrip("-").isdigit():
            vocabulary.add(content, int(key), "tokenizer_config.json", f"added_tokens_decoder.{key}")
    for token, index in snapshot.json.get("added_tokens.json", {}).items():
        if isinstance(index, int) and not isinstance(index, bool):
            vocabulary.add(token, index, "added_tokens.json", token)
    listed = snapshot.json.get("tokenizer.json", {}).get("added_tokens")
    for entry in listed if isinstance(listed, list) else []:
        content, index = (entry.get("content"), entry.get("id")) if isinstance(entry, dict) else (None, None)
        if isinstance(content, str) and isinstance(index, int):
            vocabulary.add(content, index, "tokenizer.json", f"added_tokens {index}")
    return vocabulary
