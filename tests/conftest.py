"""No test reaches the network, the user's token or the user's caches unless it says so itself."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import Phase, settings

# The same examples on every run: a new one is looked for by hand (`--hypothesis-profile=default`), never by CI.
settings.register_profile("porter", derandomize=True, deadline=None, phases=(Phase.explicit, Phase.generate))
settings.load_profile("porter")

HOME = pytest.StashKey["tempfile.TemporaryDirectory[str]"]()
REMOVED = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")


def pytest_configure(config: pytest.Config) -> None:
    """Set before any test module is imported: huggingface_hub reads these once."""
    config.stash[HOME] = tempfile.TemporaryDirectory(prefix="porter-tests-")
    for name in REMOVED:
        os.environ.pop(name, None)
    os.environ["HF_HOME"] = config.stash[HOME].name
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Of a tiny model's threads most only wait, and take a third of the processor's time for it.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[HOME].cleanup()


@pytest.fixture(scope="session")
def twin_repo(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Writes a repo of tests/twins when it is first asked for; skips where the installed transformers lacks it."""
    out = tmp_path_factory.mktemp("twins")

    @cache
    def written(name: str) -> Path:
        from tests.twins import NATIVES, TWINS, native, write_repo

        twin = {**TWINS, **NATIVES}[name]
        if not native.has(twin.family.name):
            pytest.skip("the installed transformers lacks this model")
        return write_repo(twin, out / name)

    return written
