"""When a run broke, and what its numbers did just before and after.

The first step at which one of these holds; a mean is one over `RULE.window` steps:

reward    the mean reward fell below `share` of the best before it and stayed below for `stays` means in a row, or until
          the run was finished, its last step included; and that is more than noise
entropy   the mean entropy fell below `entropy_share` of its first mean, while the mean reward lay below
          `entropy_reward` of the best, by more than noise, for as long: the policy repeats itself, and wrongly
nan       one of `FINITE` is not a number in a step
diverged  the run ended because its loss or gradient was not a number

A run that failed otherwise (a full disk, a policy that could not be loaded) has `failed`, which is no collapse.

The best is the best mean so far, or the reward of the first step, which is that of the policy that the run started
from: its rollout was sampled before any update. So a run that only ever falls has something to fall from.

More than noise: n₁ completions with mean reward p₁ (the best) and n₂ with p₂ (since the fall) are so unlikely under
one common rate p that Λ = n₁·KL(p₁‖p) + n₂·KL(p₂‖p) > log(steps so far / `chance`). e^−Λ bounds the probability of
either at any n (Chernoff), so this holds for few successes too, where a normal approximation does not; the number of
steps pays for having looked after each, and for having picked the best. Completions of one prompt go together, so each
counts for less than one: n is divided by the design effect, between 1 and the group's size, that the run's own jumps
from step to step show. Rewards from −1 to 1 count by where they lie between these; a best of 0 or less has no share to
fall below. tests/experiments/test_collapse_rates.py measures false alarms and misses.

The rule is fed one event at a time, so that a live run costs no more than its news; the browser is sent the verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

CollapseKind = Literal["reward", "entropy", "nan", "diverged", "failed"]


@dataclass(frozen=True)
class CollapseRule:
    window: int = 5  # steps in a mean
    share: float = 0.5  # of the best mean reward
    stays: int = 5  # means in a row: a dip of a few steps is none, unless the run ends in it
    chance: float = 3e-4  # see above; the smaller, the rarer false alarms
    usual_effect: float = 0.5  # correlation of two completions of a prompt, until the run's own jumps say otherwise
    weight: int = 8  # steps that this guess is worth
    entropy_share: float = 0.05  # of the first mean entropy
    entropy_reward: float = 0.8  # of the best mean reward

    @property
    def sentence(self) -> str:
        """The rule for the reward, to be shown where collapses are counted."""
        return (
            f"Collapsed: the mean reward of {self.window} steps fell below {100 * self.share:g} % of the best before "
            "(such a mean, or the starting policy's own reward) and stayed there for "
            f"{self.stays} such means in a row, or until the run ended, its last step included. The drop must be more "
            "than the noise of the run's own batches, in which completions of one prompt go together. A number that is "
            "not finite, or an entropy of nearly 0 with the reward down, counts too."
        )


RULE = CollapseRule()
_SHARES: tuple[Literal["reward", "entropy"], ...] = ("reward", "entropy")
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
class RolloutSize:
    """What a step's mean reward is a mean of."""

    prompts: int = 16
    completions: int = 16  # of each prompt


@dataclass(frozen=True)
class Collapse:
    """`told`: metric -> (just before the window that fell, in it); None where there is no number."""

    step: int
    kind: CollapseKind
    told: Mapping[str, tuple[float | None, float | None]]
    message: str = ""  # of a failed run

    def to_dict(self) -> dict[str, Any]:
        return {"step": self.step, "kind": self.kind, "told": dict(self.told), "message": self.message}


def find_collapse(
    events: Iterable[Mapping[str, Any]], rollouts: RolloutSize | None = None, rule: CollapseRule = RULE
) -> Collapse | None:
    """The first collapse among a run's events (as `RunStore.read_events` gives them), or None.

    Args:
        rollouts: prompts and completions of a step; None takes them from the run's start event.
    """
    watch = Watch(rollouts, rule)
    for event in events:
        watch.add(event)
    return watch.found


class Watch:
    """The rule applied to a run while it goes on: add its events, and ask what was found."""

    def __init__(self, rollouts: RolloutSize | None = None, rule: CollapseRule = RULE) -> None:
        self.rule, self._given = rule, rollouts
        self._rollouts = rollouts or RolloutSize()
        self._steps: list[int] = []
        self._metrics: list[Mapping[str, Any]] = []
        self._rewards: list[float] = []
        self._sums = [0.0]  # of rewards, from the first step on
        self._entropies = [0.0]
        self._jumps, self._jumped, self._largest = 0.0, 0, 0.0  # sum, number and largest of what `_note_jump` says
        self._lowest = 0.0  # that a reward can be; -1 once one below 0 was seen
        self._before: list[tuple[Any, ...]] = []  # of each step: what else was known before it, for `rewind`
        self._first_entropy = 0.0
        self._best: tuple[int, int] | None = None  # the best mean's steps, [first, end)
        self._below = {"reward": 0, "entropy": 0}  # means in a row
        self._fell: Collapse | None = None
        self._last: Mapping[str, Any] = {}

    @property
    def found(self) -> Collapse | None:
        """A failure counts only while it is the run's last word: one that was resumed from is past."""
        if self._fell is not None or self._last.get("type") != "failed":
            return self._fell
        kind: CollapseKind = "diverged" if self._last.get("kind") == "diverged" else "failed"
        told = self._told(len(self._metrics) - 1) if self._metrics else {}
        return Collapse(self._last["step"], kind, told, str(self._last.get("message", "")))

    @property
    def step(self) -> int:
        """The last step that was seen."""
        return self._steps[-1] if self._steps else 0

    def rewind(self, step: int) -> None:
        """Forget what came after a step: the run was taken back to it. What is forgotten is paid for once."""
        keep = len(self._steps)
        while keep and self._steps[keep - 1] > step:
            keep -= 1
        if keep == len(self._steps):
            return
        self._jumps, self._jumped, self._largest, self._lowest, self._best, self._below = self._before[keep]
        for column in (self._steps, self._metrics, self._rewards, self._before):
            del column[keep:]
        for sums in (self._sums, self._entropies):
            del sums[keep + 1 :]
        self._fell = None

    def add(self, event: Mapping[str, Any]) -> None:
        self._last = event
        if event["type"] == "start" and self._given is None:
            config = event.get("config", {})
            usual = RolloutSize()
            self._rollouts = RolloutSize(
                config.get("prompts", usual.prompts), config.get("completions", usual.completions)
            )
        if self._fell is not None:
            return
        if event["type"] == "step":
            self._add_step(event["step"], event.get("metrics", {}))
        elif event["type"] == "finished" and len(self._rewards) >= self.rule.window:
            self._judge(ended=True)

    def _add_step(self, step: int, metrics: Mapping[str, Any]) -> None:
        self._before.append((self._jumps, self._jumped, self._largest, self._lowest, self._best, self._below))
        self._steps.append(step)
        self._metrics.append({name: metrics[name] for name in {*TOLD, *FINITE} if name in metrics})
        reward, entropy = float(metrics.get("reward") or 0.0), float(metrics.get("entropy") or 0.0)
        self._lowest = -1.0 if reward < 0 else self._lowest
        if self._rewards:
            self._note_jump(self._rewards[-1], reward)
        self._rewards.append(reward)
        self._sums.append(self._sums[-1] + reward)
        self._entropies.append(self._entropies[-1] + entropy)
        end, window = len(self._rewards), self.rule.window
        if any(name in metrics and metrics[name] is None for name in FINITE):
            self._fell = Collapse(step, "nan", self._told(end - 1))
            return
        if end < window:
            return
        if end == window:
            self._first_entropy = self._entropies[end] / window
        mean, best = self._mean(end - window, end), self._best_rate()
        dull = (self._entropies[end] - self._entropies[end - window]) / window
        down = {
            "reward": best > 0 and mean < self.rule.share * best,
            "entropy": mean < self.rule.entropy_reward * best and dull < self.rule.entropy_share * self._first_entropy,
        }
        self._below = {kind: self._below[kind] + 1 if down[kind] else 0 for kind in _SHARES}
        self._judge(ended=False)
        if self._best is None or mean > self._mean(*self._best):
            self._best = (end - window, end)

    def _judge(self, *, ended: bool) -> None:
        shares = {"reward": self.rule.share, "entropy": self.rule.entropy_reward}
        for kind in _SHARES:
            stuck = ended and self._below[kind] > 0 and self._rewards[-1] < shares[kind] * self._best_rate()
            if (self._below[kind] >= self.rule.stays or stuck) and self._beyond_noise(kind, shares[kind]):
                index = len(self._rewards) - self._below[kind]
                self._fell = Collapse(self._steps[index], kind, self._told(index))
                return

    def _beyond_noise(self, kind: str, share: float) -> bool:
        """Whether the rewards since the fall and those of the best, or of the first step, have no common rate."""
        end = len(self._rewards)
        since = end - max(self._below[kind], self.rule.window)
        bound = math.log(end / self.rule.chance)
        for first, before_end in filter(None, ((0, 1), self._best)):
            start = max(since, before_end)
            was = self._mean(first, before_end)
            if start >= end or was <= 0 or self._mean(start, end) >= share * was:
                continue
            before = (before_end - first) * self._worth, self._rate(was)
            if _evidence(*before, (end - start) * self._worth, self._rate(self._mean(start, end))) > bound:
                return True
        return False

    @property
    def _worth(self) -> float:
        """Independent completions in a step."""
        size, rule = self._rollouts.completions, self.rule
        guess = rule.weight * (1 + (size - 1) * rule.usual_effect)
        effect = (guess + self._jumps - self._largest) / (rule.weight + max(self._jumped - 1, 0))
        return self._rollouts.prompts * size / min(max(effect, 1.0), size)

    def _note_jump(self, before: float, after: float) -> None:
        """A jump's square in units of what independent completions would make. The largest is left out: it may be the
        fall itself; others that belong to it are held at what the most dependent completions would make."""
        rate = self._rate((before + after) / 2)
        if 0 < rate < 1:
            size = self._rollouts.completions
            noise = 2 * rate * (1 - rate) / (self._rollouts.prompts * size)
            jump = min(((after - before) / (1 - self._lowest)) ** 2 / noise, 4.0 * size)
            self._jumps, self._jumped, self._largest = self._jumps + jump, self._jumped + 1, max(self._largest, jump)

    def _rate(self, reward: float) -> float:
        """Where a mean reward lies between the lowest and 1: no reward within these bounds is noisier than the coin of
        this rate, which the bound of Chernoff holds for."""
        return min(max((reward - self._lowest) / (1 - self._lowest), 0.0), 1.0)

    def _best_rate(self) -> float:
        return max(self._rewards[0], self._mean(*self._best) if self._best else 0.0)

    def _mean(self, first: int, end: int) -> float:
        return (self._sums[end] - self._sums[first]) / (end - first)

    def _told(self, index: int) -> dict[str, tuple[float | None, float | None]]:
        start = max(0, index - self.rule.window)
        inside = self._metrics[start + 1 : index + 1] or self._metrics[index : index + 1]
        told = {}
        for name, which in TOLD.items():
            if name not in self._metrics[index]:
                continue
            values = [values.get(name) for values in inside]
            finite = [float(value) for value in values if value is not None]
            after = values[-1] if which == "last" else max(finite, default=None)
            told[name] = (self._metrics[start].get(name), after)
        return told


def _evidence(n: float, rate: float, other_n: float, other_rate: float) -> float:
    """Λ, in nats: how much better two rates explain two samples than one common rate does."""
    common = (n * rate + other_n * other_rate) / (n + other_n)
    return n * _divergence(rate, common) + other_n * _divergence(other_rate, common)


def _divergence(rate: float, other: float) -> float:
    """KL between two coins; a reward outside 0 and 1 counts as the nearer of them."""
    p, q = min(max(rate, 0.0), 1.0), min(max(other, 1e-300), 1 - 1e-16)
    heads = p * math.log(p / q) if p > 0 else 0.0
    tails = (1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0
    return heads + tails
