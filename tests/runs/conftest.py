"""A store for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sapo_viz.runs.folder import process
from sapo_viz.runs.folder.store import LIVE, RunStore

torch.set_num_threads(1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    """A store of its own; workers that a failed test leaves behind are ended."""
    store = RunStore(tmp_path / "runs")
    yield store
    for summary in store.list():
        worker = store.worker(summary.id)
        if summary.status in LIVE and worker and worker["pid"] != os.getpid():
            process.kill(worker["pid"], worker["mark"])
