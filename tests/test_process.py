"""Workers as real child processes, well-behaved and not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import porter.process
from porter.errors import WorkerError
from porter.jsontypes import JSONObject
from porter.process import REMOTE_CODE_LIMITS, Limits, WorkerSettings, plugin_path, run_worker

Run = Callable[..., JSONObject]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the body of a job against the real runtime; the job stands beside it, as porter's own jobs do."""
    package = tmp_path / "package"
    shutil.copytree(Path(porter.process.__file__).with_name("workers"), package / "workers")
    monkeypatch.setattr(porter.process, "__file__", str(package / "process.py"))

    def call(body: str, payload: JSONObject | None = None, on_event: object = None, **settings: object) -> JSONObject:
        head = "import os, sys, time\nfrom porter_worker.runtime import event, serve\n"
        guard = "\nif __name__ == '__main__':\n    serve(job)\n"
        (package / "workers" / "probe.py").write_text(head + textwrap.dedent(body) + guard, encoding="utf-8")
        values = {
            "python": sys.executable,
            "scratch": tmp_path / "scratch",
            "log": tmp_path / "log.txt",
            "timeout": 30.0,
        }
        chosen = WorkerSettings(**{**values, **settings})  # type: ignore[arg-type]
        return run_worker("probe", payload or {}, settings=chosen, on_event=on_event)  # type: ignore[arg-type]

    return call


def group_is_gone(group: int) -> bool:
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return False
    return True


def wait_for(condition: Callable[[], bool]) -> bool:
    for _ in range(400):
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_answer_and_events_come_back(run: Run) -> None:
    seen: list[JSONObject] = []
    answer = run(
        """
        def job(payload):
            event({"at": 1}); event({"at": 2})
            print("garbage on stdout")
            return {"twice": payload["number"] * 2}
        """,
        {"number": 21},
        seen.append,
    )
    assert answer == {"twice": 42}
    assert seen == [{"at": 1}, {"at": 2}]


def test_environment_has_no_secret_and_a_scratch_home(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in (
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "MY_API_KEY",
        "https_proxy",
        "PYTHONPATH",
    ):
        monkeypatch.setenv(name, "secret-value")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    env = run("def job(payload): return dict(os.environ)")
    assert "secret-value" not in env.values()
    assert env["TOKENIZERS_PARALLELISM"] == "false"
    assert env["HF_HUB_OFFLINE"] == "1"
    for name in ("HOME", "HF_HOME", "HF_MODULES_CACHE", "VLLM_CACHE_ROOT", "TMPDIR"):
        assert Path(str(env[name])).is_relative_to(tmp_path / "scratch")


def test_exception_is_named_with_the_log(run: Run, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="probe: KeyError: 'missing'") as caught:
        run("def job(payload): return payload['missing']")
    assert caught.value.where == str(tmp_path / "log.txt")
    assert "Traceback" in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def job(payload): sys.exit(3)", r"gave no answer \(exit code 3\)"),
        ("def job(payload): print('last words'); os._exit(0)", r"no answer \(exit code 0\): last words"),
        ("def job(payload): os.kill(os.getpid(), 11)", r"killed by SIGSEGV.*Fatal Python error"),
        ("def job(payload): return [1]", "not an object"),
        ("def job(payload): open(sys.argv[2], 'w').write('{'); os._exit(0)", "not JSON"),
        ("def job(payload): return {'x': object()}", "TypeError"),
        ("import no_such_module_here\ndef job(payload): return {}", "ModuleNotFoundError: No module named"),
    ],
)
def test_bad_endings_are_named(run: Run, body: str, message: str) -> None:
    with pytest.raises(WorkerError, match=message):
        run(body)


def test_timeout_kills_the_whole_group(run: Run, tmp_path: Path) -> None:
    pid_file = tmp_path / "group"
    body = f"""
        import subprocess
        def job(payload):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            open({str(pid_file)!r}, "w").write(str(os.getpgrp()))
            print("still going", flush=True)
            while True: pass
        """
    with pytest.raises(WorkerError, match=r"timed out after 1s: still going"):
        run(body, timeout=1.0)
    assert wait_for(lambda: group_is_gone(int(pid_file.read_text())))


def test_children_left_behind_by_an_answered_job_are_ended(run: Run) -> None:
    answer = run(
        """
        import subprocess
        def job(payload):
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            return {"group": os.getpgrp()}
        """
    )
    assert wait_for(lambda: group_is_gone(int(str(answer["group"]))))


def test_a_child_that_left_the_group_is_ended_too(run: Run) -> None:
    answer = run(
        """
        import subprocess
        def job(payload):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], preexec_fn=os.setpgrp)
            return {"group": child.pid}
        """
    )
    assert wait_for(lambda: group_is_gone(int(str(answer["group"]))))


def test_spawned_children_import_the_job(run: Run) -> None:
    answer = run(
        """
        import multiprocessing
        def double(number): return number * 2
        def job(payload):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                return {"got": pool.map(double, [4])}
        """
    )
    assert answer == {"got": [8]}


def test_limits_bind(run: Run) -> None:
    with pytest.raises(WorkerError, match="MemoryError"):
        run("def job(payload): return {'n': len(bytearray(8 << 30))}", limits=Limits(address_space=2 << 30))


def contained(run: Run, body: str, part: str) -> JSONObject:
    """Runs a job as the repo's code is run; skipped where the system cannot contain that part."""
    held = run("def job(payload): return {}", limits=REMOTE_CODE_LIMITS)["contained"]
    assert isinstance(held, dict)
    if str(held[part]).startswith("not contained"):
        pytest.skip(f"{part}: {held[part]}")
    return run(body, limits=REMOTE_CODE_LIMITS)


@pytest.mark.parametrize("levels", [0, 1, 2, 3])
def test_what_a_system_refuses_is_said_and_costs_nothing_else(run: Run, levels: int) -> None:
    body = f"""
        from porter_worker import isolation
        isolation.LEVELS = isolation.LEVELS[{levels}:]
        def job(payload):
            open("mine", "w").write("x")
            return {{"sum": 1 + 1}}
        """
    answer = run(body, limits=REMOTE_CODE_LIMITS)
    held = answer["contained"]
    assert answer["sum"] == 2 and isinstance(held, dict)
    lost = {name for name, words in held.items() if str(words).startswith("not contained")}
    assert lost >= [set(), {"files"}, {"files", "processes"}, {"files", "processes", "network"}][levels]


def test_signals_reach_no_foreign_process(run: Run) -> None:
    with pytest.raises(WorkerError, match="ProcessLookupError"):
        contained(run, "def job(payload): os.kill(-1, 9)", "processes")


def test_a_fork_bomb_is_bounded(run: Run) -> None:
    body = """
        def job(payload):
            while True:
                if os.fork() == 0: time.sleep(600)
        """
    with pytest.raises(WorkerError, match="more than 256 processes"):
        contained(run, body, "files")


def test_rights_cannot_be_had_back(run: Run) -> None:
    body = """
        import ctypes
        def job(payload):
            libc = ctypes.CDLL(None)
            mounted = libc.mount(b"none", b"/", None, 32 | 4096, None)
            with open("/proc/self/status") as stream:
                rights = [line.split()[1] for line in stream if line.startswith("CapEff")]
            return {"mounted": mounted, "rights": int(rights[0], 16), "uid": os.getuid()}
        """
    answer = contained(run, body, "files")
    assert (answer["mounted"], answer["rights"], answer["uid"]) == (-1, 0, os.getuid())


def test_events_of_contained_code_buy_no_time(run: Run) -> None:
    body = """
        def job(payload):
            while True:
                event({"still": "here"})
                time.sleep(0.05)
        """
    with pytest.raises(WorkerError, match="timed out after 2s"):
        run(body, limits=REMOTE_CODE_LIMITS, timeout=2.0)


@pytest.mark.parametrize(
    "lines",
    [
        "os.mkfifo(sys.argv[2])",
        "os.symlink('/etc/hostname', sys.argv[2])",
        "os.mkdir(sys.argv[2])",
        "open(sys.argv[2], 'w').write('[' * 100000)",
        "open(sys.argv[2], 'wb').write(bytes(range(128, 256)))",
    ],
)
def test_an_answer_that_is_no_plain_file_of_json_is_none(run: Run, lines: str) -> None:
    with pytest.raises(WorkerError, match=r"gave no answer \(exit code 0\)|gave an answer that is not"):
        run(f"def job(payload):\n    {lines}\n    os._exit(0)", limits=REMOTE_CODE_LIMITS, timeout=10.0)


def test_interpreter_that_is_not_there(run: Run) -> None:
    with pytest.raises(WorkerError, match="cannot run /nowhere/python") as caught:
        run("def job(payload): return {}", python="/nowhere/python")
    assert caught.value.hint == "--python PATH"


def test_killing_porter_leaves_no_process(tmp_path: Path) -> None:
    """The worker even holds the interpreter lock: only its watcher can notice."""
    package = tmp_path / "package"
    shutil.copytree(Path(porter.process.__file__).with_name("workers"), package / "workers")
    group_file = tmp_path / "group"
    (package / "workers" / "probe.py").write_text(
        "import os, re, subprocess, sys\nfrom porter_worker.runtime import serve\n"
        "def job(payload):\n"
        "    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"    open({str(group_file)!r}, 'w').write(str(os.getpgrp()) + '\\n')\n"
        "    re.match('(a*)*b', 'a' * 64)\n"
        "serve(job)\n",
        encoding="utf-8",
    )
    parent = (
        "import sys; from pathlib import Path; import porter.process as p\n"
        f"p.__file__ = {str(package / 'process.py')!r}\n"
        f"s = p.WorkerSettings(sys.executable, Path({str(tmp_path / 's')!r}), Path({str(tmp_path / 'log')!r}))\n"
        "p.run_worker('probe', {}, settings=s)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], cwd=Path(__file__).parent.parent)
    try:
        assert wait_for(lambda: group_file.exists() and group_file.read_text().endswith("\n"))
        assert not group_is_gone(int(group_file.read_text()))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert wait_for(lambda: group_is_gone(int(group_file.read_text())))


HOLDS_MEMORY = """
import multiprocessing
from multiprocessing import resource_tracker, shared_memory
def hold(pipe):
    held = shared_memory.SharedMemory(create=True, size=4096)
    pipe.send(held.name)
    time.sleep(600)
def job(payload):
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    context.Process(target=hold, args=(theirs,), daemon=True).start()
    with open(payload["file"], "w") as stream:
        stream.write(ours.recv() + "\\n")
    time.sleep(600)
"""


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="this system keeps shared memory elsewhere")
def test_a_timeout_leaves_no_shared_memory(run: Run, tmp_path: Path) -> None:
    name_file = tmp_path / "name"
    with pytest.raises(WorkerError, match="timed out"):
        run(HOLDS_MEMORY, {"file": str(name_file)}, timeout=8.0)
    name = name_file.read_text().strip()
    assert name.startswith("psm_") and not (Path("/dev/shm") / name).exists()


def test_plugin_is_seen_as_an_entry_point(run: Run, tmp_path: Path) -> None:
    package = tmp_path / "my-model-vllm" / "my_model"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("def register(): return 'registered'\n", encoding="utf-8")
    body = """
        from importlib.metadata import entry_points
        def job(payload):
            (found,) = entry_points(group="vllm.general_plugins", name="my_model")
            return {"said": found.load()()}
        """
    for _ in range(2):
        path = plugin_path(package.parent, "my_model", tmp_path / "scratch")
        assert run(body, path=path) == {"said": "registered"}
    assert not (package / "__pycache__").exists()
