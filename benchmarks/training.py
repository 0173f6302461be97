"""How fast does a default run learn? `python -m sapo_viz train` as a newcomer starts it, over several seeds."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT, Row, Section

SEEDS = (0, 1, 2)
LEARNED = 0.9


def measure() -> Section:
    speeds: list[float] = []
    totals: list[float] = []
    until_learned: list[float] = []
    first: list[float] = []
    last: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            out = Path(folder) / f"seed-{seed}"
            command = [sys.executable, "-m", "sapo_viz", "train", "--seed", str(seed), "--out", str(out)]
            began = time.perf_counter()
            subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
            totals.append(time.perf_counter() - began)
            steps = _steps(out)
            speeds += [step["metrics"]["completions_per_s"] for step in steps]
            rewards = [step["metrics"]["reward"] for step in steps]
            first.append(statistics.mean(rewards[:3]))
            last.append(statistics.mean(rewards[-10:]))
            learned = next((s["metrics"]["seconds"] for s in steps if s["metrics"]["reward"] >= LEARNED), None)
            if learned is not None:
                until_learned.append(learned)
    rows = [
        Row("completions a second, each step", "/s", speeds),
        Row("the whole command, imports included", "s", totals, digits=1),
        Row("reward, first 3 steps", "", first, digits=3),
        Row("reward, last 10 steps", "", last, digits=3),
    ]
    if until_learned:
        rows.insert(2, Row(f"training time until a step's reward reaches {LEARNED}", "s", until_learned, digits=1))
    return Section(
        "A default training run",
        f"`python -m sapo_viz train` with its defaults, seeds {', '.join(map(str, SEEDS))}, one after the other.",
        rows,
        [f"{len(until_learned)} of {len(SEEDS)} runs had a step with reward {LEARNED} or more."],
    )


def _steps(out: Path) -> list[dict[str, Any]]:
    lines = (out / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["type"] == "step"]
