"""How long is a step of a real model, and is the memory that was told before the start what it takes?

    python -m benchmarks.real_model [--steps 3]

SmolLM2-135M-Instruct on the mood task, started as the Training page starts it: a worker process of one thread.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.report import Row, Section
from sapo_viz.models.shape import shape_of
from sapo_viz.models.source import FOLDER_VARIABLE
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.store import LIVE, RunStore
from sapo_viz.runs.need import lengths_of, need_of
from sapo_viz.runs.questions.mood import SYSTEM, TEMPLATE, mood_table
from sapo_viz.runs.workers.launcher import launch
from scripts.make_smollm2 import make

STEPS = 3
KINDS: dict[str, dict[str, Any]] = {
    "LoRA of rank 16, float32": {"lora_rank": 16, "lr": 1e-3},
    "LoRA of rank 16, bfloat16": {"lora_rank": 16, "lr": 1e-3, "dtype": "bfloat16"},
    "all weights, bfloat16": {"lr": 3e-5, "dtype": "bfloat16"},
}


def measure(steps: int = STEPS) -> Section:
    model = make()
    os.environ[FOLDER_VARIABLE] = str(model.parent)
    rows, notes = [], []
    for kind, settings in KINDS.items():
        config = RunConfig(
            task="mood", policy=model.name, steps=steps, prompts=2, completions=8, minibatches=2, max_tokens=24,
            warmup=0, validate_every=0, checkpoint_every=0, snapshot_every=0, device="cpu", **settings,
        )  # fmt: skip
        (things,) = mood_table().cells
        longest = max(len(TEMPLATE.format(question=thing)) for thing in things) + len(SYSTEM)
        told = need_of(shape_of(model), config, *lengths_of(config, longest)).total
        seconds, processor, peak = _run(config)
        rows += [
            Row(f"{kind}: a step", "s", seconds, digits=1),
            Row(f"{kind}: a step, of one core", "s", processor, digits=1),
            Row(f"{kind}: peak memory", "MB", [peak / 1e6]),
        ]
        notes.append(f"{kind}: told before the start {told / 1e6:,.0f} MB, {told / peak - 1:+.0%}.")
    return Section(
        "A step of a real model",
        "SmolLM2-135M-Instruct, mood task, 2 prompts × 8 completions × 24 tokens, two updates a step, one thread; the "
        "worker that the Training page starts. Memory is the process's largest resident set.",
        rows,
        notes,
    )


def _run(config: RunConfig) -> tuple[list[float], list[float], float]:
    """Seconds of each step by the clock and of processor time, and the peak in bytes. Imports and loading end before
    the first is counted from."""
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder))
        run_id = launch(config, store)
        marks: list[tuple[float, float]] = []
        peak, offset = 0.0, 0
        while True:
            alive = store.status(run_id) in LIVE
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(store.worker(run_id)["pid"])
                used = process.cpu_times()
                peak = max(peak, _largest(process.pid))
                events, offset = store.read_events(run_id, offset)
                marks += [(time.perf_counter(), used.user + used.system) for e in events if e["type"] in _MARKS]
            if not alive:
                break
            time.sleep(0.2)
        if store.status(run_id) != "finished":
            raise RuntimeError(store.summary(run_id).message)
        pairs = list(zip(marks, marks[1:], strict=False))
        return [b[0] - a[0] for a, b in pairs], [b[1] - a[1] for a, b in pairs], peak


_MARKS = ("start", "step")


def _largest(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return 1024.0 * int(next((line.split()[1] for line in lines if line.startswith("VmHWM")), "0"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    print(measure(parser.parse_args().steps).markdown())
