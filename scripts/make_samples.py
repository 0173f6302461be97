"""Make the sample rollout files: `python scripts/make_samples.py` (`make samples`), about a minute on one core.

addition-step12.{jsonl,json,csv,parquet}  step 12 of a SAPO run at learning rate 1e-4, two groups: ratios near 1
outlier.jsonl                             GRPO by plain SGD without gradient clipping, four groups of the step
                                          that moved a token with negative advantage furthest up

Both are real runs from addition-start with fixed seeds; log-probs are those before and after the step's updates.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from sapo_viz.rollouts.read import parse_rollouts
from sapo_viz.rollouts.write import FORMATS, write_rollouts
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.engine import train

SAMPLES = Path(__file__).parents[1] / "assets" / "samples"
CALM = RunConfig(seed=0, steps=12, lr=1e-4, snapshot_every=0, device="cpu")
OUTLIER = RunConfig(
    objective="grpo",
    knobs={"eps_low": 0.2, "eps_high": 0.27},
    seed=1,
    steps=40,
    lr=0.05,
    optimizer="sgd",
    grad_clip=0.0,
    snapshot_every=1,
    device="cpu",
)

Row = dict[str, Any]


def snapshots(config: RunConfig) -> list[list[Row]]:
    """The token rows of every snapshot of a run."""
    return [event.payload for event in train(config) if event.type == "sample"]


def worst_ratio(row: Row) -> float:
    """The largest r among the tokens of a sequence with negative advantage; 0 for the others."""
    if row["advantage"] >= 0:
        return 0.0
    return math.exp(max(new - old for new, old in zip(row["logprobs"], row["old_logprobs"], strict=True)))


def groups_of(rows: list[Row], count: int, *, first: int | None = None) -> list[Row]:
    """`count` whole groups that carry signal, the group `first` among them, in their order."""
    signal = list(dict.fromkeys(row["group"] for row in rows if row["advantage"]))
    others = [group for group in signal if group != first]
    chosen = [*([] if first is None else [first]), *others][:count]
    return [row for row in rows if row["group"] in chosen]


def jsonl(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=SAMPLES, help="folder for the files")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)

    calm = parse_rollouts(jsonl(groups_of(snapshots(CALM)[-1], 2)), "addition-step12.jsonl")
    for format in FORMATS:
        (folder / f"addition-step12.{format}").write_bytes(write_rollouts(calm, format))

    steps = snapshots(OUTLIER)
    rows = max(steps, key=lambda rows: max(map(worst_ratio, rows)))
    worst = max(rows, key=worst_ratio)
    print(f"outlier: step {worst['step']}, {worst['id']}, r = {worst_ratio(worst):.1f} at A = {worst['advantage']:.2f}")
    outlier = parse_rollouts(jsonl(groups_of(rows, 4, first=worst["group"])), "outlier.jsonl")
    (folder / "outlier.jsonl").write_bytes(write_rollouts(outlier, "jsonl"))

    for path in sorted(folder.iterdir()):
        print(f"{path.name}  {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
