"""What an experiment is made of: arms that run with the same seeds, and switches that change one component."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sapo_viz.errors import RunError
from sapo_viz.runs.config import RunConfig

MOST_SEEDS = 24
Settings = Mapping[str, Any]  # of RunConfig, `objective` and `knobs` included


def first_seeds(seeds: int) -> range:
    """0, 1, …; an experiment takes these.

    Raises:
        RunError: none, or too many.
    """
    if not 1 <= seeds <= MOST_SEEDS:
        raise RunError(f"seeds is {seeds}; it takes whole numbers from 1 to {MOST_SEEDS}.")
    return range(seeds)


@dataclass(frozen=True)
class Arm:
    name: str
    label: str
    settings: Settings


@dataclass(frozen=True)
class Switch:
    """One component changed: in all arms, or in those that are named."""

    name: str
    label: str
    help: str
    settings: Settings = field(default_factory=dict)
    arms: Mapping[str, Settings] = field(default_factory=dict)

    @property
    def change(self) -> str:
        """What it does to an arm that it names: `lower clip off` of `GRPO: lower clip off`."""
        return self.label.rpartition(": ")[2]


@dataclass(frozen=True)
class Preset:
    """One question, the runs that answer it, and what was known beforehand.

    `paper` is what arXiv 2511.20347 reports on it; `designed` what was measured while this project was designed, with
    an earlier policy; `built` what else was tried with the bundled one; `reason` why the order is as it is, as far as
    ablated. None of them is read by the sentence that a result ends in.
    """

    name: str
    title: str
    question: str
    conditions: str
    paper: str
    designed: str
    reason: str
    settings: Settings
    arms: tuple[Arm, ...]
    switches: tuple[Switch, ...] = ()
    compared: tuple[tuple[str, str], ...] = ()  # pairs of arms; the first with each other if empty
    seeds: int = 4
    seconds: float = 14.0  # of one run on one core of a small machine
    built: str = ""
    span: float = 1.0  # from the lowest reward to the highest
    fetch: str = ""  # how to get the model that its runs start from, where none is bundled

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        first, *others = (arm.name for arm in self.arms)
        return self.compared or tuple((first, other) for other in others)

    def arm(self, name: str) -> Arm:
        return next(arm for arm in self.arms if arm.name == name)

    def switched(self, names: Collection[str]) -> tuple[Switch, ...]:
        """The switches of these names, in their own order.

        Raises:
            RunError: there is none of that name, or two of them set one thing to different values.
        """
        known = [switch.name for switch in self.switches]
        for name in names:
            if name not in known:
                raise RunError(f"{self.name} has no switch {name!r}; it has {', '.join(known) or 'none'}.")
        chosen = tuple(switch for switch in self.switches if switch.name in names)
        seen: dict[str, tuple[str, Any]] = {}
        for switch in chosen:
            for setting, value in switch.settings.items():
                other, before = seen.setdefault(setting, (switch.name, value))
                if before != value:
                    raise RunError(f"{other} and {switch.name} both set {setting}; choose one of them.")
        return chosen

    def config(self, arm: str, seed: int, switches: Collection[str] = ()) -> RunConfig:
        """The run of an arm with a seed, with these switches thrown."""
        chosen = self.switched(switches)
        parts = [self.settings, *(s.settings for s in chosen)]
        parts += [self.arm(arm).settings, *(s.arms.get(arm, {}) for s in chosen)]
        device = {"device": "cpu"}  # policies this small are not faster on a GPU, and not the same
        return RunConfig.from_dict(_merged([device, *parts, {"seed": seed}]))

    def configs(self, seeds: int, switches: Collection[str] = ()) -> dict[tuple[str, int], RunConfig]:
        """(arm, seed) -> its run, all arms of one seed before the next: whoever stops early has whole seeds."""
        return {
            (arm.name, seed): self.config(arm.name, seed, switches) for seed in first_seeds(seeds) for arm in self.arms
        }

    def opened(self, names: Collection[str]) -> Preset:
        """What these switches do to the arms that they name, as a preset: each such arm, and it with the switch."""
        arms: dict[str, Arm] = {}
        for switch in self.switched(names):
            for name, settings in switch.arms.items():
                arm = arms.setdefault(name, self.arm(name))
                label = f"{arm.label} ({switch.change})"
                arms[f"{name}-{switch.name}"] = Arm("", label, _merged([arm.settings, settings]))
        named = tuple(replace(arm, name=name) for name, arm in arms.items())
        pairs = tuple((f"{name}-{switch.name}", name) for switch in self.switched(names) for name in switch.arms)
        return replace(self, arms=named, compared=pairs, switches=())


@dataclass(frozen=True)
class SideBySide:
    """Two presets that are read together, because the same switches do something else in each."""

    title: str
    text: str
    presets: tuple[str, str]
    switches: tuple[str, ...]


def _merged(parts: Sequence[Settings]) -> dict[str, Any]:
    """Later settings over earlier ones, knob by knob."""
    values: dict[str, Any] = {}
    for part in parts:
        values |= {**part, "knobs": {**values.get("knobs", {}), **part.get("knobs", {})}}
    return values
