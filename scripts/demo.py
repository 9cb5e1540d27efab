"""`make demo`: one command takes the bundled example repo to a plugin that vLLM runs, and compares the two.

Everything is written below `.demo/`; the example's random weights are drawn there from a seed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "skylark-vl"
DEMO = ROOT / ".demo"
REPO = DEMO / EXAMPLE.name
PLUGIN = DEMO / "out"
PORTER = Path(sys.executable).parent / "porter"
WEIGHTS = REPO / "model.safetensors"


def prepare_repo() -> None:
    """The example with weights, made again whenever the bundled files are newer."""
    newest = max(path.stat().st_mtime for path in (*EXAMPLE.rglob("*"), ROOT / "examples" / "make_weights.py"))
    if WEIGHTS.is_file() and WEIGHTS.stat().st_mtime >= newest:
        return
    print("demo: drawing the example's weights from seed 0 ...", flush=True)
    shutil.rmtree(REPO, ignore_errors=True)
    shutil.copytree(EXAMPLE, REPO)
    with (DEMO / "weights.log").open("w", encoding="utf-8") as log:
        command = [sys.executable, str(ROOT / "examples" / "make_weights.py"), str(REPO), "--seed", "0"]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": str(DEMO / "modules")}
        subprocess.run(command, stdout=log, stderr=log, env=environment, check=True)


def port() -> int:
    command = ["new-model", shown(REPO), "--plugin", shown(PLUGIN), "--yes", "--trust-remote-code"]
    print(f"$ {shown(PORTER)} {' '.join(command)}", flush=True)
    return subprocess.run([str(PORTER), *command], cwd=ROOT, check=False).returncode


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def passed() -> list[str]:
    """The checks that the port's own record says passed."""
    record = json.loads((PLUGIN / "porter.json").read_text(encoding="utf-8"))
    return [check["name"] for check in record["checks"] if check["status"] == "passed"]


def main() -> int:
    start = time.monotonic()
    DEMO.mkdir(exist_ok=True)
    prepare_repo()
    shutil.rmtree(PLUGIN, ignore_errors=True)
    code = port()
    if code:
        print(f"demo: porter ended with exit code {code}", file=sys.stderr)
        return code
    names, seconds = passed(), time.monotonic() - start
    print(f"\ndemo: {EXAMPLE.name} became {shown(PLUGIN)} in {seconds:.0f} s. Passed: {', '.join(names)}.")
    if "parity" in names:
        print("Proved: in vLLM, in float32, it gives the token ids, greedy tokens and logprobs of the repo's own code.")
    print(f"\nRead it:     less {shown(PLUGIN)}/PORT.md")
    print(f"Next, type:  {shown(PORTER)} new-model ORG/NAME")
    return 0


if __name__ == "__main__":
    sys.exit(main())
