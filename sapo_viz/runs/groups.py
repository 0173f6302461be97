"""Which runs repeat one another, and in what the others differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.settings import Value

# What may differ between repetitions: the seed, and what changes no number of the run.
NOT_COMPARED = ("seed", "label", "threads", "snapshot_every", "checkpoint_every", "micro_batch", "recompute")


def flat_settings(config: RunConfig) -> dict[str, Value]:
    """Every setting by its name, knobs as `sapo.tau_neg`: one level, to compare or tabulate."""
    values = config.to_dict()
    knobs = values.pop("knobs")
    return {"objective": values.pop("objective"), **{f"{config.objective}.{k}": v for k, v in knobs.items()}, **values}


def group_key(config: RunConfig) -> str:
    """Equal for runs whose configs differ only by `NOT_COMPARED`: eight hex digits, short enough for an address."""
    compared = {name: value for name, value in flat_settings(config).items() if name not in NOT_COMPARED}
    return hashlib.sha256(json.dumps(compared, sort_keys=True).encode()).hexdigest()[:8]


def group_runs(configs: Mapping[str, RunConfig]) -> dict[str, list[str]]:
    """Run id -> config in; group key -> run ids out, both in the order given."""
    groups: dict[str, list[str]] = {}
    for run_id, config in configs.items():
        groups.setdefault(group_key(config), []).append(run_id)
    return groups


def differing_settings(configs: Sequence[RunConfig]) -> list[str]:
    """The settings that do not have one value in all runs; a knob that only some objectives have is compared
    among those that have it."""
    seen: dict[str, list[Value]] = {}
    for config in configs:
        for name, value in flat_settings(config).items():
            if value not in seen.setdefault(name, []):
                seen[name].append(value)
    return [name for name, values in seen.items() if len(values) > 1]
