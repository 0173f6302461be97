"""What the process does from which workers are forked: a run to its end, so that none of them has to load and compile
what a run needs. It has no other thread by then: they would not come along."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import torch

from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.workers.worker import work
from tests.runs.small_runs import small

os.environ["TOKENIZERS_PARALLELISM"] = "false"
torch.set_num_threads(1)
with tempfile.TemporaryDirectory() as folder:
    store = RunStore(Path(folder))
    work(store.path(store.create(small(prompts=2, completions=2, steps=1))))
