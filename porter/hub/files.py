"""Which files of a repo are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from porter.errors import RepoError
from porter.hub.source import Source

CONFIG = "config.json"
JSON_FILES = (
    CONFIG,
    "tokenizer_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
    "chat_template.json",
    "video_preprocessor_config.json",
    "adapter_config.json",
)
TEXT_FILES = ("chat_template.jinja", "README.md")
LICENSE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "LICENCE.txt")
KNOWN_FILES = (*JSON_FILES, *TEXT_FILES, *LICENSE_FILES)
TOKENIZER_FILES = frozenset({"tokenizer.json", "vocab.json", "merges.txt", "vocab.txt"})
TOKENIZER_SUFFIXES = (".model", ".tiktoken")
MAX_NESTED_CONFIGS = 32
MAX_TEXT = 4 * 1024 * 1024
MAX_BINARY = 64 * 1024 * 1024


class LazyFiles(Mapping[str, str]):
    """Name -> path on this machine; a file is fetched when its path is first asked for."""

    def __init__(self, source: Source, names: Iterable[str]) -> None:
        self._source = source
        self._names = tuple(names)

    def __getitem__(self, name: str) -> str:
        if name not in self._names:
            raise KeyError(name)
        return str(self._source.path(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def tokenizer_files(sizes: Mapping[str, int | None]) -> tuple[str, ...]:
    """Files that a tokenizer is built from, in the top folder, of a size that a tokenizer can have."""
    return tuple(
        name
        for name, size in sizes.items()
        if "/" not in name
        and (name in TOKENIZER_FILES or name.endswith(TOKENIZER_SUFFIXES))
        and (size is None or size <= MAX_BINARY)
    )


def nested_configs(names: Iterable[str]) -> tuple[str, ...]:
    """Configs of parts that a repo keeps in folders of their own, e.g. `google/siglip-x/config.json`."""
    found = [name for name in names if "/" in name and PurePosixPath(name).name == CONFIG]
    return tuple(sorted(found, key=lambda name: (name.count("/"), name))[:MAX_NESTED_CONFIGS])


def read_bytes(source: Source, name: str, limit: int) -> bytes:
    """A whole small file. Raises RepoError when it is larger than `limit` bytes or unreadable."""
    size = source.sizes.get(name)
    if size is not None and size > limit:
        raise RepoError(f"{name} has {size} bytes; porter reads at most {limit} of such a file", where=name)
    try:
        with source.path(name).open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise RepoError(f"{name} cannot be read: {error.strerror}", where=name) from error
    if len(data) > limit:
        raise RepoError(f"{name} is larger than {limit} bytes", where=name)
    return data


def read_text(source: Source, name: str) -> str:
    """Text for reading only: bytes that are not UTF-8 show as replacement characters."""
    return read_bytes(source, name, MAX_TEXT).decode("utf-8-sig", errors="replace")
