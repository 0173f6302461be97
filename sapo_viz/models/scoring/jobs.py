"""Scoring for a server with several visitors: one job at a time in a process of its own, the others in line.

Texts, scores and jobs are in memory only: the server's, and the worker's while it works. The cache of scores is
bounded (`score_cache.py`) and shared, which shows a visitor nothing that they did not type themselves. A job that
nobody has looked at for ten minutes is given up; a worker without work ends after five.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from sapo_viz.errors import ModelError, SapoVizError
from sapo_viz.models.scoring.cache import ScoreCache, ScoredText, text_key
from sapo_viz.models.source import locate
from sapo_viz.paths import child_environment

MAX_WAITING = 8
ABANDONED = 600.0  # seconds without a look after which a job is given up
IDLE = 300.0  # seconds after which a worker without work ends and its memory is free again


@dataclass(frozen=True)
class ScoreRequest:
    """What to score: N texts and the names of two models, as a person gave them."""

    policy: str
    old_policy: str
    prompts: tuple[str, ...]
    completions: tuple[str, ...]
    adapter: str = ""  # on `policy`
    chat: bool = False
    device: str = "auto"
    dtype: str = "auto"
    root: Path | None = None  # as in `locate`


@dataclass(frozen=True)
class JobState:
    """A job at one moment. `status` is waiting, running, done, failed or cancelled."""

    status: str = "waiting"
    ahead: int = 0  # jobs before it
    stage: str = ""  # while it runs: "fetching", "loading", "scoring"; "" while the process starts
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


class ScoreJob:
    """One request on its way. Read `state`; `new`, `old`, `notes` are there when it is done."""

    def __init__(self, request: ScoreRequest, scorer: Scorer) -> None:
        self.request = request
        self.new: tuple[ScoredText | None, ...] = ()
        self.old: tuple[ScoredText | None, ...] = ()
        self.notes: tuple[str, ...] = ()
        self._state = JobState(total=2 * len(request.completions))
        self._scorer = scorer
        self._looked = time.monotonic()

    @property
    def state(self) -> JobState:
        self._looked = time.monotonic()
        return replace(self._state, ahead=self._scorer.ahead_of(self))

    @property
    def abandoned(self) -> bool:
        return time.monotonic() - self._looked > ABANDONED

    def cancel(self) -> None:
        """Stop it now, in the middle of a forward pass too; nothing happens if it is over."""
        self._scorer.cancel(self)

    def wait(self, seconds: float) -> JobState:
        """Its state when it is over, or after so many seconds."""
        end = time.monotonic() + seconds
        while not (state := self.state).over and time.monotonic() < end:
            time.sleep(0.02)
        return state


class Scorer:
    """Takes jobs from any thread and serves them in order, with one worker process."""

    def __init__(self, cache: ScoreCache | None = None) -> None:
        self.cache = cache or ScoreCache()
        self._line: list[ScoreJob] = []  # the first is the one that runs
        self._lock = threading.RLock()
        self._bell: queue.Queue[None] = queue.Queue()
        self._worker: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None

    def submit(self, request: ScoreRequest) -> ScoreJob:
        """The job, at once.

        Raises:
            ModelError: too many jobs wait already.
        """
        job = ScoreJob(request, self)
        with self._lock:
            if len(self._line) >= MAX_WAITING:
                raise ModelError(f"{len(self._line)} texts wait to be scored already; try again in a minute.")
            self._line.append(job)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, daemon=True, name="scorer")
                self._thread.start()
        self._bell.put(None)
        return job

    def ahead_of(self, job: ScoreJob) -> int:
        with self._lock:
            return self._line.index(job) if job in self._line else 0

    def cancel(self, job: ScoreJob) -> None:
        with self._lock:
            if job._state.over:
                return
            job._state = replace(job._state, status="cancelled")
            if self._line and self._line[0] is job:
                self._stop_worker()
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
                    self._set(job, status="failed", message=f"scoring failed: {type(error).__name__} {error}.")
                with self._lock:
                    if job in self._line:
                        self._line.remove(job)

    def _first(self) -> ScoreJob | None:
        with self._lock:
            for job in [job for job in self._line if job.abandoned]:
                self.cancel(job)
                if job in self._line:
                    self._line.remove(job)
            return self._line[0] if self._line else None

    def _set(self, job: ScoreJob, **values: Any) -> None:
        with self._lock:
            if not job._state.over:
                job._state = replace(job._state, **values)

    def _run(self, job: ScoreJob) -> None:
        self._set(job, status="running")
        request = job.request
        old = locate(request.old_policy, root=request.root)
        new = locate(request.policy, request.adapter, root=request.root)
        known = self._known(request, new.identity, old.identity)
        with self._lock:
            if job._state.over:
                return
            worker = self._running_worker()
        message = {
            "policy": new.to_dict(),
            "old_policy": old.to_dict(),
            "prompts": request.prompts,
            "completions": request.completions,
            "chat": request.chat,
            "device": request.device,
            "dtype": request.dtype,
            "known": known,
        }
        assert worker.stdin and worker.stdout
        try:
            worker.stdin.write(json.dumps(message) + "\n")
            worker.stdin.flush()
        except OSError:  # it has just died; what the reading finds is the same
            pass
        for line in worker.stdout:
            if self._take(job, json.loads(line)):
                return
            if job.abandoned:
                self.cancel(job)
        self._stop_worker()
        self._set(job, status="failed", message=_died(worker.returncode, new.name))

    def _known(self, request: ScoreRequest, *identities: str) -> dict[str, Any]:
        """The scores among the cache's that the worker will ask for."""
        found: dict[str, Any] = {}
        numbers = f"{request.device} {request.dtype}"
        for identity in identities:
            for prompt, completion in zip(request.prompts, request.completions, strict=True):
                key = text_key(identity, prompt, completion, request.chat, numbers)
                if score := self.cache.get(key):
                    found[key] = [score.tokens, score.token_ids, score.logprobs]
        return found

    def _running_worker(self) -> subprocess.Popen[str]:
        if self._worker is None or self._worker.poll() is not None:
            self._worker = subprocess.Popen(
                [sys.executable, "-m", "sapo_viz.models.scoring.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env=child_environment() | {"TOKENIZERS_PARALLELISM": "false"},
            )
        return self._worker

    def _take(self, job: ScoreJob, event: dict[str, Any]) -> bool:
        """Note an event of the worker; True when it was the job's last."""
        match event.pop("type"):
            case "progress":
                self._set(job, **event)
            case "scored":
                self.cache.put(event["key"], _score(event["score"]))
            case "done":
                job.new, job.old = (tuple(map(_score, event[name])) for name in ("new", "old"))
                job.notes = tuple(event["notes"])
                self._set(job, status="done")
                return True
            case "failed":
                self._set(job, status="failed", message=event["message"])
                return True
        return False


@lru_cache(maxsize=1)
def scorer() -> Scorer:
    """The one of this process."""
    return Scorer()


def _score(value: Sequence[Any] | None) -> Any:
    return value and ScoredText(*map(tuple, value))


def _died(code: int | None, name: str) -> str:
    if code == -9:
        return (
            f"the system ended the scoring of {name}, as it does when memory runs out; take a smaller model, shorter "
            "texts, or a machine with more memory."
        )
    return f"the process that scored {name} ended with status {code}; the server's log says more."
