"""`porter inspect` on a screen: one glance, whatever the repo holds."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from porter.commands.reading import ModelResult
from porter.console import Console
from porter.facts.configs import Configs
from porter.facts.model import Confidence, Evidence, Fact, ModelFacts
from porter.facts.reading import RepoReading
from porter.families.base import Blocker, Condition, Level, Match, Verdict
from porter.hub.snapshot import RepoRef, Snapshot
from porter.jsontypes import JSON
from porter.render.model import next_command, show_inspect
from porter.render.words import quoted, set_option, short, short_source, words

TOWER: JSON = [{"kind": "siglip", "class": "Eye", "prefix": "vit", "hidden_size": 1152, "layers": 27, "native": None}]
CONNECTOR: JSON = {
    "kind": "mlp",
    "prefix": "mlp1",
    "layers": [
        {"op": "LayerNorm", "in": 64, "out": 64, "bias": True},
        {"op": "Linear", "in": 64, "out": 128, "bias": True},
        {"op": "GELU", "in": 128, "out": 128, "bias": None},
        {"op": "Linear", "in": 128, "out": 128, "bias": True},
    ],
}
LAYOUT: JSON = {
    "source": "index",
    "tensors": 340,
    "groups": [
        {
            "prefix": "vit",
            "role": "tower",
            "kind": "siglip",
            "tensors": 260,
            "patterns": [{"pattern": "vit.{0..26}.q"}],
        },
        {"prefix": "gene_qformer", "role": "extra", "kind": None, "tensors": 79, "patterns": []},
        {"prefix": "lm_head", "role": "head", "kind": None, "tensors": 1, "patterns": []},
    ],
    "disagreements": [],
}


def fact(name: str, value: JSON, sure: Confidence = Confidence.CERTAIN, note: str = "") -> Fact:
    evidence = (Evidence("config.json", name, str(value)),) if value is not None else ()
    return Fact(name, value, sure, evidence, note=note)


def facts_of(*more: Fact) -> ModelFacts:
    known = (
        fact("architecture", "OwlForCausalLM"),
        fact("model_type", "owl"),
        fact("image_size", 448),
        fact("image_context_token", "<ctx>", Confidence.GUESS, "by its name"),
        fact("vision_tower", TOWER, Confidence.LIKELY),
        fact("connector", CONNECTOR),
        fact("language_model", {"architecture": "LlamaForCausalLM", "prefix": "llm", "hidden_size": 128}),
    )
    return ModelFacts({one.name: one for one in (*known, *more)})


def verdict_of(level: Level, reasons: Sequence[str] = ("because",), **match: Any) -> Verdict:
    found = Match("internvl", "internvl", "InternVLChatModel", "InternVLProcessor", 0.9, **match)
    return Verdict(level, Confidence.LIKELY, tuple(reasons), match=found)


def result_of(verdict: Verdict | None, *more: Fact, repo: RepoRef | None = None) -> ModelResult:
    snapshot = Snapshot(repo or RepoRef("org/owl", "c" * 40, local=False))
    return ModelResult(reading=RepoReading(snapshot, facts_of(*more), Configs.__new__(Configs)), verdict=verdict)


def screen(
    capsys: pytest.CaptureFixture[str], verdict: Verdict | None, *more: Fact, verbose: bool = False, **repo: Any
) -> list[str]:
    show_inspect(Console(verbose=verbose), result_of(verdict, *more, **repo))
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_the_verdict_and_its_reason_come_first(capsys: pytest.CaptureFixture[str]) -> None:
    lines = screen(capsys, verdict_of("inherit", ["internvl fits"]))
    assert lines[0].startswith("org/owl")
    assert lines[1:3] == ["verdict: inherit (likely)", "  internvl fits"]


@pytest.mark.parametrize(("verbose", "shown"), [(False, 6), (True, 20)])
def test_many_reasons_are_folded(verbose: bool, shown: int, capsys: pytest.CaptureFixture[str]) -> None:
    lines = screen(capsys, verdict_of("refuse", [f"reason {number}" for number in range(20)]), verbose=verbose)
    assert sum(line.startswith("  reason") for line in lines) == shown
    assert ("  and 14 more (--verbose)" in lines) is not verbose


def test_parts_stand_with_their_weights_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(screen(capsys, None, fact("weights_layout", LAYOUT)))
    assert "tower: siglip, class Eye, hidden_size 1152, layers 27  [vit.*, 260 tensors]" in text
    assert "connector: LayerNorm 64 · Linear 64 → 128 · GELU · Linear 128 → 128  [mlp1.*]" in text
    assert "extra: 79 tensors under gene_qformer" in text
    assert "head: 1 tensor under lm_head" in text
    assert "vit.{0..26}.q" not in text


def test_the_patterns_of_the_weights_are_for_who_asks(capsys: pytest.CaptureFixture[str]) -> None:
    assert "vit.{0..26}.q" in "\n".join(screen(capsys, None, fact("weights_layout", LAYOUT), verbose=True))


def test_a_tower_that_only_its_tensors_tell(capsys: pytest.CaptureFixture[str]) -> None:
    unread = Fact("vision_tower", None, Confidence.UNKNOWN)
    text = "\n".join(screen(capsys, None, unread, fact("weights_layout", LAYOUT)))
    assert "tower: siglip by its tensors  [vit.*, 260 tensors]" in text


def test_known_facts_have_their_source_and_unknown_ones_one_line_per_group(capsys: pytest.CaptureFixture[str]) -> None:
    lines = screen(capsys, None)
    assert any(line.split() == ["image_size", "448", "certain", "config:", "image_size"] for line in lines)
    assert any(line.split()[:3] == ["image_context_token", "<ctx>", "guess"] for line in lines)
    assert sum(line.startswith("unknown (Image): ") for line in lines) == 1
    assert not any(line.strip().startswith("patch_size") for line in lines)


def test_a_conflict_names_the_winner_and_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    lines = screen(capsys, None, fact("image_size", 448, note="the tower's own image size is 64"))
    assert "  image_size = 448 (config.json: image_size): the tower's own image size is 64" in lines


def test_each_question_has_the_option_that_settles_it_and_is_asked_once(capsys: pytest.CaptureFixture[str]) -> None:
    uses = ("image_context_token", "image_context_token_id", "use_thumbnail", "use_thumbnail")
    lines = screen(capsys, verdict_of("inherit", uses=uses))
    asked = [line for line in lines if "--set" in line]
    assert [shlex.split(line)[1] for line in asked] == ["image_context_token=<ctx>", "use_thumbnail=true|false"]
    assert "a guess: by its name" in asked[0]


@pytest.mark.parametrize(("blocked", "asked"), [("use thumbnail", True), ("tower", False)])
def test_a_refusal_asks_only_what_would_lift_it(blocked: str, asked: bool, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = verdict_of("refuse", blockers=(Blocker(blocked, "why"),), uses=("use_thumbnail",))
    assert any("--set" in line for line in screen(capsys, verdict)) is asked


def test_how_to_serve_is_one_line_for_a_shell() -> None:
    folder = "/tmp/my models/it's $(x)\x1b[31m"
    for level, end in (("supported", []), ("transformers-backend", ["--model-impl", "transformers"])):
        result = result_of(verdict_of(level), repo=RepoRef("x", None, local=True, folder=folder))  # type: ignore[arg-type]
        command = next_command(result)
        assert command.isprintable()
        assert command.startswith("vllm serve ")
        read = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, text=True, check=True)
        assert read.stdout.split("\0")[:-1] == ["vllm", "serve", folder, *end]


def test_a_repo_of_the_hub_is_served_at_the_commit_that_was_read() -> None:
    assert next_command(result_of(verdict_of("supported"))) == f"vllm serve org/owl --revision {'c' * 40}"


HOSTILE = "\x1b[2J\x1b[1;1H\x9bm\r\n\nverdict: supported (certain)\n\u202e\u2066\x07[red]x[/red]"


def hostile_facts() -> Mapping[str, Fact]:
    names = (
        "architecture",
        "model_type",
        "image_placeholder",
        "license",
        "weights_layout",
        "security",
        "auto_map",
        "zzz",
    )
    values: tuple[JSON, ...] = (HOSTILE, {HOSTILE: {HOSTILE: HOSTILE}}, [HOSTILE, {HOSTILE: HOSTILE}], [[HOSTILE]])
    return {
        f"{name}-{index}": Fact(name, value, Confidence.LIKELY, (Evidence(HOSTILE, HOSTILE, HOSTILE),), note=HOSTILE)
        for name in (*names, "vision_tower", "connector", "language_model", "feature_path", "config_map", "buffers")
        for index, value in enumerate(values)
    }


@pytest.mark.parametrize("key", hostile_facts())
def test_a_repo_cannot_move_the_cursor_or_fake_a_line(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = verdict_of("refuse", [HOSTILE], blockers=(Blocker(HOSTILE, HOSTILE),), uses=("architecture", "license"))
    for verbose in (False, True):
        lines = screen(
            capsys, verdict, hostile_facts()[key], verbose=verbose, repo=RepoRef(HOSTILE, None, True, HOSTILE)
        )
        assert all(char.isprintable() for line in lines for char in line)
        assert [line for line in lines if line.startswith("verdict: ")] == ["verdict: refuse (likely)"]


def test_one_name_cannot_fill_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    lines = screen(capsys, verdict_of("refuse", ["a" * 10**6]), fact("architecture", "b" * 10**6))
    assert sum(map(len, lines)) < 10_000


@pytest.mark.parametrize("columns", [20, 40, 71, 80, 100])
def test_nothing_is_wider_than_the_screen(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("porter.console.PLAIN_WIDTH", columns)
    long = fact("license", "word " * 100, note="reason " * 60)
    lines = screen(capsys, verdict_of("inherit", ["why " * 50], uses=("use_thumbnail",)), long)
    assert all(len(line) <= columns for line in lines if not line.startswith(("next: ", "org/owl", "verdict: ")))
    assert any("448" in line for line in lines)


def test_values_in_words() -> None:
    assert short("  ") == '"  "'
    assert short("") == '""'
    assert short([0.48145466, 0.5]) == "[0.4815…, 0.5]"
    assert short("a" * 99).endswith("…")
    assert quoted("plain") == "plain"
    assert set_option(Fact("image_context_token", "<a b>", Confidence.GUESS)) == "--set 'image_context_token=<a b>'"
    assert set_option(Fact("image_size", None, Confidence.UNKNOWN)) == "--set image_size=NUMBER"


def test_two_levels_that_disagree_name_winner_and_reason(capsys: pytest.CaptureFixture[str]) -> None:
    values: JSON = [{"path": "image_size", "value": 448}, {"path": "vision_config.image_size", "value": 980}]
    found: JSON = [
        {"attribute": "image_size", "values": values, "winner": "vision_config.image_size", "reason": "built"}
    ]
    lines = screen(capsys, None, fact("config_conflicts", found))
    assert "  vision_config.image_size = 980 over image_size = 448: built" in lines


def test_why_not_the_transformers_backend(capsys: pytest.CaptureFixture[str]) -> None:
    states = ("holds", "unknown", "fails", "unknown", "fails")
    backend = tuple(Condition(f"c{number}", state, "so") for number, state in enumerate(states))  # type: ignore[arg-type]
    verdict = replace(verdict_of("inherit", ["fits", "why not the Transformers backend: long"]), backend=backend)
    text = "\n".join(screen(capsys, verdict))
    assert "Transformers backend: 1 of 5 conditions hold\n  fails: c2: so\n  fails: c4: so\n  unknown: c1: so\n" in text
    assert "why not" not in text
    assert "holds: c0: so" in "\n".join(screen(capsys, verdict, verbose=True))


def test_security_notes_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = screen(capsys, None, fact("security", ["code of another repo: a/b"]))
    assert lines[lines.index("Security") + 1] == "  code of another repo: a/b"


def test_why_something_is_unknown_is_for_who_asks(capsys: pytest.CaptureFixture[str]) -> None:
    unread = Fact("patch_size", None, Confidence.UNKNOWN, note="no file states it")
    assert "  patch_size: no file states it" in screen(capsys, None, unread, verbose=True)
    assert "no file states it" not in "\n".join(screen(capsys, None, unread))


def test_a_repo_whose_code_would_run_needs_trust_to_be_served() -> None:
    for trust in (True, False):
        command = next_command(result_of(replace(verdict_of("supported"), trust=trust)))
        assert command.endswith(" --trust-remote-code") is trust


def test_each_tower_has_its_own_tensors(capsys: pytest.CaptureFixture[str]) -> None:
    towers: JSON = [{"kind": "sam", "prefix": "model.sam"}, {"kind": "clip", "prefix": "model.vit"}]
    groups: JSON = [
        {"prefix": "model.sam", "role": "tower", "tensors": 3},
        {"prefix": "model.vit", "role": "tower", "tensors": 5},
    ]
    text = "\n".join(screen(capsys, None, fact("vision_tower", towers), fact("weights_layout", {"groups": groups})))
    assert "tower: sam  [model.sam.*, 3 tensors]" in text
    assert "tower: clip  [model.vit.*, 5 tensors]" in text


@pytest.mark.parametrize(
    ("file", "where", "shown"),
    [
        ("model_executor/models/internvl.py", "line 601", "internvl.py:601"),
        ("config.json", "vision_config.patch_size", "config: vision_config.patch_size"),
        ("tokenizer_config.json", "added_tokens_decoder.152066", "tokenizer_config: …tokens_decoder.152066"),
        ("README.md or LICENSE", "", "README.md or LICENSE"),
    ],
)
def test_a_source_fits_its_cell(file: str, where: str, shown: str) -> None:
    assert short_source(Fact("x", 1, Confidence.CERTAIN, (Evidence(file, where, ""),))) == shown


def test_what_the_tree_has_of_what_the_code_needs() -> None:
    needs: JSON = {"einops": "common.txt:44", "timm": None}
    assert words(Fact("dependencies_in_tree", needs, Confidence.LIKELY)) == "einops (common.txt:44), timm not"
    range_of: JSON = {"version": "5.19.0", "in_range": False}
    assert words(Fact("transformers_in_tree", range_of, Confidence.LIKELY)) == "5.19.0, outside the range"


def test_what_this_porter_cannot_write_is_not_the_next_step() -> None:
    assert "new-model" not in next_command(result_of(verdict_of("compose")))
