"""What the runs of an experiment come to: each arm's mean and spread, paired differences, collapses.

Reward is the mean of a run's last ten steps. A difference is taken seed by seed (equal seeds have equal prompts).

Seeds come in one by one, and whoever looks after each, or asks for more because the first were unclear, looks often: a
Student interval of 95 % then leaves out the truth, at some look from 3 to 24 seeds, for one pair in four (one in seven
by 8 seeds). So each interval is one of `EACH`, which makes it 95 % for all those looks together; at 8 seeds it is 1.6
times as wide. It is so for each pair by itself: of twenty pairs one misses. Fewer than `FEWEST` seeds give none.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sapo_viz.experiments.design import Preset, first_seeds
from sapo_viz.experiments.records import Key, RunRecord
from sapo_viz.experiments.stats import fisher, mean_interval
from sapo_viz.runs.groups import group_key

FEWEST = 3  # seeds
EACH = 0.993  # of Student's interval at one look; a test simulates what all looks come to


@dataclass(frozen=True)
class ArmResult:
    """One arm over its seeds."""

    name: str
    label: str
    objective: str
    finals: Mapping[int, float]  # seed -> reward of the last ten steps
    collapsed: int  # runs
    curve: Sequence[tuple[float, float, float]]  # by step: mean, lowest, highest over the seeds
    change: Difference | None = None  # against the same arm without the switches; None where they leave it as it was

    @property
    def n(self) -> int:
        return len(self.finals)

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.finals.values()) if self.finals else None

    @property
    def sd(self) -> float | None:
        return statistics.stdev(self.finals.values()) if self.n > 1 else None


@dataclass(frozen=True)
class Difference:
    """First arm less second, over the seeds that both have."""

    first: str
    second: str
    n: int
    mean: float | None
    interval: tuple[float, float] | None  # 95 % over all looks; None with fewer than `FEWEST` seeds
    counts_p: float  # how often chance alone parts the two counts of collapses so far

    @property
    def clear(self) -> bool:
        """The interval leaves out 0."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True)
class Result:
    """Everything that is shown and said of an experiment."""

    arms: tuple[ArmResult, ...]
    differences: tuple[Difference, ...]
    wanted: int  # runs
    done: int  # those with an outcome
    live: int
    failed: tuple[str, ...]  # why, for each run that failed without an outcome
    seconds: float  # spent in the steps of the runs with an outcome

    @property
    def n(self) -> int:
        """Seeds that every arm has."""
        return min(arm.n for arm in self.arms)

    def arm(self, name: str) -> ArmResult:
        return next(arm for arm in self.arms if arm.name == name)


def keys_of(preset: Preset, seeds: int, switches: Collection[str] = ()) -> dict[tuple[str, int], Key]:
    """(arm, seed) -> the key of its run: the arm's, which no seed changes, with the seed."""
    arms = {arm: group_key(config) for (arm, _), config in preset.configs(1, switches).items()}
    return {(arm, seed): (key, seed) for seed in first_seeds(seeds) for arm, key in arms.items()}


def analyse(preset: Preset, seeds: int, records: Mapping[Key, RunRecord], switches: Collection[str] = ()) -> Result:
    """The result of the first `seeds` seeds, from the records that there are.

    With switches, an arm that they change is compared with itself as well, if the runs without them are among the
    records.
    """
    configs = preset.configs(1, switches)
    keys, plain = keys_of(preset, seeds, switches), keys_of(preset, seeds)
    found = {place: records.get(key) for place, key in keys.items()}
    before = {place: records.get(key) for place, key in plain.items()}
    arms = []
    for arm in preset.arms:
        changed = [switch.change for switch in preset.switched(switches) if arm.name in switch.arms]
        label = f"{arm.label} ({', '.join(changed)})" if changed else arm.label
        objective = configs[arm.name, 0].objective
        result = _arm(arm.name, label, objective, found)
        if plain[arm.name, 0] != keys[arm.name, 0]:
            change = _difference(result, _arm(arm.name, arm.label, objective, before))
            result = replace(result, change=change if change.n else None)
        arms.append(result)
    by_name = {arm.name: arm for arm in arms}
    there = list({id(record): record for record in found.values() if record}.values())  # two arms may be one run
    return Result(
        arms=tuple(arms),
        differences=tuple(_difference(by_name[first], by_name[second]) for first, second in preset.pairs),
        wanted=len(set(keys.values())),
        done=sum(record.counts for record in there),
        live=sum(record.state == "live" for record in there),
        failed=tuple(record.message for record in there if record.state == "failed"),
        seconds=sum(record.seconds for record in there if record.counts),
    )


def _arm(name: str, label: str, objective: str, found: Mapping[tuple[str, int], RunRecord | None]) -> ArmResult:
    own = {seed: record for (arm, seed), record in found.items() if arm == name and record and record.counts}
    return ArmResult(
        name=name,
        label=label,
        objective=objective,
        finals={seed: record.final for seed, record in own.items()},
        collapsed=sum(record.collapsed for record in own.values()),
        curve=_band([record.curve for record in own.values()]),
    )


def _difference(first: ArmResult, second: ArmResult) -> Difference:
    both = [seed for seed in first.finals if seed in second.finals]
    differences = [first.finals[seed] - second.finals[seed] for seed in both]
    return Difference(
        first=first.name,
        second=second.name,
        n=len(both),
        mean=statistics.fmean(differences) if both else None,
        interval=_interval(differences) if len(both) >= FEWEST else None,
        counts_p=fisher(first.collapsed, first.n, second.collapsed, second.n),
    )


def _interval(differences: Sequence[float]) -> tuple[float, float]:
    """Rewards lie between 0 and 1, so no difference is larger than 1."""
    low, high = mean_interval(differences, EACH)
    return max(low, -1.0), min(high, 1.0)


def _band(curves: Sequence[Sequence[float]]) -> list[tuple[float, float, float]]:
    return [(statistics.fmean(at), min(at), max(at)) for at in zip(*curves, strict=False)]
