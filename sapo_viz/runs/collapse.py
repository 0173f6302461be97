"""When a run broke, and what its numbers did just before and after.

A rule for the eye and for counting ("collapsed in 2 of 5"), not a statistical test. Over windows of
`RULE.window` steps, the first step at which one of these holds:

reward    the mean reward fell below `share` of the best such mean before it, which was at least `from_best`,
          and stayed below for `stays` windows in a row
entropy   the mean entropy fell below `entropy_share` of its first window, while the mean reward lay below
          `entropy_reward` of its best, for `stays` windows in a row: the policy repeats itself, and wrongly
nan       one of `FINITE` is not a number in a step
failed    the run said that it failed

live_math.js has the same rule, so that a curve is marked while it is drawn; tests/browser/test_live_math.py
compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["reward", "entropy", "nan", "failed"]


@dataclass(frozen=True)
class CollapseRule:
    window: int = 5  # steps in a mean
    share: float = 0.5  # of the best mean reward
    from_best: float = 0.3  # a best mean below this is nothing to fall from
    stays: int = 5  # windows in a row: a dip of a few steps is none
    entropy_share: float = 0.05  # of the first window's mean entropy
    entropy_reward: float = 0.8  # of the best mean reward


RULE = CollapseRule()
FINITE = ("reward", "entropy", "grad_norm")  # numbers that every step has, unless something went wrong
# What is told of a collapse: the value at the step itself, or the largest since the window began.
TOLD: Mapping[str, Literal["last", "largest"]] = {
    "reward": "last",
    "entropy": "last",
    "ratio_max": "largest",
    "ratio_p99": "largest",
    "grad_norm": "largest",
}


@dataclass(frozen=True)
class Collapse:
    """`told`: metric -> (just before the window that fell, in it); None where there is no number."""

    step: int
    kind: Kind
    told: Mapping[str, tuple[float | None, float | None]]
    message: str = ""  # of a failed run


def find_collapse(events: Iterable[Mapping[str, Any]], rule: CollapseRule = RULE) -> Collapse | None:
    """The first collapse among a run's events (as `RunStore.read_events` gives them), or None.

    A failure counts only while it is the run's last word: one that was resumed from is past.
    """
    steps: list[Mapping[str, Any]] = []
    last: Mapping[str, Any] = {}
    for event in events:
        last = event
        if event["type"] == "step":
            steps.append(event)
    metrics = [step["metrics"] for step in steps]
    found = _first_fall(metrics, rule)
    if found is not None:
        index, kind = found
        return Collapse(steps[index]["step"], kind, _told(metrics, index, rule.window))
    if last.get("type") == "failed":
        told = _told(metrics, len(metrics) - 1, rule.window) if metrics else {}
        return Collapse(last["step"], "failed", told, str(last.get("message", "")))
    return None


def _first_fall(metrics: Sequence[Mapping[str, Any]], rule: CollapseRule) -> tuple[int, Kind] | None:
    best, first_entropy = 0.0, None
    below = {"reward": 0, "entropy": 0}  # windows in a row
    for index, values in enumerate(metrics):
        if any(name in values and values[name] is None for name in FINITE):
            return index, "nan"
        if index + 1 < rule.window:
            continue
        reward = _mean(metrics, index, rule.window, "reward")
        entropy = _mean(metrics, index, rule.window, "entropy")
        first_entropy = entropy if first_entropy is None else first_entropy
        fell = best >= rule.from_best and reward < rule.share * best
        dull = best >= rule.from_best and reward < rule.entropy_reward * best
        below["reward"] = below["reward"] + 1 if fell else 0
        below["entropy"] = below["entropy"] + 1 if dull and entropy < rule.entropy_share * first_entropy else 0
        kinds: tuple[Kind, ...] = ("reward", "entropy")
        for kind in kinds:
            if below[kind] == rule.stays:
                return index - rule.stays + 1, kind
        best = max(best, reward)
    return None


def _mean(metrics: Sequence[Mapping[str, Any]], index: int, window: int, name: str) -> float:
    return sum(float(values.get(name) or 0.0) for values in metrics[index - window + 1 : index + 1]) / window


def _told(
    metrics: Sequence[Mapping[str, Any]], index: int, window: int
) -> dict[str, tuple[float | None, float | None]]:
    start = max(0, index - window)
    inside = metrics[start + 1 : index + 1] or metrics[index : index + 1]
    told = {}
    for name, which in TOLD.items():
        if name not in metrics[index]:
            continue
        values = [values.get(name) for values in inside]
        finite = [float(value) for value in values if value is not None]
        after = values[-1] if which == "last" else max(finite, default=None)
        told[name] = (metrics[start].get(name), after)
    return told
