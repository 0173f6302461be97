"""What has become worse while a run is watched: rules over its log at every step, and over the tokens that it keeps.

An alert is raised once, when its rule begins to hold; it may be raised again once it has not held for a window.
Each sentence has the number, and the rule goes with it. Pure: events and findings in, alerts out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sapo_viz.experiments.collapse import RolloutSize, Watch
from sapo_viz.rollouts.audit.audit import Audit
from sapo_viz.rollouts.findings.rule import Finding

_WINDOW = 5  # steps in a mean
_FIRST = 5  # steps that "at first" means
# Findings on a step's tokens that say that training is in trouble; the others are of files, or need the whole run.
# Groups are split over updates in a step's tokens, so what counts their completions is left out.
TELLING = (
    *("sentinels", "zero_fillers", "constant_logprobs", "length_cap", "no_signal", "reward_sign", "shifted"),
    *(
        "scaled",
        "temperature",
        "truncated_sampling",
        "stale_sampler",
        "answers_dropped",
        "engine_mismatch",
        "wrong_way",
    ),
    *("moved_far", "heavy_tail", "beyond_clamp"),
)


@dataclass(frozen=True)
class Alert:
    """A change for the worse. `kind` is the rule's id."""

    step: int
    kind: str
    sentence: str
    rule: str = ""  # in words; empty where the sentence says it

    @property
    def text(self) -> str:
        """Where there is room for one line: the rule after the sentence."""
        return f"{self.sentence} Rule: {self.rule}" if self.rule else self.sentence

    def to_dict(self) -> dict[str, Any]:
        return {"step": self.step, "kind": self.kind, "sentence": self.sentence, "rule": self.rule}


@dataclass(frozen=True)
class _Mean:
    """The mean of the last steps, and of the first ones."""

    last: float
    first: float


class Alerts:
    """Add a run's events, and the findings on each recorded step; what is new comes back.

    Args:
        most_tokens: the longest answer that the run may give, 0 where nobody says.
    """

    def __init__(self, rollouts: RolloutSize | None = None, most_tokens: int = 0) -> None:
        self._collapse = Watch(rollouts)
        self._most_tokens = most_tokens
        self._seen: dict[str, list[float]] = {}
        self._quiet: dict[str, int] = {}  # kind -> steps since its rule held; only of those that were said
        self._of_tokens: dict[str, str] | None = None  # id -> severity, at the last step with tokens
        self._audited: tuple[str, tuple[str, ...]] | None = None  # what was wrong with the loss, at the last audit
        self._collapsed = False

    def add(self, event: Mapping[str, Any]) -> list[Alert]:
        """One event of the log, in order."""
        self._collapse.add(event)
        found: list[Alert] = []
        fall = self._collapse.found
        if fall is not None and not self._collapsed:
            told = "; ".join(
                f"{name} {_number(before)} → {_number(after)}" for name, (before, after) in fall.told.items()
            )
            found.append(Alert(fall.step, "collapse", f"Collapsed at step {fall.step} ({fall.kind}): {told}."))
        self._collapsed = fall is not None
        if event["type"] == "step":
            metrics = event.get("metrics") or {}
            for name, value in metrics.items():
                if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
                    self._seen.setdefault(name, []).append(float(value))
            holds = dict(self._rules(event["step"]))
            found += [alert for kind, alert in holds.items() if self._is_new(kind)]
            for kind in list(self._quiet):
                self._quiet[kind] = 0 if kind in holds else self._quiet[kind] + 1
                if self._quiet[kind] >= _WINDOW:
                    del self._quiet[kind]
        return found

    def add_tokens(self, step: int, findings: Iterable[Finding], audit: Audit | None = None) -> list[Alert]:
        """What the rules say about the tokens of a step, and the audit of its loss."""
        now = {one.id: one for one in findings if one.id in TELLING and one.severity != "note"}
        before = self._of_tokens or {}
        order = ("note", "warning", "problem")
        found = [
            Alert(step, one.id, f"Step {step}: {one.title}. {one.number}.", one.rule)
            for one in now.values()
            if one.id not in before or order.index(one.severity) > order.index(before[one.id])
        ]
        self._of_tokens = {one.id: one.severity for one in now.values()}
        if audit is not None:
            wrong = (audit.status, audit.faults) if audit.status in ("fault", "unexplained") else None
            if wrong not in (None, self._audited):
                found.append(Alert(step, "loss_audit", f"Step {step}: {audit.sentence}"))
            self._audited = wrong
        return found

    def _is_new(self, kind: str) -> bool:
        new = kind not in self._quiet
        self._quiet.setdefault(kind, 0)
        return new

    def _rules(self, step: int) -> Iterator[tuple[str, Alert]]:
        if (ratio := self._mean("ratio_p99")) and ratio.last > 2.0:
            yield self._said(step, "ratio", f"1 % of the tokens have ratios above {ratio.last:.3g}",
                             f"the mean 99 % quantile of {_WINDOW} steps is above 2")  # fmt: skip
        if (largest := self._mean("ratio_max")) and largest.last > 100:
            yield self._said(step, "ratio_max", f"the largest ratio is {largest.last:.3g} on average",
                             f"the mean of {_WINDOW} steps is above 100")  # fmt: skip
        if (dead := self._mean("dead_groups")) and dead.last >= 0.8 and dead.last > dead.first:
            yield self._said(step, "dead_groups", f"{dead.last:.0%} of the groups have one reward and teach nothing",
                             f"the mean of {_WINDOW} steps is 80 % or more; {dead.first:.0%} at first")  # fmt: skip
        if (entropy := self._mean("entropy")) and entropy.last < max(0.05 * entropy.first, 0.01):
            yield self._said(step, "entropy", f"entropy is {entropy.last:.2g} nats, {entropy.first:.2g} at first",
                             f"the mean of {_WINDOW} steps is below 5 % of the first, or below 0.01")  # fmt: skip
        cap = 0.95 * self._most_tokens
        if cap and (length := self._mean("length")) and length.last >= cap > length.first:
            yield self._said(step, "length", f"answers have {length.last:,.0f} of {self._most_tokens:,} tokens",
                             f"the mean of {_WINDOW} steps is 95 % of the cap or more")  # fmt: skip
        if (apart := self._mean("kl_sampler")) and apart.last > 1e-3 and apart.last > 4 * apart.first:
            yield self._said(step, "mismatch", f"sampler and trainer are {apart.last:.2g} nats a token apart, "
                             f"{apart.first:.2g} at first", "above 1e-3 and 4 times what it was")  # fmt: skip

    def _said(self, step: int, kind: str, what: str, rule: str) -> tuple[str, Alert]:
        return kind, Alert(step, kind, f"Step {step}: {what}.", f"{rule}.")

    def _mean(self, name: str) -> _Mean | None:
        values = self._seen.get(name, [])
        if len(values) < _WINDOW:
            return None
        return _Mean(sum(values[-_WINDOW:]) / _WINDOW, sum(values[:_FIRST]) / _FIRST)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
