"""Job: the tensors that a repo's own code would save. Executes the repo's code; knows no vLLM.

A stand-in for the header of a checkpoint that nobody has seen. Request {model, native};
answer {tensors: [[name, shape]]}.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from porter_worker import draw, reference, runtime


def handle(payload: dict[str, Any]) -> dict[str, Any]:
    used: list[str] = []
    model = reference.build(Path(payload["model"]), payload["native"], used)
    state = draw.state_to_save(model)
    return {"tensors": [[name, list(tensor.shape)] for name, tensor in state.items()], "shims": used}


def main() -> None:
    runtime.serve(handle)


if __name__ == "__main__":
    main()
