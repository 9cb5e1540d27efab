"""No test reaches the network, the user's token or the user's caches unless it says so itself."""

from __future__ import annotations

import os
import tempfile

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


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[HOME].cleanup()
