"""A class that takes fewer images in one prompt than the ladder has: what is not run is told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

ONE, TWO = {"name": "one tile", "images": [{}]}, {"name": "two images", "images": [{}, {}]}


@pytest.mark.parametrize(("most", "run"), [(1, ["one tile"]), (2, ["one tile", "two images"])])
def test_prompts_with_more_images_than_the_class_takes_are_named(most: int, run: list[str], tmp_path: Path) -> None:
    from porter_worker.llm import Engine

    class Quick(Engine):
        def _one(self, prompt: dict[str, Any]) -> dict[str, Any]:
            return {"logprobs": np.zeros((1, 2)), "tokens": np.zeros(1)}

    engine = Quick({"max_images": 2, "out": str(tmp_path / "out"), "model": str(tmp_path)})
    engine.most_images = most
    said = engine.generate([ONE, TWO])
    assert [name for name in ("one tile", "two images") if f"{name}.tokens" in engine.arrays] == run
    assert ("not run" in said and "two images" in said) == (most == 1)
    assert engine.left_out == ({"two images"} if most == 1 else set())


@pytest.mark.parametrize("whole", [True, False])
def test_an_image_that_the_scheduler_keeps_whole_is_not_asked_to_be_split(whole: bool) -> None:
    from porter_worker.batch import Batches

    class Quick(Batches):
        def span(self, prompt: dict[str, Any]) -> tuple[int, int]:
            return 4, 8

        def answers(self, prompts: list[dict[str, Any]]) -> list[dict[str, Any]]:
            self.engine.asked.append(self.scheduler.max_num_scheduled_tokens)
            return [{}]

    scheduler: Any = SimpleNamespace(schedule=None, max_num_scheduled_tokens=64)
    scheduler.scheduler_config = SimpleNamespace(enable_chunked_prefill=True, disable_chunked_mm_input=whole)
    core = SimpleNamespace(engine_core=SimpleNamespace(engine_core=SimpleNamespace(scheduler=scheduler)))
    engine = SimpleNamespace(payload={"prompts": []}, arrays={}, asked=[], llm=SimpleNamespace(llm_engine=core))
    batches = Quick(engine)
    batches.scheduler = scheduler  # type: ignore[attr-defined]
    batches.split(ONE)
    assert batches.open == ["token budget that splits an image (this scheduler does not split images)"]
    assert engine.asked == ([] if whole else [8])
