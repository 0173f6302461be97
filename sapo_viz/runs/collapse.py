"""When a run broke, and what its numbers did just before and after.

A rule for the eye and for counting ("collapsed in 2 of 5"), not a statistical test. Over windows of
`RULE.window` steps, the first step at which one of these holds:

reward    the mean reward fell below `share` of the best before it, and by more than noise, and stayed below for
          `stays` windows in a row, or until the run was finished, its last step included
entropy   the mean entropy fell below `entropy_share` of its first window, while the mean reward lay below
          `entropy_reward` of the best, and by more than noise, for as long: the policy repeats itself, and wrongly
nan       one of `FINITE` is not a number in a step
failed    the run said that it failed

The best is the best such mean so far or the reward of the first step, which is that of the policy that the run started
from: its rollout was sampled before any update. So a run that only ever falls has something to fall from. More than
noise: `errors` standard errors of the mean of `completions` rewards of 0 or 1 at the best's rate, which is above half
of the best for those below 0.2; a policy that is right one time in twenty cannot be seen to collapse.

live_math.js has the same rule, so that a curve is marked while it is drawn; tests/browser/test_live_math.py
compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["reward", "entropy", "nan", "failed"]


@dataclass(frozen=True)
class CollapseRule:
    window: int = 5  # steps in a mean
    share: float = 0.5  # of the best mean reward
    errors: float = 4.0  # standard errors; the first step is one batch, and prompts differ in how hard they are
    completions: int = 256  # in a batch: those of a run with the usual settings
    stays: int = 5  # windows in a row: a dip of a few steps is none, unless the run ends in it
    entropy_share: float = 0.05  # of the first window's mean entropy
    entropy_reward: float = 0.8  # of the best mean reward

    @property
    def sentence(self) -> str:
        """The rule for the reward, to be shown where collapses are counted."""
        return (
            f"Collapsed: the mean reward of {self.window} steps fell below {100 * self.share:g} % of the best before "
            "(such a mean, or the starting policy's own reward), by at least "
            f"{self.errors:g} standard errors of a batch of {self.completions} completions, and stayed there for "
            f"{self.stays} such means in a row or until the run ended, its last step included. A number that is not "
            "finite, or an entropy of nearly 0 with the reward down, counts too."
        )


RULE = CollapseRule()
_KINDS: tuple[Literal["reward", "entropy"], ...] = ("reward", "entropy")
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
    found = _first_fall(metrics, last.get("type") == "finished", rule)
    if found is not None:
        index, kind = found
        return Collapse(steps[index]["step"], kind, _told(metrics, index, rule.window))
    if last.get("type") == "failed":
        told = _told(metrics, len(metrics) - 1, rule.window) if metrics else {}
        return Collapse(last["step"], "failed", told, str(last.get("message", "")))
    return None


def _first_fall(metrics: Sequence[Mapping[str, Any]], ended: bool, rule: CollapseRule) -> tuple[int, Kind] | None:
    best = float(metrics[0].get("reward") or 0.0) if metrics else 0.0
    first_entropy = None
    below = {"reward": 0, "entropy": 0}  # windows in a row
    for index, values in enumerate(metrics):
        if any(name in values and values[name] is None for name in FINITE):
            return index, "nan"
        if index + 1 < rule.window:
            continue
        reward = _mean(metrics, index, rule.window, "reward")
        entropy = _mean(metrics, index, rule.window, "entropy")
        first_entropy = entropy if first_entropy is None else first_entropy
        low = best - reward > rule.errors * math.sqrt(max(best * (1 - best), 0.0) / rule.completions)
        fell = low and reward < rule.share * best
        dull = low and reward < rule.entropy_reward * best
        below["reward"] = below["reward"] + 1 if fell else 0
        below["entropy"] = below["entropy"] + 1 if dull and entropy < rule.entropy_share * first_entropy else 0
        at_the_end = ended and index + 1 == len(metrics)
        now = float(values.get("reward") or 0.0)
        shares = {"reward": rule.share, "entropy": rule.entropy_reward}
        for kind in _KINDS:
            stuck = at_the_end and below[kind] > 0 and now < shares[kind] * best
            if below[kind] == rule.stays or stuck:
                return index - below[kind] + 1, kind
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
