"""The command line: flags in, one call, one render. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict

import typer

from porter.boundary import Call, guarded
from porter.commands.session import Settings
from porter.options import (
    Also,
    Common,
    Consent,
    EngineFlags,
    FactsFile,
    ImageFile,
    LogArgument,
    NamesOnly,
    Native,
    NoParity,
    NoSmoke,
    Plugin,
    PortArgument,
    PortShape,
    RepoArgument,
    RepoOption,
    ReportFile,
    Rungs,
    SaveFacts,
    Seed,
    SetFacts,
    Timeout,
    TreeTarget,
    Trust,
    Version,
    Yes,
    with_groups,
)

app = typer.Typer(
    name="porter",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    epilog="Exit codes: 0 nothing failed, 1 something did, 2 usage, 3 a bug in porter, 130 interrupted.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point: returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return guarded(lambda: app(args=words, prog_name="porter", standalone_mode=False), words)


@app.callback()
def porter(version: Version = False) -> None:
    """From a Hugging Face vision-language repo to a vLLM port whose numbers equal the repo's own code."""


@app.command("inspect")
@with_groups
def inspect(repo: RepoArgument, save_facts: SaveFacts = None, *, common: Common) -> Call:
    """Show the verdict, the facts with their evidence, and what is open. Writes nothing."""
    from porter.commands.inspect import InspectRequest
    from porter.commands.inspect import inspect as run
    from porter.render.model import show_inspect

    request = InspectRequest(repo, settings(common), save_facts)
    return Call("inspect", common, lambda console: run(request, console), show_inspect)


@app.command("new-model")
@with_groups
def new_model(
    repo: RepoArgument,
    plugin: Plugin = None,
    tree: TreeTarget = None,
    facts: FactsFile = None,
    sets: SetFacts = None,
    *,
    consent: Consent,
    no_smoke: NoSmoke = False,
    shape: PortShape,
    seed: Seed = 0,
    trust: Trust = False,
    common: Common,
) -> Call:
    """Write a port: inspect, plan, diff, write, then check-weights and smoke-test."""
    from porter.commands.new_model import NewModelRequest
    from porter.commands.new_model import new_model as run
    from porter.render.new_model import show

    request = NewModelRequest(
        repo=repo,
        settings=settings(common),
        plugin=plugin,
        tree=tree,
        facts=facts,
        sets=sets or (),
        smoke=not no_smoke,
        seed=seed,
        trust=trust,
        **asdict(consent),
        **asdict(shape),
    )
    return Call("new-model", common, lambda console: run(request, console), show)


@app.command("check-weights")
@with_groups
def check_weights(
    port: PortArgument = None,
    repo: RepoOption = None,
    names_only: NamesOnly = False,
    also: Also = None,
    native: Native = False,
    trust: Trust = False,
    *,
    common: Common,
) -> Call:
    """Hold every checkpoint tensor against every parameter, from headers."""
    from porter.commands.check_weights import CheckWeightsRequest
    from porter.commands.check_weights import check_weights as run
    from porter.commands.subject import PortChoice
    from porter.render.checks import show_weights

    choice = PortChoice(port, repo, native)
    request = CheckWeightsRequest(choice, settings(common), names_only, also or (), trust)
    return Call("check-weights", common, lambda console: run(request, console), show_weights)


@app.command("smoke-test")
@with_groups
def smoke_test(
    port: PortArgument = None,
    repo: RepoOption = None,
    rungs: Rungs = None,
    no_parity: NoParity = False,
    image: ImageFile = None,
    timeout: Timeout = 600.0,
    report: ReportFile = None,
    *,
    engine: EngineFlags,
    native: Native = False,
    trust: Trust = False,
    common: Common,
) -> Call:
    """Climb the ladder: from config, tokens and weights to a running engine, and the proof (parity)."""
    from porter.commands.smoke_test import SmokeTestRequest
    from porter.commands.smoke_test import smoke_test as run
    from porter.commands.subject import PortChoice
    from porter.render.checks import show_smoke
    from porter.smoke.devices import engine_choice

    request = SmokeTestRequest(
        choice=PortChoice(port, repo, native),
        settings=settings(common),
        rungs=[name.strip() for name in rungs.split(",")] if rungs else (),
        parity=not no_parity,
        image=image,
        timeout=timeout,
        report=report,
        trust=trust,
        engine=engine_choice(**asdict(engine)),
    )
    return Call("smoke-test", common, lambda console: run(request, console), show_smoke)


@app.command("undo")
@with_groups
def undo(port: PortArgument = None, yes: Yes = False, *, common: Common) -> Call:
    """Take a port out again: the bytes from before come back."""
    from porter.commands.undo import UndoRequest
    from porter.commands.undo import undo as run
    from porter.render.undo import show

    return Call("undo", common, lambda console: run(UndoRequest(port, yes), console), show)


@app.command("explain")
@with_groups
def explain(logfile: LogArgument, *, common: Common) -> Call:
    """Explain a vLLM log or traceback: cause, what to change in the port, and the rung that shows it earlier."""
    from porter.commands.explain import explain as run
    from porter.render.explain import show

    return Call("explain", common, lambda console: run(logfile), show)


@app.command("doctor")
@with_groups
def doctor(*, common: Common) -> Call:
    """Show what this machine can do."""
    from porter.commands.doctor import doctor as run
    from porter.render.doctor import show

    return Call("doctor", common, lambda console: run(settings(common), console), show)


def settings(common: Common) -> Settings:
    return Settings(
        python=common.python,
        vllm=common.vllm,
        revision=common.revision,
        offline=common.offline,
        strict=common.strict,
        log=common.log,
    )
