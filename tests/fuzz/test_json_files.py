"""Every JSON and text file of a repo, with any value in any place, through the real parser."""

from __future__ import annotations

import copy
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.command import porter
from tests.fuzz.hostile import BYTES, NUMBERS, STRINGS, paths_in, put, renamed, structures, texts
from tests.variants import variant

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "skylark-vl"
LONGER = int(os.environ.get("PORTER_FUZZ", "1"))
"""By hand: PORTER_FUZZ=100 with --hypothesis-profile=default looks at a hundred times as many cases."""
FILES = (
    "config.json", "generation_config.json", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json",
    "tokenizer.json", "preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json",
    "chat_template.json", "adapter_config.json", "model.safetensors.index.json", "vit/config.json",
)  # fmt: skip
BASES = ("plover-image-token", "wren-clip-nested", "osprey-prefixed", "heron-chat")
VALUES = st.sampled_from((*STRINGS, *NUMBERS, *structures())).map(copy.deepcopy)

pytestmark = pytest.mark.skipif(find_spec("vllm") is None, reason="this interpreter has no vLLM")


def examples(count: int) -> Any:
    return settings(max_examples=count * LONGER, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("bases")
    return [EXAMPLE, *(variant(name).build(root / name) for name in BASES)]


@contextmanager
def case(base: Path) -> Iterator[Path]:
    """A folder with a copy of a repo in `repo`."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(base, Path(folder) / "repo")
        yield Path(folder)


def stated(folder: Path, name: str) -> Any:
    path = folder / "repo" / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else copy.deepcopy(INVENTED.get(name, {}))


INVENTED: dict[str, Any] = {
    "processor_config.json": {"image_token": "<image>", "processor_class": "P", "image_seq_len": 4},
    "video_preprocessor_config.json": {"num_frames": 8, "size": {"height": 56, "width": 56}},
    "chat_template.json": {"chat_template": "{{ messages }}"},
    "adapter_config.json": {"peft_type": "LORA", "base_model_name_or_path": "a/b"},
    "model.safetensors.index.json": {"metadata": {"total_size": 4}, "weight_map": {"a.weight": "model.safetensors"}},
    "vit/config.json": {"hidden_size": 4, "model_type": "x"},
}


def write(folder: Path, name: str, data: str | bytes) -> None:
    path = folder / "repo" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))


def changed(data: st.DataObject, value: Any) -> Any:
    """`value` with one place replaced, renamed or wrapped."""
    where = data.draw(st.sampled_from(list(paths_in(value))))
    how = data.draw(st.sampled_from(("put", "put", "put", "rename", "add")))
    if how == "rename" and where and isinstance(where[-1], str):
        return renamed(value, where, data.draw(st.sampled_from(STRINGS)))
    if how == "add" and isinstance(value, dict):
        return {**value, data.draw(st.sampled_from(STRINGS)): data.draw(VALUES)}
    return put(value, where, data.draw(VALUES))


@examples(16)
@given(st.data())
def test_any_value_in_any_place(bases: list[Path], data: st.DataObject) -> None:
    with case(data.draw(st.sampled_from(bases))) as folder:
        for _ in range(data.draw(st.integers(1, 4))):
            name = data.draw(st.sampled_from(FILES))
            write(folder, name, json.dumps(changed(data, stated(folder, name))))
        command(data, folder)


def command(data: st.DataObject, folder: Path) -> None:
    """One of the ways in which a repo is read."""
    repo, target = str(folder / "repo"), folder / "port"
    ways = (
        ("inspect", repo), ("inspect", repo, "--json"), ("inspect", repo, "--verbose"),
        ("new-model", repo, "--plugin", str(target), "--dry-run", "--json"),
    )  # fmt: skip
    porter(*data.draw(st.sampled_from(ways)), "--offline", case=folder)
    assert not target.exists()


@examples(12)
@given(st.data())
def test_text_that_is_no_json(bases: list[Path], data: st.DataObject) -> None:
    with case(data.draw(st.sampled_from(bases))) as folder:
        name = data.draw(st.sampled_from(FILES))
        broken = data.draw(st.sampled_from((*texts(stated(folder, name)), *BYTES)))
        write(folder, name, broken)
        porter("inspect", str(folder / "repo"), "--json", "--offline", case=folder)
