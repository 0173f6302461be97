"""Start, stop and resume runs in processes of their own, which outlive the page and its server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from sapo_viz.errors import RunError
from sapo_viz.runs import process
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import RunEvent
from sapo_viz.runs.store import LIVE, RunStore, append_event
from sapo_viz.runs.worker_file import write_worker


def launch(config: RunConfig, store: RunStore | None = None) -> str:
    """Start a run and return its id at once. It waits in `queued` while every core has a run."""
    store = store or RunStore()
    run_id = store.create(config)
    _spawn(store, run_id)
    return run_id


def resume(run_id: str, store: RunStore | None = None) -> None:
    """Go on from the last checkpoint of a run that was stopped, killed or failed, or from its start."""
    store = store or RunStore()
    status = store.status(run_id)
    if status in LIVE:
        raise RunError(f"run {run_id} is {status}; only a run that has ended can be resumed.")
    if status == "finished":
        raise RunError(f"run {run_id} is finished; start a new run to train further.")
    _spawn(store, run_id)


def stop(run_id: str, store: RunStore | None = None, timeout: float = 1.0) -> bool:
    """Ask a run to stop and wait for it; False if it has not by then (it will, at its next look).

    A worker that is still importing has nothing to lose and cannot look: it is ended.
    """
    store = store or RunStore()
    store.request_stop(run_id)
    deadline = time.monotonic() + timeout
    while (status := store.status(run_id)) in LIVE:
        if status == "starting" and time.monotonic() > deadline - timeout / 2:
            worker = store.worker(run_id)
            if worker:
                process.kill(worker["pid"], worker["mark"])
                _wait_for_end(worker["pid"], worker["mark"])
                append_event(store.folder(run_id), RunEvent("stopped", store.summary(run_id).step))
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _wait_for_end(pid: int, mark: str, timeout: float = 0.5) -> None:
    deadline = time.monotonic() + timeout
    while process.is_alive(pid, mark) and time.monotonic() < deadline:
        time.sleep(0.005)


def _spawn(store: RunStore, run_id: str) -> None:
    folder = store.folder(run_id).resolve()
    for left_over in ("stop", "worker.json"):
        (folder / left_over).unlink(missing_ok=True)
    package = str(Path(__file__).parents[2])
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")])),
        "OMP_NUM_THREADS": str(store.config(run_id).threads),
        "PYTHONUNBUFFERED": "1",
    }
    with open(folder / "worker.log", "ab") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "sapo_viz.runs.worker", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # neither Ctrl-C in the server's terminal nor its end reaches it
        )
    write_worker(folder, "starting", pid=worker.pid, only_if_missing=True)
