"""What a ladder is run on, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from porter.facts.reading import RepoReading
from porter.jsontypes import JSONObject
from porter.smoke.devices import PLAIN, EngineChoice
from porter.smoke.inputs import NO_SIGN, Sign, sign_of

Progress = Callable[[JSONObject], None]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is run: a reading of the repo, and the port that serves it.

    `plugin` is (folder that contains the package, module), `path` are further entries for the worker's module path (an
    overlay of a source tree); neither: vLLM's own class. `embed_method` is the tree's name for it (its contract).
    `own_config`: the plugin brings a config class, so that vLLM itself never needs the repo's code. `root`: the source
    tree that a port stands in, for its tests. `silent`: the class puts images into the prompt by itself, nothing stands
    for them there.
    """

    reading: RepoReading
    plugin: tuple[Path, str] | None = None
    path: tuple[Path, ...] = ()
    embed_method: str = "embed_multimodal"
    own_config: bool = True
    root: Path | None = None
    silent: bool = False

    @property
    def ported(self) -> bool:
        return self.plugin is not None or bool(self.path)

    @property
    def sign(self) -> Sign:
        """What stands for an image in the prompts of this class."""
        return NO_SIGN if self.silent else sign_of(self.reading)

    def untold(self, options: SmokeOptions) -> bool:
        """Whether vLLM would run the repo's own config class here, and may not."""
        return not options.trust and (self.plugin is None or not self.own_config)


@dataclass(frozen=True, slots=True)
class SmokeOptions:
    """`rungs` empty = those that run unasked. `trust`: workers may execute the repo's code. `seed` draws the first set.

    `choice`: the device, the weights and the processes of the engine.
    """

    rungs: tuple[str, ...] = ()
    trust: bool = False
    parity: bool = True
    seed: int = 0
    image: Path | None = None
    on_event: Progress | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    choice: EngineChoice = PLAIN
