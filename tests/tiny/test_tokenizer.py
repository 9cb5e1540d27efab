"""The stand-in tokenizer: byte symbols, specials with dense ids, ids carried into the configs."""

from __future__ import annotations

from pathlib import Path

import pytest

from porter.jsontypes import JSONObject
from porter.tiny import tokenizer
from porter.tiny.document import Documents

FILES: dict[str, JSONObject] = {
    "tokenizer_config.json": {
        "added_tokens_decoder": {
            "92546": {"content": "<IMG_CONTEXT>", "special": True},
            "2": {"content": "</s>", "special": True},
        },
        "eos_token": "</s>",
        "auto_map": {"AutoTokenizer": ["code.Tok", None]},
        "chat_template": "{{ messages }}",
    },
    "special_tokens_map.json": {"additional_special_tokens": ["<img>", {"content": "</img>"}], "pad_token": "</s>"},
}


def test_every_byte_has_its_own_symbol() -> None:
    symbols = tokenizer.byte_symbols()
    assert len(set(symbols)) == 256
    assert symbols[ord("A")] == "A"
    assert symbols[0x20] == "\u0120" and symbols[0x0A] == "\u010a"


def test_specials_are_ordered_by_their_old_id() -> None:
    made = tokenizer.stand_in(FILES, {"<img>": 92544})
    assert [*made.tokens] == ["</s>", "<img>", "<IMG_CONTEXT>", "</img>"]
    assert made.ids == {2: 256, 92544: 257, 92546: 258}
    assert made.rows % tokenizer.ROW_STEP == 0 and made.rows > max(made.tokens.values())


def test_the_repos_code_is_not_named_but_its_template_stays() -> None:
    config = tokenizer.stand_in(FILES, {}).files["tokenizer_config.json"]
    assert "auto_map" not in config
    assert config["chat_template"] == "{{ messages }}" and config["eos_token"] == "</s>"


def test_ids_are_rewritten_wherever_a_key_says_id() -> None:
    docs = Documents.of(
        {"config.json": {"eos_token_id": [2, 7], "image_token_index": 92546, "hidden_size": 2, "sub": {}}}
    )
    ids = tokenizer.stated_ids(docs)
    assert ids == {2, 7, 92546}
    made = tokenizer.stand_in(FILES, {}, ids)
    tokenizer.rewrite_ids(docs, made.ids)
    config = docs.files["config.json"]
    assert config["eos_token_id"] == [made.ids[2], made.ids[7]]
    assert config["image_token_index"] == made.tokens["<IMG_CONTEXT>"]
    assert config["hidden_size"] == 2


def test_the_tokenizers_library_reads_it(tmp_path: Path) -> None:
    import json

    import pytest

    library = pytest.importorskip("tokenizers")
    made = tokenizer.stand_in(FILES, {"<img>": None})
    (tmp_path / "tokenizer.json").write_text(json.dumps(made.files["tokenizer.json"]), encoding="utf-8")
    loaded = library.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    encoded = loaded.encode("A ü<img><IMG_CONTEXT>")
    assert encoded.ids == [65, 32, 0xC3, 0xBC, made.tokens["<img>"], made.tokens["<IMG_CONTEXT>"]]


@pytest.mark.parametrize(
    ("names", "config", "expected"),
    [
        (["tokenizer.json"], {}, True),
        (["vocab.json", "merges.txt"], {"tokenizer_class": "Qwen2Tokenizer"}, True),
        (["vocab.json", "merges.txt"], {"tokenizer_class": "Q", "auto_map": {"AutoProcessor": "x.Y"}}, True),
        (["vocab.json", "merges.txt"], {"tokenizer_class": "Q", "auto_map": {"AutoTokenizer": ["x.Y", None]}}, False),
        (["vocab.json", "merges.txt"], {}, False),
        (["vocab.json"], {"tokenizer_class": "Qwen2Tokenizer"}, False),
        (["tokenizer.model"], {"tokenizer_class": "LlamaTokenizer"}, False),
    ],
)
def test_a_tokenizer_that_files_alone_make_is_used(names: list[str], config: JSONObject, expected: bool) -> None:
    assert tokenizer.has_real_tokenizer(names, {"tokenizer_config.json": config}) is expected
