"""The port of the bundled example and its whole ladder: made once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from porter.commands.new_model import NewModelRequest, new_model
from porter.commands.session import Settings
from porter.jsontypes import JSONObject
from porter.smoke.report import SmokeReport
from porter.smoke.rungs import DEFAULT, ON_REQUEST
from porter.smoke.subject import SmokeOptions
from tests.smoke.climbing import EXAMPLE, climb


@pytest.fixture(scope="session")
def port(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("port") / "skylark-vl"
    settings = Settings(python=sys.executable, offline=True)
    made = new_model(NewModelRequest(str(EXAMPLE), settings, plugin=out, yes=True, smoke=False, trust=True))
    assert made.error is None, made.error
    return out


@pytest.fixture(scope="session")
def events() -> list[JSONObject]:
    return []


@pytest.fixture(scope="session")
def report(port: Path, events: list[JSONObject], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmokeReport]:
    options = SmokeOptions(rungs=(*DEFAULT, *ON_REQUEST), trust=True, on_event=events.append)
    yield climb(port, tmp_path_factory.mktemp("room"), options)
