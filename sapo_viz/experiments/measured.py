"""Results that were measured when the app was made, and are shipped with it: assets/experiments/<preset>.json.

Each file keeps the settings of its runs in full. They are read with today's defaults for what has been declared since,
and a run counts for a preset only while that gives the key that the preset asks for: one whose preset, or whose
setting's default, has changed is not shown any more.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sapo_viz.errors import SapoVizError
from sapo_viz.experiments.analysis import keys_of
from sapo_viz.experiments.design import MOST_SEEDS, Preset
from sapo_viz.experiments.records import Key, RunRecord, record_from, record_json
from sapo_viz.paths import ASSETS
from sapo_viz.runs.config import RunConfig

FOLDER = ASSETS / "experiments"


@dataclass(frozen=True)
class Measured:
    """What a file holds, by the key that its settings have now."""

    date: str  # of the last run, 2026-11-22
    machine: str
    records: Mapping[Key, RunRecord]


def to_json(date: str, machine: str, runs: Iterable[tuple[RunConfig, RunRecord]]) -> str:
    """The file's text: one line per run."""
    runs = sorted(runs, key=lambda pair: (pair[1].key, pair[1].seed))
    configs = {record.key: config.to_dict() for config, record in runs}
    for config in configs.values():
        del config["seed"], config["label"]
    lines = ",\n  ".join(json.dumps(record_json(record)) for _, record in runs)
    head = json.dumps({"date": date, "machine": machine, "configs": configs}, ensure_ascii=False)
    return f'{head[:-1]},\n "runs": [\n  {lines}\n ]}}\n'


def from_json(text: str) -> Measured:
    data = json.loads(text)
    now = {key: _config_now(values) for key, values in data["configs"].items()}
    records = [record_from(run, config) for run in data["runs"] if (config := now[run["key"]])]
    return Measured(data["date"], data["machine"], {(record.key, record.seed): record for record in records})


def seeds_of(preset: Preset, shipped: Measured, switches: Collection[str] = ()) -> int:
    """The first seeds of which every arm is there; 0 if none, or if the switches were not measured."""
    missing = [seed for (_, seed), key in keys_of(preset, MOST_SEEDS, switches).items() if key not in shipped.records]
    return min(missing, default=MOST_SEEDS)


@lru_cache
def measured(name: str, folder: Path = FOLDER) -> Measured | None:
    """What is shipped for a preset; None if nothing is."""
    try:
        return from_json((folder / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _config_now(values: dict[str, Any]) -> RunConfig | None:
    """None for settings that there are no more."""
    try:
        return RunConfig.from_dict(values)
    except SapoVizError:
        return None
