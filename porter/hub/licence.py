"""The licence that a repo states: its model card's front matter, else the first line of its licence file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from porter.hub.files import LICENSE_FILES

LONGEST = 80


def licence_of(text: Mapping[str, str]) -> str | None:
    """`text` holds the files of the repo; None when nothing is stated."""
    card = dict(front_matter(text.get("README.md", "")))
    if card.get("license") == "other":
        return card.get("license_name") or "other"
    if card.get("license"):
        return card["license"]
    titles = (title_of(text[name]) for name in LICENSE_FILES if name in text)
    return next((title for title in titles if title), None)


def front_matter(card: str) -> Iterator[tuple[str, str]]:
    """Top-level `key: value` pairs between the first two `---` lines; of a list value the first item."""
    lines = card.lstrip("\ufeff \r\n").splitlines()
    if not lines or lines[0].strip() != "---":
        return
    pending = ""
    for line in lines[1:]:
        if line.strip() == "---":
            return
        key, colon, value = line.partition(":")
        if pending and line.lstrip().startswith("- "):
            yield pending, scalar(line.lstrip()[2:])
            pending = ""
        elif colon and key and not key[0].isspace():
            pending = "" if scalar(value) else key.strip()
            yield key.strip(), scalar(value)


def scalar(value: str) -> str:
    """A plain YAML scalar without its quotes and its comment."""
    text = value.strip()
    if text[:1] in {'"', "'"}:
        return text[1:].split(text[0], maxsplit=1)[0].strip()
    return text.split(" #", maxsplit=1)[0].strip()[:LONGEST]


def title_of(licence: str) -> str | None:
    """The first line with text, without Markdown marks."""
    lines = (line.strip(" #*=\t") for line in licence.splitlines())
    return next((line[:LONGEST] for line in lines if line), None)
