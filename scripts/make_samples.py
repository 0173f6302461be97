"""Make the sample rollout files: `python -m scripts.make_samples` (`make samples`), about a minute on one core.

smollm2-mood.jsonl                        a step of a language model's run under SAPO, as `scripts.record_mood` recorded
                                          it, without what only an audit reads: what Tokens opens on. Quantiles of its
                                          ratios, for Home, are in ../home.json
addition-step12.{jsonl,json,csv,parquet}  step 12 of a SAPO run at learning rate 1e-4, two groups: ratios near 1
outlier.jsonl                             GRPO by plain SGD without gradient clipping, four groups of the step
                                          that moved a token with negative advantage furthest up

The other two are real runs from addition-start with fixed seeds; log-probs are those before and after the step's
updates.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sapo_viz.paths import ASSETS
from sapo_viz.rollouts.readers.read import parse_rollouts, read_rollouts
from sapo_viz.rollouts.write import FORMATS, write_rollouts
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.training.engine import train

SAMPLES = ASSETS / "samples"
MOOD = 12  # the recorded step: later ones read worse
QUANTILES = 401  # of its ratios, about one a token
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


def mood(folder: Path) -> None:
    """From the recorded run beside it; the recorder keeps log-probs as float32, six decimals say as much."""
    read = read_rollouts(folder / "recorded" / "sapo" / "tokens" / f"step-{MOOD:05d}.rank-0.parquet")
    rounded = {name: getattr(read, name).round(6) for name in ("logprobs", "old_logprobs", "advantages")}
    plain = replace(read, **rounded, loss_gradients=None, microbatches=(), losses=())
    (folder / "smollm2-mood.jsonl").write_bytes(write_rollouts(plain, "jsonl"))
    z = plain.log_ratio[plain.mask]
    kept = dict(tokens=len(z), step=MOOD, log_ratios=np.quantile(z, np.linspace(0, 1, QUANTILES)).round(4).tolist())
    (folder.parent / "home.json").write_text(json.dumps(kept) + "\n", encoding="utf-8")


def jsonl(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=SAMPLES, help="folder for the files")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)

    mood(folder)
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
