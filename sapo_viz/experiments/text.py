"""A result as text: the table and the sentence, for the terminal and for docs/experiments.md; and as JSON."""

from __future__ import annotations

from typing import Any

from sapo_viz.experiments.analysis import Difference, Result
from sapo_viz.experiments.conclusion import conclusion


def mean_sd(mean: float | None, sd: float | None) -> str:
    """0.81 ± 0.02, with what there is."""
    if mean is None:
        return "–"
    return f"{mean:.3f}" if sd is None else f"{mean:.3f} ± {sd:.3f}"


def difference_text(difference: Difference) -> str:
    """+0.12 (−0.05 to +0.19), with what there is."""
    if difference.mean is None:
        return "–"
    text = f"{difference.mean:+.3f}"
    if difference.interval is not None:
        low, high = difference.interval
        text += f" ({low:+.3f} to {high:+.3f})"
    return text.replace("-", "−")


def arm_rows(result: Result) -> list[list[str]]:
    """One row per arm: label, reward, KL to the start where that of every run is known, each seed, collapsed."""
    return [
        [
            arm.label,
            mean_sd(arm.mean, arm.sd),
            *([mean_sd(arm.mean_cost, arm.sd_cost)] if result.costs else []),
            " ".join(f"{final:.2f}" for _, final in sorted(arm.finals.items())) or "–",
            f"{arm.collapsed} of {arm.n}",
        ]
        for arm in result.arms
    ]


def difference_rows(result: Result) -> list[list[str]]:
    """One row a pair: which, by how much, and by how much in KL where that is known, over how many seeds."""
    costs = [[difference_text(cost)] for cost in result.costs] or [[] for _ in result.differences]
    return [
        [f"{result.arm(d.first).label} − {result.arm(d.second).label}", difference_text(d), *cost, str(d.n)]
        for d, cost in zip(result.differences, costs, strict=True)
    ]


def said_rows(result: Result) -> list[list[str]]:
    """What each run answers to the held-out prompt in the end, and the policy that they began with; none if nobody
    was asked."""
    runs = [(arm.label, seed, run) for arm in result.arms for seed, run in sorted(arm.runs.items()) if run.said]
    if not runs:
        return []
    step, text = runs[0][2].said[0]
    first = [["start", "–", _in_a_cell(text)]] if step == 0 else []
    return first + [[label, str(seed), _in_a_cell(run.said[-1][1])] for label, seed, run in runs]


def _in_a_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "¦") or "–"


def change_rows(result: Result) -> list[list[str]]:
    """One row per arm that the switches change: reward, KL to the start where known, collapsed, and what has changed
    for it."""
    return [
        [
            arm.label,
            mean_sd(arm.mean, arm.sd),
            *([mean_sd(arm.mean_cost, arm.sd_cost)] if result.costs else []),
            f"{arm.collapsed} of {arm.n}",
            difference_text(arm.change),
        ]
        for arm in result.arms
        if arm.change
    ]


SAID_HEAD = ["Setting", "Seed", "Answer at the end"]


def arm_head(result: Result) -> list[str]:
    return ["Setting", "Reward, last quarter of the steps (mean ± sd)", *_cost_head(result), "Each seed", "Collapsed"]


def change_head(result: Result) -> list[str]:
    change = "Change, seed by seed (95 % interval over all looks)"
    return ["Setting", "Reward", *_cost_head(result), "Collapsed", change]


def _cost_head(result: Result) -> list[str]:
    return ["KL to the start, nats a token"] if result.costs else []


def difference_head(result: Result) -> list[str]:
    cost = ["In KL to the start"] if result.costs else []
    return ["Paired difference", "Mean (95 % interval over all looks)", *cost, "Seeds"]


def plain_table(head: list[str], rows: list[list[str]]) -> str:
    """Columns side by side in a terminal."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]]
    return "\n".join(line.rstrip() for line in lines)


def markdown_table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def result_json(result: Result) -> dict[str, Any]:
    """Everything that the table says, as numbers."""
    return {
        "arms": [
            {
                "name": arm.name,
                "label": arm.label,
                "n": arm.n,
                "mean": arm.mean,
                "sd": arm.sd,
                "kl_start": arm.mean_cost,
                "collapsed": arm.collapsed,
                "seeds": {str(seed): final for seed, final in sorted(arm.finals.items())},
                "change": _difference_json(arm.change) if arm.change else None,
            }
            for arm in result.arms
        ],
        "differences": [{"first": d.first, "second": d.second} | _difference_json(d) for d in result.differences],
        "kl_differences": [{"first": d.first, "second": d.second} | _difference_json(d) for d in result.costs],
        "runs": {"wanted": result.wanted, "done": result.done, "failed": len(result.failed)},
        "sentence": conclusion(result),
    }


def _difference_json(difference: Difference) -> dict[str, Any]:
    names = ("n", "mean", "interval", "clear")
    return {name: getattr(difference, name) for name in names}
