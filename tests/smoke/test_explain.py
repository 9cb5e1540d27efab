"""Logs and single errors explained: each shape on the words that vLLM uses, and logs as processes really write them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from porter.smoke.engine import advised
from porter.smoke.explain import advice, explain, explain_text, innermost
from porter.smoke.explain_log import LONGEST_LINE, Frame, cut_lines, raised
from porter.smoke.explain_shapes import SHAPES
from porter.smoke.report import Rung
from porter.smoke.rungs import RUNGS

PLANNED = {"tokens", "build", "weights", "batch", "schema", "init", "lora", "tp", "pp", "serve"}
HERE = Path(__file__).parent
SAMPLES = [tuple(line.split("\t")) for line in (HERE / "errors.tsv").read_text(encoding="utf-8").splitlines()]
REAL = sorted((HERE / "logs" / "real").glob("*.log"))
"""Engines of vLLM 0.32 on a CPU, each with one fault in the port or its arguments; middles cut, paths neutral."""
CHAIN = (HERE / "logs" / "in-turn.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "text"), SAMPLES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(SAMPLES)])
def test_each_error_is_recognised_by_its_own_words(name: str, text: str) -> None:
    found = explain_text(text)
    assert [cause.name for cause in found.causes] == [name]
    cause = found.causes[0]
    assert cause.line == 1 and cause.text
    assert not re.search(r"[{}]|\bNone\b|(?<!\w)\?(?!\w)", cause.cause), cause.cause
    assert advice(text).startswith(cause.cause)


def test_every_shape_is_tried_and_names_a_rung_that_there_is() -> None:
    assert {shape.name for shape in SHAPES} == {name for name, _ in SAMPLES}
    assert {shape.rung for shape in SHAPES} <= set(RUNGS) | PLANNED
    threads = {shape.name for shape in SHAPES if shape.threads}
    assert len({shape.name for shape in SHAPES}) >= 50 and len(threads) >= 40
    assert all(re.fullmatch(r"([\w.-]+)?#\d+", thread) for shape in SHAPES for thread in shape.threads)


def test_ordinary_lines_are_no_errors() -> None:
    text = """
    INFO 11-21 10:00:00 [core.py:1] Initializing a V1 LLM engine with config: trust_remote_code=True, quantization=None
    (EngineCore pid=7) INFO 11-21 10:00:01 [gpu.py:2] Available KV cache memory: 1.0 GiB
    UserWarning: The given NumPy array is not writable
    0 requests failed
    """
    found = explain_text(text)
    assert not found.causes and found.unknown is None and found.frame is None


def test_the_root_of_a_chain_is_named_though_processes_write_in_turn() -> None:
    found = explain_text(CHAIN)
    assert [cause.name for cause in found.causes] == ["config-attribute"]
    assert found.causes[0].line == 15 and "'sizes'" in found.causes[0].text
    assert found.frame == Frame("/ports/foo/foo_vl/modeling.py", 31, "__init__", "self.size = config.sizes")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda line: f"\x1b[0;36m{line}\x1b[0;0m",
        lambda line: f"2026-11-21T10:00:00.123456789Z {line}",
        lambda line: f"engine-1  | {line}",
        lambda line: f"[rank0]: {line}" if line.startswith("(E") else line,
        lambda line: f"{line}\r",
    ],
)
def test_colours_times_containers_and_ranks_change_nothing(wrap: object) -> None:
    text = "\n".join(wrap(line) for line in CHAIN.splitlines())  # type: ignore[operator]
    found = explain_text(text)
    assert [cause.name for cause in found.causes] == ["config-attribute"]


def test_headers_of_older_versions() -> None:
    text = """\
ERROR 10-26 11:35:32 registry.py:267] Error in inspecting model architecture 'FooVL'
ERROR 10-26 11:35:32 registry.py:267] Traceback (most recent call last):
ERROR 10-26 11:35:32 registry.py:267]   File "/opt/vllm/model_executor/models/foo.py", line 2, in <module>
ERROR 10-26 11:35:32 registry.py:267]     import flash_attn
ERROR 10-26 11:35:32 registry.py:267] ModuleNotFoundError: No module named 'flash_attn'
ERROR 10-26 11:35:32 registry.py:267]
ValueError: Model architectures ['FooVL'] failed to be inspected. Please check the logs for more details.
"""
    found = explain_text(text)
    assert [cause.name for cause in found.causes] == ["package-missing"]
    assert found.frame is not None and found.frame.file.endswith("models/foo.py")


UNKNOWN = """\
Traceback (most recent call last):
  File "/home/me/run.py", line 4, in <module>
    LLM("x")
  File "/venv/lib/python3.11/site-packages/vllm/entrypoints/llm.py", line 40, in __init__
    self.engine = make()
  File "/venv/lib/python3.11/site-packages/foo_vl/modeling.py", line 12, in embed
    return 1 / self.zero
  File "/venv/lib/python3.11/site-packages/torch/nn/module.py", line 1, in call
    return inner()
ZeroDivisionError: division by zero
RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}
"""


@pytest.mark.parametrize("log", REAL, ids=lambda path: path.stem)
def test_what_an_engine_really_wrote(log: Path) -> None:
    with log.open("rb") as stream:
        found = explain(cut_lines(stream))
    if log.stem == "unknown":
        assert not found.causes and found.unknown is not None and found.unknown.type == "FileNotFoundError"
        assert found.frame is not None and found.frame.file == "/ports/skylark-vl/skylark_vl/modeling.py"
    else:
        assert [cause.name for cause in found.causes] == [log.stem]
        line = log.read_bytes().split(b"\n")[found.causes[0].line - 1].decode()
        assert found.causes[0].text[-40:] in line


def test_there_are_logs_of_many_faults() -> None:
    assert len(REAL) >= 20


def test_an_unknown_error_shows_the_innermost_line_of_the_port() -> None:
    found = explain_text(UNKNOWN)
    assert found.causes == ()
    assert found.unknown is not None and found.unknown.type == "ZeroDivisionError"
    assert found.frame == Frame(
        "/venv/lib/python3.11/site-packages/foo_vl/modeling.py", 12, "embed", "return 1 / self.zero"
    )


def test_the_frame_that_is_shown() -> None:
    script = Frame("/home/me/run.py", 1, "<module>")
    core = Frame("/venv/lib/python3.11/site-packages/vllm/v1/core.py", 2, "start")
    model = Frame("/src/vllm/model_executor/models/foo.py", 3, "forward")
    torch = Frame("/venv/lib/python3.11/site-packages/torch/x.py", 4, "call")
    remote = Frame("/hf/modules/transformers_modules/foo/modeling_foo.py", 5, "forward")
    assert innermost([script, core, model, torch]) == model
    assert innermost([script, core, torch]) == core
    assert innermost([script, torch]) == torch
    assert innermost([script, core, remote, torch]) == remote
    assert innermost([script, core, model, torch], own=["torch"]) == torch
    assert innermost([]) is None


def test_only_the_last_word_in_the_log_still_explains_something() -> None:
    assert [c.name for c in explain_text("EngineDeadError: EngineCore encountered an issue.").causes] == ["engine-died"]


def test_a_segfault_shows_where_it_happened() -> None:
    text = """\
Fatal Python error: Segmentation fault

Current thread 0x00007f (most recent call first):
  File "/venv/lib/python3.11/site-packages/vllm/_custom_ops.py", line 3 in kernel
  File "/venv/lib/python3.11/site-packages/vllm/model_executor/models/foo.py", line 44 in forward
  File "/venv/lib/python3.11/site-packages/vllm/v1/core.py", line 9 in run
"""
    found = explain_text(text)
    assert [cause.name for cause in found.causes] == ["crash"]
    assert found.frame is not None and (found.frame.line, found.frame.function) == (44, "forward")


def endless(megabytes: int) -> Iterator[bytes]:
    yield CHAIN.encode()
    for _ in range(megabytes):
        yield bytes(range(256)) * 4096


def test_binary_junk_and_lines_without_an_end_are_passed_over() -> None:
    assert [cause.name for cause in explain(cut_lines(endless(4))).causes] == ["config-attribute"]
    assert max(len(line) for line in cut_lines([b"x" * 10_000_000, b"y" * 10_000_000, b"\nz"])) == LONGEST_LINE


def test_a_message_without_an_end_and_a_flood_of_processes_are_bounded() -> None:
    lines = [b"Traceback (most recent call last):", b'  File "/a.py", line 1, in f', b"ValueError: x"]
    lines += [b"  more words " * 200] * 5000
    lines += [b"(Worker_%d pid=%d) Traceback (most recent call last):" % (i, i) for i in range(2000)]
    found = [*raised(lines)]
    assert found[0].type == "ValueError" and len(found[0].message) <= 4000


def test_lines_are_cut_the_same_wherever_blocks_end() -> None:
    whole = CHAIN.encode()
    for size in (1, 7, 4096):
        assert [*cut_lines(whole[i : i + size] for i in range(0, len(whole), size))] == whole.rstrip(b"\n").split(b"\n")


def test_a_failed_rung_says_what_to_change() -> None:
    detail = "ValueError: Attempted to assign 3 = 3 multimodal tokens to 4 placeholders (utils.py:746 in merge)"
    told = advised(Rung("image", "failed", detail)).detail
    assert told.startswith(f"{detail} -> the model made 3 rows of features for 4 placeholder tokens: ")
    assert "get_num_image_tokens" in told
    assert advised(Rung("image", "skipped", detail)).detail == detail
    assert advised(Rung("image", "failed", "ZeroDivisionError: division")).detail == "ZeroDivisionError: division"
