"""Workers: the child processes that may import vLLM, torch, transformers or remote code.

Only this module starts them. A worker sees a scratch home, no network settings and no tokens; it dies with porter.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from porter.errors import WorkerError
from porter.jsontypes import JSON, JSONObject
from porter.workers.groups import end_others, members, remove, shared_memory
from porter.workers.logs import telling_line

EventSink = Callable[[JSONObject], None]

_POLL_SECONDS = 0.03
_GRACE_SECONDS = 10.0
_TAIL_BYTES = 65536
_EVENT_BYTES = 1 << 20
_ANSWER_BYTES = 256 << 20
_PRIVATE = re.compile(
    r"(^(HF|HUGGING_?FACE(HUB)?|TRANSFORMERS|AWS|AZURE|GOOGLE|PYTHON|PORTER)_?|^VLLM_PLUGINS$|^SSH_|_PROXY$"
    r"|(^|_)(TOKEN|API_?KEY|SECRET|PASSWORD|ACCESS_KEY|CREDENTIALS?)$)",
    re.IGNORECASE,
)
SECRETS = (
    *(".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".netrc", ".git-credentials", ".pypirc", ".bash_history"),
    *(".config/gh", ".config/gcloud", ".config/huggingface", ".huggingface"),
    *(".cache/huggingface/token", ".cache/huggingface/stored_tokens"),
)
"""Where a home keeps keys and tokens."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard limits of a worker that runs a repo's code: bytes and seconds; None = unlimited.

    `memory_share` is the part of the memory that is free when it starts. `contained`: no network, no process but its
    own, files outside its folders cannot be written, as far as the system allows (porter.workers.isolation).
    """

    address_space: int | None = None
    cpu_seconds: int | None = None
    file_size: int | None = None
    memory_share: float | None = None
    contained: bool = False

    def to_json(self) -> JSONObject:
        kept = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: value for name, value in kept.items() if name != "contained"}


REMOTE_CODE_LIMITS = Limits(
    address_space=64 << 30, cpu_seconds=3600, file_size=2 << 30, memory_share=0.8, contained=True
)
# A GPU's driver reserves more addresses than any bound would leave it, and files of real weights are large.
ENGINE_LIMITS = Limits(cpu_seconds=3600, file_size=16 << 30)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How to run a worker: `python` the interpreter, `path` first on its module path.

    `timeout`: seconds without an event of the worker's (a rung's start or end), so it bounds each rung.
    """

    python: str
    scratch: Path
    log: Path
    timeout: float = 600.0
    path: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    writable: tuple[Path, ...] = ()
    """Folders that a contained worker may write to beside those of its own run."""


def run_worker(
    job: str, payload: JSONObject, *, settings: WorkerSettings, on_event: EventSink | None = None
) -> JSONObject:
    """Runs one job to its answer. Raises WorkerError on a crash, a timeout or an answer that is not an object."""
    folder = _run_folder(job, settings)
    files = [folder / name for name in ("request.json", "answer.json", "events.jsonl")]
    settings.log.parent.mkdir(parents=True, exist_ok=True)
    with settings.log.open("ab") as log, _lifeline() as end:
        start = log.seek(0, os.SEEK_END)
        request: JSONObject = {"payload": payload, **_bounds(folder, settings), "lifeline": end}
        files[0].write_text(json.dumps(request), encoding="utf-8")
        command = [settings.python, "-m", f"porter_worker.{job}", *map(str, files)]
        with _started(command, folder, settings, log.fileno(), end) as process:
            finished = _follow(process, files[1], settings, _EventReader(files[2], on_event))
    if not finished:
        raise _failure(job, f"timed out after {settings.timeout:g}s", settings.log, start)
    return _answer(job, files[1], process.returncode, settings.log, start)


def plugin_path(port_root: Path, module: str, scratch: Path) -> tuple[Path, ...]:
    """Module path entries that make the package `port_root/module` an installed vLLM plugin for a worker."""
    folder = scratch / "plugins" / module
    info = folder / f"porter_{module}-0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    name = f"porter-{module.replace('_', '-')}"
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[vllm.general_plugins]\n{module} = {module}:register\n", encoding="utf-8")
    link = folder / module
    if link.is_symlink():
        link.unlink()
    link.symlink_to((port_root / module).resolve(), target_is_directory=True)
    return (folder,)


def _run_folder(job: str, settings: WorkerSettings) -> Path:
    runs = settings.scratch / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{job}-", dir=runs))
    source = Path(__file__).with_name("workers")
    shutil.copytree(source, folder / "code" / "porter_worker", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def _environment(folder: Path, settings: WorkerSettings) -> dict[str, str]:
    places = {
        "HOME": "home",
        "XDG_CACHE_HOME": "cache",
        "XDG_CONFIG_HOME": "config",
        "HF_HOME": "hf",
        "HF_MODULES_CACHE": "hf_modules",
        "VLLM_CACHE_ROOT": "vllm",
        "VLLM_CONFIG_ROOT": "vllm_config",
        "TORCHINDUCTOR_CACHE_DIR": "inductor",
        "TRITON_CACHE_DIR": "triton",
        "TMPDIR": "tmp",
    }
    scratch = (folder if settings.limits.contained else settings.scratch).resolve()
    for name in places.values():
        (scratch / name).mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if not _PRIVATE.search(key)}
    return {
        **kept,
        **{key: str(scratch / name) for key, name in places.items()},
        "PYTHONPATH": os.pathsep.join(str(entry) for entry in (*settings.path, folder.resolve() / "code")),
        "PYTHONUSERBASE": os.environ.get("PYTHONUSERBASE", str(Path.home() / ".local")),
        # The user's interpreter and plugin folder are read, never written.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_DO_NOT_TRACK": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        **settings.env,
    }


def _bounds(folder: Path, settings: WorkerSettings) -> JSONObject:
    """What a worker puts upon itself before it does anything."""
    contained = settings.limits.contained
    return {
        "limits": settings.limits.to_json(),
        "contain": _containment(folder, settings) if contained else None,
    }


def _containment(folder: Path, settings: WorkerSettings) -> JSONObject:
    """Where a contained worker may write, and the keys and tokens that it shall not see."""
    tokens = [os.environ.get("HF_TOKEN_PATH"), os.environ.get("HF_HOME", "") + "/token", os.environ.get("NETRC")]
    named = [Path(name).absolute() for name in tokens if name and Path(name).is_file()]
    hidden = [*(Path.home() / name for name in SECRETS), *named]
    return {
        "writable": [str(path.resolve()) for path in (folder, *settings.writable)],
        "hidden": [str(path) for path in hidden],
    }


@contextmanager
def _lifeline() -> Iterator[int]:
    """The read end of a pipe whose write end only this process holds."""
    read_end, write_end = os.pipe()
    try:
        yield read_end
    finally:
        os.close(write_end)
        with suppress(OSError):
            os.close(read_end)


@contextmanager
def _started(
    command: list[str], folder: Path, settings: WorkerSettings, log: int, lifeline: int
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker in its own session; its whole process group is gone on exit, however that comes."""
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(folder, settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lifeline,),
            start_new_session=True,
        )
    except OSError as error:
        raise WorkerError(f"cannot run {settings.python}: {error.strerror}", hint="--python PATH") from error
    try:
        yield process
    finally:
        # Before it is reaped: afterwards the group id could belong to somebody else.
        shared = shared_memory(members(process.pid))
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        end_others(process.pid)
        process.wait()
        remove(shared)


def _follow(process: subprocess.Popen[bytes], answer: Path, settings: WorkerSettings, events: _EventReader) -> bool:
    """True when the worker ended or answered; False when its time was up. Does not reap.

    An event gives it more time, unless it is contained: the repo's code can write events as well.
    """
    deadline = time.monotonic() + settings.timeout
    answered: float | None = None
    while not _ended(process.pid):
        now = time.monotonic()
        if answered is None and answer.exists():
            answered = now
        if answered is not None and now > answered + _GRACE_SECONDS:
            break
        if events.drain() and not settings.limits.contained:
            deadline = now + settings.timeout
        elif answered is None and now > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    events.drain()
    return True


def _ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


class _EventReader:
    """Whole new lines of events.jsonl, each given to the sink once."""

    def __init__(self, path: Path, sink: EventSink | None) -> None:
        self._path = path
        self._sink = sink
        self._offset = 0

    def drain(self) -> bool:
        """Whether there was something new."""
        data = _plain_bytes(self._path, self._offset, _EVENT_BYTES)
        complete = data[: data.rfind(b"\n") + 1]
        self._offset += len(complete)
        for line in complete.splitlines():
            with suppress(ValueError, RecursionError):
                record = json.loads(line)
                if isinstance(record, dict) and self._sink is not None:
                    self._sink(record)
        return bool(complete)


def _plain_bytes(path: Path, start: int = 0, most: int = -1) -> bytes:
    """What a file holds from byte `start`; nothing when there is none, or no plain file: the repo's code was here."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return b""
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        return b""
    with os.fdopen(opened, "rb") as stream:
        stream.seek(start)
        return stream.read(most)


def _answer(job: str, path: Path, code: int, log: Path, start: int) -> JSONObject:
    data = _plain_bytes(path, most=_ANSWER_BYTES)
    if not data:
        raise _failure(job, f"gave no answer ({_ending(code)})", log, start)
    try:
        content: JSON = json.loads(data)
    except (ValueError, RecursionError):
        raise _failure(job, "gave an answer that is not JSON", log, start) from None
    failure = content.get("failure") if isinstance(content, dict) else None
    if isinstance(failure, dict):
        raise WorkerError(
            f"{job}: {failure.get('type')}: {_one_line(failure.get('message'))}".rstrip(": "), where=str(log)
        )
    answer = content.get("answer") if isinstance(content, dict) else None
    if not isinstance(answer, dict):
        raise _failure(job, "gave an answer that is not an object", log, start)
    return answer


def _one_line(message: JSON) -> str:
    """The first lines of a message; the very first is often a mere heading."""
    lines = [line.strip() for line in str(message or "").splitlines() if line.strip()]
    return "".join(char if char.isprintable() else "?" for char in " ".join(lines[:2])[:300])


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"


def _failure(job: str, what: str, log: Path, start: int) -> WorkerError:
    line = telling_line(log, start, _TAIL_BYTES)
    return WorkerError(f"{job}: {what}" + (f": {line}" if line else ""), where=str(log))
