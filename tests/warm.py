"""Many runs of porter's workers for the price of one import of vLLM: jobs become forks of one warm process."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from porter import process
from porter.errors import WorkerError
from porter.jsontypes import JSON, JSONObject
from porter.process import EventSink, WorkerSettings

CODE = (
    "torch",
    "torchvision",
    "transformers",
    "transformers.dynamic_module_utils",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.processing_auto",
    "transformers.models.llama.modeling_llama",
    "transformers.models.qwen2.modeling_qwen2",
    "transformers.models.siglip.modeling_siglip",
    "safetensors.torch",
)
"""What the jobs share that run a repo's own code: none of them may know vLLM."""
VLLM = (
    "torch",
    "transformers",
    "vllm",
    "vllm.entrypoints.llm",
    "vllm.v1.engine.llm_engine",
    "vllm.v1.worker.cpu_worker",
    "vllm.v1.executor.uniproc_executor",
    "vllm.model_executor.models.internvl",
    "vllm.model_executor.models.qwen2",
    "vllm.model_executor.models.llama",
)
HOST = Path(__file__).with_name("warm_host.py")
ENV = {"TORCHDYNAMO_DISABLE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": "1"}
"""One thread each: several jobs run at a time, and threads that wait for each other would take their cores."""
PRELOAD = {
    **dict.fromkeys(("engine", "join", "parameters"), VLLM),
    **dict.fromkeys(("reference", "checkpoint", "compare"), CODE),
}
"""What the warm process of each job has imported."""
STARTING = 120.0


class Warm:
    """`run` answers what `porter.process.run_worker` would, from any thread. `together` jobs run at a time."""

    def __init__(self, scratch: Path, together: int = 1, preload: Sequence[str] = VLLM) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        self.room = Path(tempfile.mkdtemp(prefix="warm-", dir=scratch))
        self.numbers = count()
        payload: JSONObject = {"room": str(self.room), "preload": [*preload], "together": together}
        log = self.room / "worker.log"
        settings = WorkerSettings(sys.executable, self.room, log, timeout=3600.0, env=ENV)
        self.answer: JSONObject = {}
        self.failure: WorkerError | None = None
        self.thread = threading.Thread(target=self._serve, args=(payload, settings), daemon=True)
        self.thread.start()

    def wait(self) -> None:
        """Until everything is imported."""
        deadline = time.monotonic() + STARTING
        while not (self.room / "ready").exists():
            if self.failure is not None or time.monotonic() > deadline:
                raise self.failure or WorkerError("the warm process does not start", where=str(self.room))
            time.sleep(0.05)

    def _serve(self, payload: JSONObject, settings: WorkerSettings) -> None:
        try:
            folder = process._run_folder("warm", settings)
            with settings.log.open("ab") as log, process._lifeline() as end:
                files = written(folder, {"payload": payload, "limits": {}, "lifeline": end})
                command = [sys.executable, str(HOST), *map(str, files)]
                with process._started(command, folder, settings, log.fileno(), end) as started:
                    started.wait()
            self.answer = process._answer("warm", files[1], started.returncode, settings.log, 0)
        except WorkerError as error:
            self.failure = error

    def close(self) -> JSONObject:
        (self.room / "end").touch()
        self.thread.join()
        if self.failure is not None:
            raise self.failure
        return self.answer

    def run(
        self, job: str, payload: JSONObject, *, settings: WorkerSettings, on_event: EventSink | None = None
    ) -> JSONObject:
        self.wait()
        folder = process._run_folder(job, settings)
        files = written(folder, {"payload": payload, **process._bounds(folder, settings), "lifeline": -1})
        settings.log.parent.mkdir(parents=True, exist_ok=True)
        settings.log.touch()
        start = settings.log.stat().st_size
        environment = process._environment(folder, settings)
        ending = self._ended(
            {
                "job": job,
                "files": [str(file) for file in files],
                "env": {**environment, **ENV},
                "path": [str(entry) for entry in settings.path],
                "cwd": str(folder),
                "log": str(settings.log.resolve()),
                "timeout": settings.timeout,
            },
            process._EventReader(files[2], on_event),
        )
        if ending["timed_out"]:
            raise process._failure(job, f"timed out after {settings.timeout:g}s", settings.log, start)
        return process._answer(job, files[1], int(str(ending["code"])), settings.log, start)

    def _ended(self, job: dict[str, JSON], events: process._EventReader) -> JSONObject:
        file = self.room / f"{next(self.numbers):05}.job"
        partial = file.with_suffix(".new")
        partial.write_text(json.dumps(job), encoding="utf-8")
        partial.replace(file)
        done = file.with_suffix(".done")
        while not done.exists():
            if not self.thread.is_alive():
                raise self.failure or WorkerError("the warm process is gone")
            events.drain()
            time.sleep(0.02)
        events.drain()
        ending = json.loads(done.read_text(encoding="utf-8"))
        assert isinstance(ending, dict)
        return ending


def written(folder: Path, request: JSONObject) -> list[Path]:
    """The files of a worker: its request, and where its answer and its events go."""
    files = [folder / name for name in ("request.json", "answer.json", "events.jsonl")]
    files[0].write_text(json.dumps(request), encoding="utf-8")
    return files


@contextmanager
def warm(scratch: Path, jobs: Collection[str] = tuple(PRELOAD), together: int = 1) -> Iterator[None]:
    """While it lasts, porter's workers of these jobs are forks of warm processes, one for each set of imports."""
    hosts = {names: Warm(scratch, together, names) for names in {PRELOAD[job] for job in jobs}}
    cold = process.run_worker

    def run_worker(
        job: str, payload: JSONObject, *, settings: WorkerSettings, on_event: EventSink | None = None
    ) -> JSONObject:
        run = hosts[PRELOAD[job]].run if job in jobs else cold
        return run(job, payload, settings=settings, on_event=on_event)

    exchange(cold, run_worker)
    try:
        yield
    finally:
        exchange(run_worker, cold)
        for host in hosts.values():
            host.close()


def exchange(old: object, new: object) -> None:
    """In every module that has it, also those that were imported meanwhile."""
    for module in list(sys.modules.values()):
        if vars(module).get("run_worker") is old:
            module.run_worker = new  # type: ignore[attr-defined]
