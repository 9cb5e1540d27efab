"""Options as named types, so that a command's signature reads as a sentence; help text is written once, here."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from porter import __version__


def print_version(value: bool) -> None:
    if value:
        typer.echo(f"porter {__version__}")
        raise typer.Exit()


Version = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=print_version, help="Show the version and exit.")
]
RepoArgument = Annotated[str, typer.Argument(metavar="REPO", help="Hub id, local folder, or link to a model page.")]
LogArgument = Annotated[str, typer.Argument(metavar="LOGFILE|-", help="A log of vLLM, or - for stdin.")]
PortArgument = Annotated[
    str | None,
    typer.Argument(metavar="[PORT]", help="Plugin folder or TREE::MODULE; default: the port around this folder."),
]
RepoOption = Annotated[str | None, typer.Option("--repo", metavar="REPO", help="Use this repo, not the recorded one.")]
Native = Annotated[bool, typer.Option("--native", help="With --repo and no PORT: vLLM's own class.")]
Trust = Annotated[
    bool, typer.Option("--trust-remote-code", help="Let workers run the repo's own code (never porter itself).")
]
Plugin = Annotated[
    Path | None, typer.Option("--plugin", metavar="DIR", help="Write an installable plugin. Default: ./<name>-vllm.")
]
TreeTarget = Annotated[
    Path | None, typer.Option("--tree", metavar="DIR", help="Write into this vLLM source tree instead.")
]
FactsFile = Annotated[
    Path | None, typer.Option("--facts", metavar="FILE", help="Facts that win over inferred ones (TOML).")
]
SetFacts = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FACT=VALUE", help="Settle one fact; may be repeated. Wins over --facts."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Agree to the plan: never to trust, a guess or overwriting.")]
Force = Annotated[bool, typer.Option("--force", help="Replace files that hold something else; backups stay.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the diff, write nothing.")]
NoSmoke = Annotated[bool, typer.Option("--no-smoke", help="Check the weights only, do not run the port.")]
FamilyName = Annotated[
    str | None, typer.Option("--family", metavar="NAME", help="Port by this family, whatever fits better.")
]
PortLevel = Annotated[
    str | None,
    typer.Option("--level", metavar="inherit|compose", help="Write a port where none is needed; never over a refusal."),
]
OwnConfig = Annotated[
    bool | None,
    typer.Option("--own-config/--remote-config", help="Bring a config class, or use the repo's.", show_default=False),
]
RepoId = Annotated[
    str | None, typer.Option("--repo-id", metavar="ORG/NAME", help="The Hub id of a local folder, for a tree.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the weights that the proof draws.")]
NamesOnly = Annotated[bool, typer.Option("--names-only", help="Compare names, leave shapes out.")]
Also = Annotated[
    list[str] | None,
    typer.Option("--also", metavar="REPO", help="Another checkpoint for the same port; may be repeated."),
]
Rungs = Annotated[
    str | None, typer.Option("--rungs", metavar="A,B", help="Only these, with their prerequisites.", show_default="all")
]
DeviceChoice = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cuda or cpu.")]
WeightsChoice = Annotated[
    str, typer.Option("--weights", metavar="KIND", help="tiny (shrunk), dummy (full size, random) or real.")
]
Lora = Annotated[bool, typer.Option("--lora", help="Also run the engine with a LoRA adapter on every target.")]
Serve = Annotated[bool, typer.Option("--serve", help="Also ask vLLM's OpenAI-compatible server about an image.")]
TensorParallel = Annotated[int, typer.Option("--tp", metavar="N", help="Also run over N tensor-parallel processes.")]
PipelineParallel = Annotated[int, typer.Option("--pp", metavar="N", help="Also run over N pipeline stages.")]
ExecutorBackend = Annotated[
    str | None, typer.Option("--distributed-executor-backend", metavar="NAME", help="vLLM's executor: mp or ray.")
]
NoParity = Annotated[bool, typer.Option("--no-parity", help="Do not compare with the repo's own code.")]
ImageFile = Annotated[Path | None, typer.Option("--image", metavar="FILE", help="Use this picture.")]
Timeout = Annotated[float, typer.Option("--timeout", metavar="S", min=1, help="Seconds that one rung may take.")]
ReportFile = Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write the JSON report here too.")]
SaveFacts = Annotated[
    Path | None, typer.Option("--save-facts", metavar="FILE", help="Write the facts as an editable TOML file.")
]


@dataclass(frozen=True, slots=True)
class Common:
    """The options that every command has."""

    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of the repo.")] = None
    python: Annotated[
        str, typer.Option(metavar="PATH", help="Interpreter whose vLLM is used.", show_default="porter's own")
    ] = sys.executable
    vllm: Annotated[
        Path | None, typer.Option(metavar="DIR", help="vLLM to read: a source tree or an installed package.")
    ] = None
    offline: Annotated[bool, typer.Option("--offline", help="Use only what the Hub cache holds.")] = False
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", help="Nothing on stdout; the exit code tells.")] = False
    verbose: Annotated[bool, typer.Option("--verbose", help="More on stderr.")] = False
    strict: Annotated[bool, typer.Option("--strict", help="Skipped and unproven checks also exit 1.")] = False
    log: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep what workers print here.")] = None
    version: Version = False


@dataclass(frozen=True, slots=True)
class Consent:
    """What `new-model` may do without asking, or not at all."""

    dry_run: DryRun = False
    yes: Yes = False
    force: Force = False


@dataclass(frozen=True, slots=True)
class PortShape:
    """Which port `new-model` shall write."""

    family: FamilyName = None
    level: PortLevel = None
    own_config: OwnConfig = None
    repo_id: RepoId = None


@dataclass(frozen=True, slots=True)
class EngineFlags:
    """The engine that `smoke-test` shall run."""

    device: DeviceChoice = "auto"
    weights: WeightsChoice = "tiny"
    lora: Lora = False
    serve: Serve = False
    tp: TensorParallel = 1
    pp: PipelineParallel = 1
    executor: ExecutorBackend = None


def with_groups(function: Callable[..., Any]) -> Callable[..., Any]:
    """Replaces each parameter that is a group of options by its fields: Typer knows no groups of its own."""
    hints = get_type_hints(function, include_extras=True)
    given = inspect.signature(function).parameters
    groups = {name: hints[name] for name in given if is_dataclass(hints[name])}
    merged = [
        parameter
        for name, one in given.items()
        for parameter in (_spread(groups[name]) if name in groups else [_keyword(name, one.default, hints[name])])
    ]

    @functools.wraps(function)
    def wrapper(**values: Any) -> Any:
        made = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        return function(**made, **values)

    wrapper.__signature__ = inspect.Signature(merged)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in merged}
    del wrapper.__wrapped__
    return wrapper


def _spread(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [_keyword(field.name, field.default, hints[field.name]) for field in fields(group)]


def _keyword(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
