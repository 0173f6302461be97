"""What a page asks of a finished run: both policies' answers to a prompt, or its adapter and its start in one model.

Done for all visitors one after the other, by a process of its own (models/jobs.py). What it writes is in the run's
folder.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sapo_viz.errors import RunError
from sapo_viz.models.jobs import Job, JobLine
from sapo_viz.models.source import without_links
from sapo_viz.runs.folder.asked import Asking
from sapo_viz.runs.folder.files import part_of
from sapo_viz.runs.folder.store import RunStore

MERGED = "merged"  # folder of a run
WIDTH = {"float32": 4, "bfloat16": 2}  # bytes of a parameter


@dataclass(frozen=True)
class Merging:
    """The precision of the weights that are kept."""

    dtype: str = "float32"


class AfterJob(Job):
    """`number` of what was kept in the run's folder is there when it is done; 0 for a merged model."""

    def __init__(self, store: RunStore, run_id: str, what: Asking | Merging) -> None:
        asks = isinstance(what, Asking)
        super().__init__(line(), f"{'answering' if asks else 'merging'} of run {run_id}")
        self.run_id, self.what, self.number = run_id, what, 0
        self._root = store.root

    def message(self) -> dict[str, Any]:
        kind = "ask" if isinstance(self.what, Asking) else "merge"
        return {"kind": kind, "root": str(self._root.absolute()), "run": self.run_id} | asdict(self.what)

    def take(self, kind: str, event: dict[str, Any]) -> None:
        self.number = event["number"]

    def left_over(self) -> None:
        shutil.rmtree(part_of(merged_path(RunStore(self._root), self.run_id)), ignore_errors=True)


def begin(store: RunStore, run_id: str, what: Asking | Merging) -> AfterJob:
    """The job, at once.

    Raises:
        RunError: the run is not a finished one of our own, a link is in what it has trained, or it has its merged model
            already.
        ModelError: too many jobs wait already.
    """
    store.config(run_id)
    policy = store.policy_path(run_id)
    if policy is None:
        raise RunError(f"run {run_id} is {store.status(run_id)}; what it has trained is there once it is finished.")
    if not without_links(policy):
        raise RunError(
            f"run {run_id}: a link is among the files of its policy and is not followed; copy the file there."
        )
    if isinstance(what, Merging) and merged_path(store, run_id).exists():
        raise RunError(f"run {run_id} has its merged model already; delete that first.")
    job = AfterJob(store, run_id, what)
    line().join(job)
    return job


def merged_path(store: RunStore, run_id: str) -> Path:
    return store.path(run_id) / MERGED


@lru_cache(maxsize=1)
def line() -> JobLine:
    """The one of this process."""
    return JobLine("sapo_viz.runs.workers.after_worker", "requests to trained policies wait")
