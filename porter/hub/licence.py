"""The licence that a repo states: in its model card's front matter, its licence file, or its config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from porter.hub.files import CONFIG, LICENSE_FILES
from porter.jsontypes import JSONObject

LONGEST = 80
CARD = "README.md"
TITLES: Mapping[str, str] = {
    "apache license": "apache-2.0",
    "apache license, version 2.0": "apache-2.0",
    "bsd 2-clause license": "bsd-2-clause",
    "bsd 3-clause license": "bsd-3-clause",
    "isc license": "isc",
    "mit license": "mit",
    "mozilla public license version 2.0": "mpl-2.0",
    "the mit license": "mit",
    "the mit license (mit)": "mit",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """A licence as a file states it; `text` are its words, `name` the Hub's name for them where one is known."""

    file: str
    where: str
    text: str

    @property
    def name(self) -> str:
        return TITLES.get(self.text.lower(), self.text)


def licence_of(text: Mapping[str, str]) -> str | None:
    """`text` holds the files of the repo; None when nothing is stated."""
    return next((statement.text for statement in statements(text, {})), None)


def statements(text: Mapping[str, str], config: JSONObject) -> Iterator[Statement]:
    """Everything that states a licence, what people wrote about the model first."""
    card = dict(front_matter(text.get(CARD, "")))
    if card.get("license") == "other":
        yield Statement(CARD, "license_name", card.get("license_name") or "other")
    elif card.get("license"):
        yield Statement(CARD, "license", card["license"])
    for name in LICENSE_FILES:
        title = title_of(text[name]) if name in text else None
        if title:
            yield Statement(name, "title", title)
    stated = config.get("license")
    if isinstance(stated, str) and stated.strip():
        yield Statement(CONFIG, "license", stated.strip()[:LONGEST])


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
