"""What a recorder wrote about a run that it watched: config.json with kind "recorded" (recorder/sapo_recorder.py).

The settings are the framework's, by the framework's names; what has a counterpart here is translated (`settings_here`).
Anyone may have written the file, so what is not of its kind is left out, and only a file of another kind is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sapo_viz.core.objective import CATALOG, make_objective
from sapo_viz.errors import SapoVizError
from sapo_viz.runs.config import SETTINGS
from sapo_viz.runs.settings import Value

KIND = "recorded"
_NAMES = {"trl": "TRL", "openrlhf": "OpenRLHF"}  # the others write themselves as the recorder does: verl, ms-swift
_TEXT = 200  # characters
_MOST = 100  # settings
# The framework's setting -> ours, where both mean the same.
_OURS = {
    "learning_rate": "lr",
    "beta": "kl_coef",
    "temperature": "temperature",
    "num_generations": "completions",
    "max_steps": "steps",
}
_BATCH = ("per_device_train_batch_size", "gradient_accumulation_steps")


@dataclass(frozen=True)
class Recorded:
    """A run that another program trains. `objective` is a name of the catalogue, or empty where it has none."""

    framework: str
    version: str
    loss: str  # the framework's name of the objective
    level: str
    objective: str
    knobs: Mapping[str, float]
    model: str
    world: int  # ranks
    log: str  # what kind of log it was followed from, which tells no settings; empty if a recorder wrote it
    settings: Mapping[str, Value | bool]
    dumps: str = ""  # the folder below the data folder whose files are its steps (folder/dumped.py), for runs of logs

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recorded:
        """From config.json, whose `kind` is "recorded"; see the module's first lines."""
        objective = _text(values.get("objective"))
        world = values.get("world")
        return cls(
            framework=_text(values.get("framework")) or "?",
            version=_text(values.get("version")),
            loss=_text(values.get("loss")),
            level=_text(values.get("level")),
            objective=objective if objective in CATALOG else "",
            knobs={name: float(value) for name, value in _pairs(values.get("knobs")).items() if _is_number(value)},
            model=_text(values.get("model")),
            world=world if type(world) is int and 1 <= world <= 100_000 else 1,
            log=_text(values.get("log")),
            settings=_pairs(values.get("settings")),
            dumps=_path(values.get("dumps")),
        )

    @property
    def source(self) -> str:
        """Framework and version: TRL 1.16.0."""
        return f"{_NAMES.get(self.framework, self.framework)} {self.version}".strip()

    @property
    def label(self) -> str:
        """The objective as the catalogue calls it, else as the framework does."""
        return CATALOG[self.objective].label if self.objective else self.loss or "–"

    @property
    def seed(self) -> int:
        seed = self.settings.get("seed")
        return seed if type(seed) is int else 0

    @property
    def steps(self) -> int | None:
        """How many it is to have, where the framework says so."""
        steps = self.settings.get("max_steps")
        return steps if type(steps) is int and steps > 0 else None

    @property
    def cap(self) -> int:
        """Response tokens that an answer may have; 0 where the framework does not say so."""
        cap = self.settings.get("max_completion_length")
        return cap if type(cap) is int and cap > 0 else 0

    @property
    def knobs_fit(self) -> bool:
        """Whether the catalogue's objective takes these knobs, so that its gate can be drawn."""
        with contextlib.suppress(SapoVizError, TypeError):
            return bool(self.objective) and make_objective(self.objective, dict(self.knobs)) is not None
        return False

    @property
    def group(self) -> str:
        """Equal for recordings that differ by their seed alone: eight hex digits."""
        settings = {name: value for name, value in self.settings.items() if name != "seed"}
        told = [self.source, self.model, self.loss, self.level, self.objective, dict(self.knobs), self.world, settings]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def settings_here(self) -> dict[str, Value]:
        """What can be compared with runs of our own, by our names, knobs as `sapo.tau_neg`."""
        found: dict[str, Value] = {f"{self.objective}.{k}": v for k, v in self.knobs.items() if self.objective}
        for theirs, ours in _OURS.items():
            with contextlib.suppress(SapoVizError):
                if theirs in self.settings:
                    found[ours] = SETTINGS[ours].check(self.settings[theirs])
        return found

    @property
    def rollout_size(self) -> tuple[int, int]:
        """(prompts, completions of each) behind a step's numbers. Where the framework does not say, few: a change is
        then taken for noise sooner than for a collapse."""
        group, *batch = (self.settings.get(name) for name in ("num_generations", *_BATCH))
        if not all(type(number) is int and 0 < number < 1_000_000 for number in (group, *batch)):
            return 1, 4
        return max(1, batch[0] * batch[1] * self.world // group), group  # type: ignore[operator, return-value]


def _text(value: Any) -> str:
    return value[:_TEXT] if isinstance(value, str) and value.isprintable() else ""


def _path(value: Any) -> str:
    return value if isinstance(value, str) and value.isprintable() and len(value) < 1000 else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _pairs(values: Any) -> dict[str, Any]:
    """Names with plain values; numbers are finite, as `reading.json_object` gives them."""
    pairs = values.items() if isinstance(values, Mapping) else ()
    plain = {name: v for name, v in pairs if _text(name) and (_is_number(v) or isinstance(v, bool) or _text(v))}
    return dict(list(plain.items())[:_MOST])
