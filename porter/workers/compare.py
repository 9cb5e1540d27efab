"""Job: the numbers of two result files side by side. Needs numpy only.

Request  {pairs: [{set, reference, engine}], prompts: [name]}
Answer   {rows: [{set, prompt, ids_equal, greedy_equal, max_logprob_diff, embed_diff, steps, ids}],
          places: [{set, prompt, ...}]}  (see `differences`; of the recordings that lie beside the results)

`max_logprob_diff` is absolute, over all steps up to the first where the greedy tokens part; `embed_diff` is relative to
the largest reference value, null where one side has no embeddings or their shapes differ.
"""

from __future__ import annotations

import math
import traceback
from pathlib import Path
from typing import Any

from porter_worker import differences, runtime, stages, steps


def embed_diff(left: Any, right: Any) -> float | None:
    import numpy as np

    if left is None or right is None or left.shape != right.shape:
        return None
    scale = float(np.abs(left).max()) or 1.0
    return float(np.abs(left.astype(np.float64) - right.astype(np.float64)).max() / scale)


def compare_prompt(name: str, reference: Any, engine: Any) -> dict[str, Any]:
    """One row; a prompt that one side lacks has only nulls."""
    import numpy as np

    if f"{name}.ids" not in reference or f"{name}.ids" not in engine:
        return dict.fromkeys(("ids_equal", "greedy_equal", "max_logprob_diff", "embed_diff", "steps", "ids"))
    sides = (reference, engine)
    left, right = (steps.answer(side, name) for side in sides)
    ids_equal = bool(np.array_equal(left["ids"], right["ids"]))
    walked = list(steps.steps(left, right))
    gap = max((step.gap for step in walked), default=math.inf)
    embeds = [dict(side).get(f"{name}.embeds") for side in sides]
    return {
        "ids_equal": ids_equal,
        "greedy_equal": bool(np.array_equal(left["tokens"], right["tokens"])),
        "max_logprob_diff": gap if ids_equal and math.isfinite(gap) else None,
        "embed_diff": embed_diff(*embeds),
        "has_embeds": [value is not None for value in embeds],
        "embed_shapes": [None if value is None else list(value.shape) for value in embeds],
        "steps": len(walked),
        "ids": [len(left["ids"]), len(right["ids"])],
    }


def compare_places(pair: dict[str, Any], prompts: list[str]) -> list[dict[str, Any]]:
    import numpy as np

    files = [Path(pair[side]).with_name(stages.file_of(side, pair["set"])) for side in ("reference", "engine")]
    if not all(file.is_file() for file in files):
        return []
    with np.load(files[0]) as reference, np.load(files[1]) as engine:
        found = differences.rows(reference, engine, prompts)
    return [{"set": pair["set"], **row} for row in found]


def handle(payload: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    rows, places = [], []
    for pair in payload["pairs"]:
        with np.load(pair["reference"]) as reference, np.load(pair["engine"]) as engine:
            for prompt in payload["prompts"]:
                rows.append({"set": pair["set"], "prompt": prompt, **compare_prompt(prompt, reference, engine)})
        try:
            places += compare_places(pair, payload["prompts"])
        except Exception:  # what only tells where a difference comes from must not hide that there is one
            traceback.print_exc()
    return {"rows": rows, "places": places}


def main() -> None:
    runtime.serve(handle)


if __name__ == "__main__":
    main()
