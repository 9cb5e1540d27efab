"""Writes the tokenizer files of a small repo: a byte-level BPE of 256 bytes, a few merges and the special tokens.

python examples/byte_tokenizer.py FOLDER TOKEN... --eos TOKEN --pad TOKEN
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MERGES = (
    ("Ġ", "t"), ("h", "e"), ("i", "n"), ("Ġ", "a"), ("r", "e"), ("o", "n"), ("Ġt", "he"), ("e", "r"),
    ("a", "t"), ("i", "s"), ("o", "u"), ("Ġ", "s"), ("e", "n"), ("in", "g"), ("o", "r"), ("a", "n"),
    ("Ġ", "w"), ("i", "t"), ("Ġ", "o"), ("e", "s"), ("u", "s"), ("Ġ", "i"), ("a", "l"), ("m", "a"),
)  # fmt: skip

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


@dataclass(frozen=True)
class TokenizerSpec:
    """`specials` in id order, after the bytes and the first `merges` merges."""

    specials: tuple[str, ...]
    eos: str
    pad: str
    bos: str | None = None
    merges: int = len(MERGES)
    chat_template: str | None = CHATML
    template_file: bool = False
    added_tokens_file: bool = True
    model_max_length: int = 2048

    def ids(self) -> dict[str, int]:
        """Every special token with its id."""
        return {token: 256 + self.merges + index for index, token in enumerate(self.specials)}


def byte_symbols() -> list[str]:
    """One printable character per byte, the printable bytes as themselves (the usual byte-level alphabet)."""
    printable = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(spare)) for byte in range(256)]


def added_token(content: str) -> dict[str, object]:
    flags = dict.fromkeys(("lstrip", "normalized", "rstrip", "single_word"), False)
    return {"content": content, **flags, "special": True}


def tokenizer_json(spec: TokenizerSpec) -> dict[str, object]:
    merges = MERGES[: spec.merges]
    symbols = byte_symbols() + [left + right for left, right in merges]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": index, **added_token(token)} for token, index in spec.ids().items()],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": {**byte_level, "use_regex": False},
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {symbol: index for index, symbol in enumerate(symbols)},
            "merges": [f"{left} {right}" for left, right in merges],
        },
    }


def tokenizer_config(spec: TokenizerSpec) -> dict[str, object]:
    named = {spec.eos, spec.pad, spec.bos}
    config: dict[str, object] = {
        "add_prefix_space": False,
        "added_tokens_decoder": {str(index): added_token(token) for token, index in spec.ids().items()},
        "additional_special_tokens": [token for token in spec.specials if token not in named],
        "bos_token": spec.bos,
        "clean_up_tokenization_spaces": False,
        "eos_token": spec.eos,
        "model_max_length": spec.model_max_length,
        "pad_token": spec.pad,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": None,
    }
    if spec.chat_template is not None and not spec.template_file:
        config["chat_template"] = spec.chat_template
    return config


def special_tokens_map(spec: TokenizerSpec) -> dict[str, object]:
    named = {"bos_token": spec.bos, "eos_token": spec.eos, "pad_token": spec.pad}
    rest = [token for token in spec.specials if token not in named.values()]
    return {"additional_special_tokens": rest, **{key: added_token(token) for key, token in named.items() if token}}


def dump(path: Path, value: Mapping[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_tokenizer(folder: Path, spec: TokenizerSpec) -> dict[str, int]:
    """Writes the files into `folder`; returns the special tokens with their ids."""
    dump(folder / "tokenizer.json", tokenizer_json(spec))
    dump(folder / "tokenizer_config.json", tokenizer_config(spec))
    dump(folder / "special_tokens_map.json", special_tokens_map(spec))
    if spec.added_tokens_file:
        dump(folder / "added_tokens.json", spec.ids())
    if spec.chat_template is not None and spec.template_file:
        (folder / "chat_template.jinja").write_text(spec.chat_template + "\n", encoding="utf-8")
    return spec.ids()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("tokens", nargs="+")
    parser.add_argument("--eos", required=True)
    parser.add_argument("--pad", required=True)
    parser.add_argument("--template-file", action="store_true")
    args = parser.parse_args(argv)
    spec = TokenizerSpec(tuple(args.tokens), eos=args.eos, pad=args.pad, template_file=args.template_file)
    write_tokenizer(args.folder, spec)


if __name__ == "__main__":
    main()
