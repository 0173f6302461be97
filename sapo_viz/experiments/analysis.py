"""What the runs of an experiment come to: each arm's mean and spread, paired differences, collapses.

Reward is the mean of the last quarter of a run's steps, and so is its KL to the start, what the reward has cost. A
difference is taken seed by seed (equal seeds have equal prompts).

Seeds come in one by one, and whoever looks after each, or asks for more because the first were unclear, looks often: a
Student interval of 95 % then leaves out the truth, at some look from 3 to 24 seeds, for one pair in four (one in seven
by 8 seeds). So each interval is one of `EACH`, which makes it 95 % for all those looks together; at 8 seeds it is 1.6
times as wide. It is so for each pair by itself: of twenty pairs one misses. Fewer than `FEWEST` seeds give none.
"""

from __future__ import annotations

import math
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
    runs: Mapping[int, RunRecord]  # seed -> a run with an outcome
    finals: Mapping[int, float]  # seed -> reward of the last quarter of its steps
    costs: Mapping[int, float]  # seed -> KL to the start there, nats a token; of the runs whose KL is known
    collapsed: int  # runs
    curve: Sequence[tuple[float, float, float]]  # by step: mean, lowest, highest over the seeds
    change: Difference | None = None  # against the same arm without the switches; None where they leave it as it was

    @property
    def n(self) -> int:
        return len(self.finals)

    @property
    def mean(self) -> float | None:
        return _mean(self.finals)

    @property
    def sd(self) -> float | None:
        return _sd(self.finals)

    @property
    def mean_cost(self) -> float | None:
        return _mean(self.costs)

    @property
    def sd_cost(self) -> float | None:
        return _sd(self.costs)


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
    differences: tuple[Difference, ...]  # in reward
    costs: tuple[Difference, ...]  # of the same pairs in KL to the start; empty unless that of every run is known
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
            change = _difference(result, _arm(arm.name, arm.label, objective, before), preset.span)
            result = replace(result, change=change if change.n else None)
        arms.append(result)
    by_name = {arm.name: arm for arm in arms}
    pairs = [(by_name[first], by_name[second]) for first, second in preset.pairs]
    with_costs = all(arm.costs and len(arm.costs) == arm.n for arm in arms)
    there = list({id(record): record for record in found.values() if record}.values())  # two arms may be one run
    return Result(
        arms=tuple(arms),
        differences=tuple(_difference(first, second, preset.span) for first, second in pairs),
        costs=tuple(_cost(first, second) for first, second in pairs) if with_costs else (),
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
        runs=own,
        finals={seed: record.final for seed, record in own.items()},
        costs={seed: record.final_kl for seed, record in own.items() if record.final_kl is not None},
        collapsed=sum(record.collapsed for record in own.values()),
        curve=_band([record.curve for record in own.values()]),
    )


def _difference(first: ArmResult, second: ArmResult, span: float) -> Difference:
    """In reward: no difference is larger than the span of rewards."""
    counts_p = fisher(first.collapsed, first.n, second.collapsed, second.n)
    return _paired(first, second, first.finals, second.finals, span, counts_p)


def _cost(first: ArmResult, second: ArmResult) -> Difference:
    return _paired(first, second, first.costs, second.costs, math.inf, 1.0)


def _paired(
    first: ArmResult,
    second: ArmResult,
    values: Mapping[int, float],
    others: Mapping[int, float],
    span: float,
    counts_p: float,
) -> Difference:
    differences = [values[seed] - others[seed] for seed in values if seed in others]
    interval = None
    if len(differences) >= FEWEST:
        low, high = mean_interval(differences, EACH)
        interval = max(low, -span), min(high, span)
    mean = statistics.fmean(differences) if differences else None
    return Difference(first.name, second.name, len(differences), mean, interval, counts_p)


def _mean(values: Mapping[int, float]) -> float | None:
    return statistics.fmean(values.values()) if values else None


def _sd(values: Mapping[int, float]) -> float | None:
    return statistics.stdev(values.values()) if len(values) > 1 else None


def _band(curves: Sequence[Sequence[float]]) -> list[tuple[float, float, float]]:
    return [(statistics.fmean(at), min(at), max(at)) for at in zip(*curves, strict=False)]
