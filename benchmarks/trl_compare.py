"""`make bench-trl`: this engine beside TRL's GRPOTrainer on the same work, in turns; docs/benchmarks-trl.md.

    python -m benchmarks.trl_compare [--steps 40] [--seeds 3] [--threads 1] [--trl .venv-trl/bin/python]

Same policy, prompts, batch (16 × 16 completions, 4 mini-batches of 64), reward, objective (GRPO, ε = 0.2, means over
a sequence's tokens), learning rate, AdamW and number of updates; both held to the same cores and threads. Each run
is a process of its own, ours and theirs in turn, so that a slow moment of the machine meets both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import ROOT, Row, Section, machine
from benchmarks.trl_work import COMPLETIONS, LEARNING_RATE, MINIBATCHES, PROMPTS, WARMUP, Clock, Side, pin, useful_flops

TARGET = ROOT / "docs" / "benchmarks-trl.md"
LAST = 10  # rollouts whose mean reward is compared
AIM = 3.0  # times TRL's completions a second
WARM = 1  # rollouts at the start that do not count for speed: first calls allocate
NAMES = {"ours": "this engine", "trl": "TRL"}


def ours(seed: int, steps: int, threads: int, out: Path) -> None:
    """Our side: the engine as a run has it, timed from outside from one step's event to the next one's."""
    pin(threads)
    from sapo_viz.runs.config import RunConfig
    from sapo_viz.runs.training.engine import train

    config = RunConfig(
        "grpo", seed=seed, steps=steps, lr=LEARNING_RATE, warmup=WARMUP, prompts=PROMPTS, completions=COMPLETIONS,
        minibatches=MINIBATCHES, snapshot_every=0, checkpoint_every=0, device="cpu", threads=threads,
    )  # fmt: skip
    side, clock = Side("ours", seed), Clock()
    for event in train(config):
        if event.type == "start":
            clock = Clock()
        elif event.type == "step":
            metrics, everyone = event.metrics, PROMPTS * COMPLETIONS
            clock.lap(side)
            side.rewards.append(metrics["reward"])
            side.sampled.append(metrics["length"] * everyone)
            side.sequences.append(metrics["signal"] * everyone)
            side.trained.append(metrics["signal"] * everyone * metrics["length"])
    side.write(out)


def products(threads: int) -> None:
    """How fast this machine multiplies matrices on so many cores: print two rates in GFLOP/s."""
    pin(threads)
    import torch

    for a, b in ((torch.randn(1024, 1024), torch.randn(1024, 1024)), (torch.randn(2560, 64), torch.randn(64, 128))):
        work, rates = 2 * a.shape[0] * a.shape[1] * b.shape[1], []
        repeats = max(1, int(2e9 / work))
        for _ in range(7):
            began = time.perf_counter()
            for _ in range(repeats):
                torch.mm(a, b)
            rates.append(repeats * work / (time.perf_counter() - began) / 1e9)
        print(statistics.median(rates))


def measure(steps: int, seeds: int, threads: int, trl: Path) -> Section:
    sides: dict[str, list[Side]] = {"ours": [], "trl": []}
    large, small = [], []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            rates = _run(sys.executable, "benchmarks.trl_compare", ["products", threads], threads).split()
            large.append(float(rates[0]))
            small.append(float(rates[1]))
            for side in ("ours", "trl") if seed % 2 == 0 else ("trl", "ours"):
                out = Path(folder) / f"{side}-{seed}.json"
                if side == "ours":
                    arguments = ["ours", "--seed", seed, "--steps", steps, "--threads", threads, "--out", out]
                    _run(sys.executable, "benchmarks.trl_compare", arguments, threads)
                else:
                    _run(str(trl), "benchmarks.trl_side", [seed, steps, threads, out], threads)
                sides[side].append(Side.read(out))
                print(f"seed {seed}, {NAMES[side]}: {_speed(sides[side][-1]):,.0f} completions/s", flush=True)
    return _section(sides, steps, threads, large, small)


def _section(sides: dict[str, list[Side]], steps: int, threads: int, large: list[float], small: list[float]) -> Section:
    speeds = {name: [_speed(run) for run in runs] for name, runs in sides.items()}
    processor = {name: [_speed(run, "processor") for run in runs] for name, runs in sides.items()}
    ratios = [mine / theirs for mine, theirs in zip(speeds["ours"], speeds["trl"], strict=True)]
    shares = {
        name: [100 * useful_flops(run) / sum(run.seconds) / 1e9 / rate for run, rate in zip(runs, large, strict=True)]
        for name, runs in sides.items()
    }
    ends = {name: [statistics.fmean(run.rewards[-LAST:]) for run in runs] for name, runs in sides.items()}
    rows = [
        *(Row(f"completions a second, {NAMES[name]}", "/s", values) for name, values in speeds.items()),
        *(
            Row(f"completions a second of processor time, {NAMES[name]}", "/s", each)
            for name, each in processor.items()
        ),
        Row("the same seed's ratio, this engine / TRL", "×", ratios, digits=2),
        Row("matrix product 1024 × 1024 × 1024", "GFLOP/s", large, digits=1),
        Row("matrix product of the model's own shape, 2560 × 64 × 128", "GFLOP/s", small, digits=1),
        *(Row(f"share of the first rate, {NAMES[name]}", "%", values, digits=1) for name, values in shares.items()),
        *(Row(f"reward, last {LAST} rollouts, {NAMES[name]}", "", values, digits=3) for name, values in ends.items()),
    ]
    median = statistics.median(ratios)
    return Section(
        f"Beside TRL's GRPOTrainer, {threads} {'thread' if threads == 1 else 'threads'}",
        f"The same policy (addition-start), prompts, reward, objective and {steps} rollouts of {PROMPTS} × "
        f"{COMPLETIONS} completions with {MINIBATCHES} updates each, on both sides, in turns, {len(ratios)} seeds. "
        f"Speeds are of whole runs after the first {WARM} rollout, without imports and loading; the share counts the "
        "arithmetic that the work cannot do without (benchmarks/trl_work.py) over the time of the whole run.",
        rows,
        [
            f"Median ratio {median:.2f}; aimed at: {AIM:g}. {'Reached.' if median >= AIM else 'Not reached.'}",
            _compared(ends),
            "Mean reward over the seeds, rollout by rollout:\n\n" + _curves(sides, steps),
        ],
    )


def _compared(ends: dict[str, list[float]]) -> str:
    """Are the learning curves' ends equal within seed noise? From the numbers alone."""
    mine, theirs = ends["ours"], ends["trl"]
    difference = statistics.fmean(mine) - statistics.fmean(theirs)
    if len(mine) < 2:
        return f"Difference in reward at the end {difference:+.3f}, from one seed: no spread is known."
    error = (statistics.variance(mine) / len(mine) + statistics.variance(theirs) / len(theirs)) ** 0.5
    verdict = "within" if abs(difference) <= 2 * error else "beyond"
    return (
        f"Reward of the last {LAST} rollouts: this engine {statistics.fmean(mine):.3f} ± {statistics.stdev(mine):.3f}, "
        f"TRL {statistics.fmean(theirs):.3f} ± {statistics.stdev(theirs):.3f} (mean ± standard deviation over "
        f"{len(mine)} seeds); difference {difference:+.3f}, {verdict} two standard errors ({2 * error:.3f})."
    )


def _curves(sides: dict[str, list[Side]], steps: int) -> str:
    shown = sorted({*range(1, steps + 1, max(1, steps // 8)), steps})
    lines = ["| rollout | " + " | ".join(map(str, shown)) + " |", "|---" * (len(shown) + 1) + "|"]
    for name, runs in sides.items():
        means = [f"{statistics.fmean(run.rewards[step - 1] for run in runs):.2f}" for step in shown]
        lines.append(f"| {NAMES[name]} | " + " | ".join(means) + " |")
    return "\n".join(f"  {line}" for line in lines)


def _speed(side: Side, clock: str = "seconds") -> float:
    times: list[float] = getattr(side, clock)
    times = times[WARM:] or times
    return PROMPTS * COMPLETIONS * len(times) / sum(times)


def _run(python: str, module: str, arguments: list[object], threads: int) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    answer = subprocess.run(
        [python, "-m", module, *map(str, arguments)], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    if answer.returncode:
        raise RuntimeError(f"{module} ended with status {answer.returncode}:\n{answer.stderr[-3000:]}")
    return answer.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description="This engine beside TRL's GRPOTrainer.")
    parser.add_argument("what", nargs="?", default="compare", choices=("compare", "ours", "products"))
    parser.add_argument("given", nargs="*", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, default=40, help="rollouts of each run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--trl", type=Path, default=ROOT / ".venv-trl" / "bin" / "python")
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=TARGET, help="where the table goes")
    args = parser.parse_args()
    if args.what == "ours":
        ours(args.seed, args.steps, args.threads, args.out)
    elif args.what == "products":
        products(args.given[0])
    else:
        if not args.trl.exists():
            parser.error(f"there is no {args.trl}; make bench-trl sets it up.")
        where = machine()
        section = measure(args.steps, args.seeds, args.threads, args.trl)
        text = "# Beside TRL\n\nMade by `make bench-trl`; nothing here is asserted by a test.\n\n"
        versions = _run(str(args.trl), "pip", ["list", "--format=freeze"], 1).splitlines()
        named = ", ".join(
            line.replace("==", " ") for line in versions if line.split("==")[0] in ("trl", "torch", "transformers")
        )
        args.out.write_text(f"{text}Machine: {where}; {named}.\n\n{section.markdown()}", encoding="utf-8")
        print(section.markdown())


if __name__ == "__main__":
    main()
