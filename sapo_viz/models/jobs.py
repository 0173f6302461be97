"""Work with models for a server with several visitors: one job at a time in a separate process, the others in a queue.

Jobs are in memory only: the server's, and the worker's while it works. A job that nobody has looked at for ten minutes
is given up; a worker without work ends after five.
"""

from __future__ import annotations

import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from sapo_viz.errors import ModelError, SapoVizError
from sapo_viz.paths import child_environment

MAX_WAITING = 8
ABANDONED = 600.0  # seconds without a look after which a job is given up
_LOOK = 1.0  # seconds between two looks whether anybody still waits for a job
IDLE = 300.0  # seconds after which a worker without work ends and its memory is free again


@dataclass(frozen=True)
class JobState:
    """A job at one moment. `status` is waiting, running, done, failed or cancelled."""

    status: str = "waiting"
    ahead: int = 0  # jobs before it
    stage: str = ""  # while it runs, in the worker's words; "" while the process starts
    model: str = ""
    done: int = 0
    total: int = 0
    share: float = 0.0  # of the work
    tokens_per_s: float | None = None
    seconds_left: float | None = None
    message: str = ""  # why it failed, in one sentence

    @property
    def over(self) -> bool:
        return self.status in ("done", "failed", "cancelled")


class Job(ABC):
    """One request on its way; read `state`. A kind of job says what its worker is asked, and keeps what that tells."""

    def __init__(self, line: JobLine, doing: str, total: int = 0) -> None:
        self.doing = doing  # "scoring of addition-rl", for sentences
        self._state = JobState(total=total)
        self._line = line
        self._looked = time.monotonic()

    @abstractmethod
    def message(self) -> dict[str, Any]:
        """What the worker is asked; a `SapoVizError` is the end of it."""

    @abstractmethod
    def take(self, kind: str, event: dict[str, Any]) -> None:
        """What the worker tells besides how far it is; `done` comes last."""

    def left_over(self) -> None:  # noqa: B027  # most leave nothing
        """It was ended in the midst of its work: whatever lies about goes."""

    @property
    def state(self) -> JobState:
        self._looked = time.monotonic()
        return replace(self._state, ahead=self._line.ahead_of(self))

    @property
    def abandoned(self) -> bool:
        return time.monotonic() - self._looked > ABANDONED

    def cancel(self) -> None:
        """Stop it now, in the middle of a forward pass too; nothing happens if it is over."""
        self._line.cancel(self)

    def wait(self, seconds: float) -> JobState:
        """Its state when it is over, or after so many seconds."""
        end = time.monotonic() + seconds
        while not (state := self.state).over and time.monotonic() < end:
            time.sleep(0.02)
        return state


class JobLine:
    """Takes jobs from any thread and serves them in order, with one worker process."""

    def __init__(self, worker: str, waiting: str) -> None:
        self._module = worker  # whose `main` is `models.job_worker.serve`
        self._waiting = waiting  # "texts wait to be scored", for a sentence
        self._line: list[Job] = []  # the first is the one that runs
        self._lock = threading.RLock()
        self._bell: queue.Queue[None] = queue.Queue()
        self._worker: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def join(self, job: Job) -> None:
        """Returns at once.

        Raises:
            ModelError: too many jobs wait already.
        """
        with self._lock:
            if len(self._line) >= MAX_WAITING:
                raise ModelError(f"{len(self._line)} {self._waiting} already; try again in a minute.")
            self._line.append(job)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, daemon=True, name=self._module)
                self._thread.start()
        self._bell.put(None)

    def ahead_of(self, job: Job) -> int:
        with self._lock:
            return self._line.index(job) if job in self._line else 0

    def cancel(self, job: Job) -> None:
        with self._lock:
            if job._state.over:
                return
            job._state = replace(job._state, status="cancelled")
            if self._line and self._line[0] is job:
                self._stop_worker()
                job.left_over()
            elif job in self._line:
                self._line.remove(job)

    def close(self) -> None:
        """Cancel everything and end the worker."""
        with self._lock:
            for job in list(self._line):
                self.cancel(job)
            self._stop_worker()

    def _stop_worker(self) -> None:
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
            worker.wait()

    def _serve(self) -> None:
        while True:
            try:
                self._bell.get(timeout=IDLE)
            except queue.Empty:
                with self._lock:
                    if not self._line:
                        self._stop_worker()
                        self._thread = None
                        return
            while (job := self._first()) is not None:
                try:
                    self._run(job)
                except SapoVizError as error:
                    self._set(job, status="failed", message=str(error))
                except Exception as error:  # the line must move on whatever happens to one job
                    self._set(job, status="failed", message=f"the {job.doing} failed: {type(error).__name__} {error}.")
                with self._lock:
                    if job in self._line:
                        self._line.remove(job)

    def _first(self) -> Job | None:
        with self._lock:
            for job in [job for job in self._line if job.abandoned]:
                self.cancel(job)
                if job in self._line:
                    self._line.remove(job)
            return self._line[0] if self._line else None

    def _set(self, job: Job, **values: Any) -> None:
        with self._lock:
            if not job._state.over:
                job._state = replace(job._state, **values)

    def _run(self, job: Job) -> None:
        self._set(job, status="running")
        message = job.message()
        with self._lock:
            if job._state.over:
                return
            worker = self._running_worker()
        assert worker.stdin and worker.stdout
        try:
            worker.stdin.write(json.dumps(message).encode() + b"\n")
            worker.stdin.flush()
        except OSError:  # it has just died; what the reading finds is the same
            pass
        for line in self._lines(worker.stdout.fileno(), job):
            if self._take(job, json.loads(line)):
                return
        self._stop_worker()
        job.left_over()
        self._set(job, status="failed", message=_died(worker.returncode, job.doing))

    def _lines(self, told: int, job: Job) -> Iterator[bytearray]:
        """What the worker says, until it ends. That may be nothing for ever: a model's files may be anyone's, and
        a chat template is a program."""
        left = bytearray()
        while True:
            if select.select([told], [], [], _LOOK)[0]:
                piece = os.read(told, 1 << 16)
                if not piece:
                    return
                left += piece
                if b"\n" in piece:
                    *lines, left = left.split(b"\n")
                    yield from lines
            if job.abandoned:
                self.cancel(job)

    def _running_worker(self) -> subprocess.Popen[bytes]:
        if self._worker is None or self._worker.poll() is not None:
            self._worker = subprocess.Popen(
                [sys.executable, "-m", self._module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,  # its lines are waited for, and none may lie in a buffer meanwhile
                env=child_environment() | {"TOKENIZERS_PARALLELISM": "false"},
            )
        return self._worker

    def _take(self, job: Job, event: dict[str, Any]) -> bool:
        """Note an event of the worker; True when it was the job's last."""
        kind = event.pop("type")
        if kind == "progress":
            self._set(job, **event)
        elif kind == "failed":
            self._set(job, status="failed", message=event["message"])
        else:
            job.take(kind, event)
            if kind == "done":
                self._set(job, status="done")
        return kind in ("done", "failed")


def _died(code: int | None, doing: str) -> str:
    if code == -9:
        return (
            f"the system ended the {doing}, as it does when memory runs out; take a smaller model, shorter texts, or a "
            "machine with more memory."
        )
    return f"the process for the {doing} ended with status {code}; the server's log says more."
