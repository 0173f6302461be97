"""Start, stop and resume runs in processes of their own, which outlive the page and its server.

What is started here is started for a page, and keeps to the rules of a server that several people share (quotas.py):
the same gate to models for Training, experiments and resumed runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from sapo_viz.errors import RunError
from sapo_viz.models.source import admit
from sapo_viz.paths import child_environment
from sapo_viz.rollouts.table import TextTable
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.engines import admit_engine
from sapo_viz.runs.events import RunEvent
from sapo_viz.runs.folder import process
from sapo_viz.runs.folder.log import append_event, mend_events
from sapo_viz.runs.folder.reading import open_regular
from sapo_viz.runs.folder.slots import control, try_lock
from sapo_viz.runs.folder.store import LIVE, RunStore
from sapo_viz.runs.folder.worker_file import write_worker
from sapo_viz.runs.questions.exercise import examples_of
from sapo_viz.runs.questions.kept import keep_table, with_table
from sapo_viz.runs.questions.rewards import Reward
from sapo_viz.runs.workers.quotas import admitted_reward, page_rules

LEFT_OVER = ("stop", "worker.json")  # of a run's last worker, in the way of its next one


def launch(config: RunConfig, store: RunStore | None = None, table: TextTable | None = None) -> str:
    """Start a run and return its id at once. It waits in `queued` while every core has a run.

    Args:
        table: the questions of the task "questions"; the run keeps them in its folder.

    Raises:
        ModelError: it would start from a policy that pages may not read.
        RunError: its questions or its reward cannot be used.
    """
    store = store or RunStore()
    reward = _admit(config)
    if reward is not None:
        examples_of(config, table, reward)
    if table is not None:
        config = with_table(config, table)
    with control(store.root):
        run_id = store.create(config)
        if table is not None:
            keep_table(store.folder(run_id), table)
        _spawn(store, run_id)
    return run_id


def resume(run_id: str, store: RunStore | None = None) -> None:
    """Go on from the last checkpoint of a run that was stopped, killed or failed, or from its start.

    Raises:
        RunError: it is alive, perhaps because another browser has just resumed it; it is finished; or its config or
            its log cannot be read.
    """
    store = store or RunStore()
    store.ours(run_id, "resumed")
    with control(store.root):
        status = store.status(run_id)
        if status in LIVE:
            raise RunError(f"run {run_id} is {status}; only a run that has ended can be resumed.")
        if status == "finished":
            raise RunError(f"run {run_id} is finished; start a new run to train further.")
        _admit(store.config(run_id))
        store.read_events(run_id, most=0)  # what cannot be read cannot be gone on with
        _spawn(store, run_id)


def _admit(config: RunConfig) -> Reward | None:
    """Said before the run has a folder; the worker asks the same gate again, with what is there by then."""
    rules = page_rules()
    admit_engine(config)
    if config.policy != "auto":
        admit(config.policy, rules.models)
    return admitted_reward(config, rules)


def stop(run_id: str, store: RunStore | None = None, timeout: float = 1.0) -> bool:
    """Ask a run to stop and wait for it; False if it has not by then (it will, at its next look).

    A worker that is still importing has nothing to lose and cannot look: it is ended.
    """
    store = store or RunStore()
    store.request_stop(run_id)
    deadline = time.monotonic() + timeout
    while (status := store.status(run_id)) in LIVE:
        if status == "starting" and time.monotonic() > deadline - timeout / 2:
            _end_importing(store, run_id)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _end_importing(store: RunStore, run_id: str) -> None:
    """End a worker that has not begun, and write the last word in its place, once, however many ask."""
    folder, worker = store.folder(run_id), store.worker(run_id)
    if not worker:
        return
    process.kill(worker["pid"], worker["mark"])
    deadline = time.monotonic() + 0.5
    while (lock := try_lock(folder / ".lock")) is None:  # the system lets go of it when the worker is gone
        if time.monotonic() > deadline:
            return
        time.sleep(0.005)
    with lock:
        if store.worker(run_id).get("state") == "starting":
            append_event(folder, RunEvent("stopped", mend_events(folder).step))
            write_worker(folder, "ended")


# Activations of a few MB come and go thousands of times: in large pages, and not given back each time, a step takes
# a twentieth less. Where the C library is another one this means nothing.
_MALLOC = "glibc.malloc.hugetlb=1:glibc.malloc.trim_threshold=1000000000:glibc.malloc.mmap_threshold=1000000000"


def _spawn(store: RunStore, run_id: str) -> None:
    folder, config = store.folder(run_id).resolve(), store.config(run_id)
    for left_over in LEFT_OVER:
        (folder / left_over).unlink(missing_ok=True)
    asked = time.time_ns()
    environment = child_environment() | {
        "OMP_NUM_THREADS": str(config.threads),
        "PYTHONUNBUFFERED": "1",
    }
    environment.setdefault("GLIBC_TUNABLES", _MALLOC)
    with open_regular(folder / "worker.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT) as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "sapo_viz.runs.workers.worker", str(folder), str(asked)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # neither Ctrl-C in the server's terminal nor its end reaches it
        )
    write_worker(folder, "starting", pid=worker.pid, asked=asked, only_if_missing=True)
