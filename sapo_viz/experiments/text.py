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
    """One row per arm: label, reward, each seed, collapsed."""
    return [
        [
            arm.label,
            mean_sd(arm.mean, arm.sd),
            " ".join(f"{final:.2f}" for _, final in sorted(arm.finals.items())) or "–",
            f"{arm.collapsed} of {arm.n}",
        ]
        for arm in result.arms
    ]


def difference_rows(result: Result) -> list[list[str]]:
    """One row a pair: which, by how much, over how many seeds."""
    return [
        [f"{result.arm(d.first).label} − {result.arm(d.second).label}", difference_text(d), str(d.n)]
        for d in result.differences
    ]


def change_rows(result: Result) -> list[list[str]]:
    """One row per arm that the switches change: reward, collapsed, and what has changed for it."""
    return [
        [arm.label, mean_sd(arm.mean, arm.sd), f"{arm.collapsed} of {arm.n}", difference_text(arm.change)]
        for arm in result.arms
        if arm.change
    ]


CHANGE_HEAD = ["Setting", "Reward", "Collapsed", "Change, seed by seed (95 % interval over all looks)"]
ARM_HEAD = ["Setting", "Reward, last 10 steps (mean ± sd)", "Each seed", "Collapsed"]
DIFFERENCE_HEAD = ["Paired difference", "Mean (95 % interval over all looks)", "Seeds"]


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
                "collapsed": arm.collapsed,
                "seeds": {str(seed): final for seed, final in sorted(arm.finals.items())},
                "change": _difference_json(arm.change) if arm.change else None,
            }
            for arm in result.arms
        ],
        "differences": [{"first": d.first, "second": d.second} | _difference_json(d) for d in result.differences],
        "runs": {"wanted": result.wanted, "done": result.done, "failed": len(result.failed)},
        "sentence": conclusion(result),
    }


def _difference_json(difference: Difference) -> dict[str, Any]:
    names = ("n", "mean", "interval", "clear")
    return {name: getattr(difference, name) for name in names}
