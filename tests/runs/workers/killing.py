"""Workers that are real processes and cost no import: forked from one that has imported everything, then killed.

A worker that is started as usual imports torch and transformers for seconds; a hundred of them would take minutes.
What they are forked from has done a run already (warm.py).
What is forked runs the same `worker.main`, has its own process id, locks and memory, and dies by the same SIGKILL.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from sapo_viz.models.policy import load_policy
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.checkpoints import load_checkpoint
from sapo_viz.runs.folder.store import LIVE, RunStore
from sapo_viz.runs.workers import launcher, worker

_CHANGES = ("open", "os.rename", "os.remove", "os.truncate", "os.mkdir", "os.link", "os.rmdir", "write")
_CLOCK = {"seconds", "completions_per_s"}  # the only metrics that another try may change

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.runs.workers.warm", "tests.runs.workers.killing"])


class Forked:
    """In place of `subprocess.Popen` in the launcher. `die_at` kills the worker before its n-th change of a file."""

    last: ClassVar[Any] = None
    die_at: ClassVar[int] = 0
    limits: ClassVar[
        dict[int, int]
    ] = {}  # resource -> soft limit; of RLIMIT_AS, what is left above what the worker has

    def __init__(self, command: Sequence[str], *, env: dict[str, str], **_: Any) -> None:
        self.process = FORKS.Process(
            target=_work, args=(list(command[3:]), env, Forked.die_at, Forked.limits), daemon=True
        )
        self.process.start()
        self.pid = self.process.pid
        Forked.last = self.process


def fork_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the launcher fork its workers for the length of a test."""
    fake = SimpleNamespace(Popen=Forked, DEVNULL=subprocess.DEVNULL, STDOUT=subprocess.STDOUT)
    monkeypatch.setattr(launcher, "subprocess", fake)
    monkeypatch.setattr(Forked, "die_at", 0)
    monkeypatch.setattr(Forked, "limits", {})


def _work(arguments: list[str], environment: dict[str, str], die_at: int, limits: dict[int, int]) -> None:
    os.environ.clear()  # what it was forked from has that of an earlier test
    os.environ.update(environment)
    for kind, limit in limits.items():
        has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(kind, (limit + has * (kind == resource.RLIMIT_AS), resource.RLIM_INFINITY))
    if die_at:
        _die_at(die_at, arguments[0])
    sys.exit(worker.main(arguments))


def _die_at(number: int, folder: str) -> None:
    """SIGKILL before the n-th change below the run's folder or its queue; in the midst of it, if it is a write."""
    root, seen, write = str(Path(folder).parent), 0, os.write

    def is_last(event: str, arguments: Sequence[Any]) -> bool:
        nonlocal seen
        if event not in _CHANGES or not any(str(argument).startswith(root) for argument in arguments[:2]):
            return False
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return False
        seen += 1
        return seen == number

    def watch(event: str, arguments: Sequence[Any]) -> None:
        if is_last(event, arguments):
            os.kill(os.getpid(), signal.SIGKILL)

    def half(descriptor: int, data: bytes) -> int:
        if is_last("write", [os.readlink(f"/proc/self/fd/{descriptor}")]):
            write(descriptor, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(descriptor, data)

    os.write = half
    sys.addaudithook(watch)


class Watcher:
    """A browser: it asks from its own offset, and has what it was told."""

    def __init__(self, store: RunStore, run_id: str) -> None:
        self.ask: Callable[[int], tuple[list[dict[str, Any]], int]] = lambda offset: store.read_events(run_id, offset)
        self.offset, self.events = 0, list[dict[str, Any]]()

    def look(self) -> None:
        news, self.offset = self.ask(self.offset)
        self.events += news


def story(events: Sequence[dict[str, Any]]) -> list[Any]:
    """What must be told once: all but each worker's own first and last word, and the clock."""
    told = []
    for event in events:
        if event["type"] not in ("start", "stopped", "failed", "finished"):
            metrics = {name: value for name, value in event.get("metrics", {}).items() if name not in _CLOCK}
            rest = {name: value for name, value in event.items() if name not in ("time", "metrics")}
            told.append((rest, metrics))
    return told


def assert_whole(store: RunStore, run_id: str, config: RunConfig) -> None:
    """Whatever lies under a final name can be read to its end, and the state is not one of a live run."""
    assert store.status(run_id) not in LIVE
    assert store.config(run_id) == config
    folder = store.folder(run_id)
    state = load_checkpoint(folder)
    assert state is None or {"model", "optimizer", "step", "tokens", "seconds"} <= state.keys()
    for step in store.snapshots(run_id):
        rows = store.snapshot_path(run_id, step).read_text(encoding="utf-8").splitlines()
        assert len([json.loads(row) for row in rows]) == config.prompts * config.completions
    if (policy := store.policy_path(run_id)) is not None:
        assert load_policy(str(policy)).parameters > 0
