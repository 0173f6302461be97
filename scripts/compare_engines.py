"""The learning curves of both engines on the same task, over seeds: does TRL's trainer learn what the loop learns?

    python -m scripts.compare_engines [--objective sapo] [--seeds 4] [--steps 30]

Prints, every fifth step, the mean reward of each engine over seeds with its standard deviation, and the difference with
the standard error of a difference of such means. Samples differ between the engines, so that equal is what cannot be
told apart: differences of about the standard error, within two of it 19 times in 20.
"""

from __future__ import annotations

import argparse
import time
from statistics import fmean, stdev

import torch

from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.training.engines import train

ENGINES = ("loop", "trl")


def rewards(engine: str, objective: str, seed: int, steps: int) -> tuple[list[float], float]:
    """The reward of each step, and the seconds that the steps took."""
    config = RunConfig(
        objective,
        engine=engine,
        seed=seed,
        steps=steps,
        validate_every=0,
        snapshot_every=0,
        checkpoint_every=0,
        device="cpu",
    )
    done = [event.metrics for event in train(config) if event.type == "step"]
    return [step["reward"] for step in done], done[-1]["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--objective", default="sapo")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=30)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    curves: dict[str, list[list[float]]] = {engine: [] for engine in ENGINES}
    for seed in range(asked.seeds):
        for engine in ENGINES:
            began = time.time()
            curve, seconds = rewards(engine, asked.objective, seed, asked.steps)
            curves[engine].append(curve)
            print(f"{engine} seed {seed}: {seconds:.0f} s of steps, {time.time() - began:.0f} s in all", flush=True)
    print("| step | loop | trl | difference | its standard error |\n|---|---|---|---|---|")
    for step in range(4, asked.steps, 5):
        a, b = ([mean_of(curve, step) for curve in curves[engine]] for engine in ENGINES)
        error = ((stdev(a) ** 2 + stdev(b) ** 2) / asked.seeds) ** 0.5
        print(
            f"| {step - 3}–{step + 1} | {fmean(a):.3f} ± {stdev(a):.3f} | {fmean(b):.3f} ± {stdev(b):.3f} "
            f"| {fmean(b) - fmean(a):+.3f} | {error:.3f} |"
        )


def mean_of(curve: list[float], step: int) -> float:
    """Of the five steps up to this one: one step's 256 completions are a noisy count."""
    return fmean(curve[step - 4 : step + 1])


if __name__ == "__main__":
    main()
