"""Starting and stopping the runs of an experiment: what has an outcome or is alive is never started again.

Two browsers, or a browser and a terminal, may press at the same moment: one of them looks and starts at a time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sapo_viz.errors import RunError
from sapo_viz.experiments.analysis import keys_of
from sapo_viz.experiments.design import Preset
from sapo_viz.experiments.records import Key, RunRecord, find_records
from sapo_viz.models.source import local_folder, visitors_root
from sapo_viz.runs.folder.slots import slot_count, try_lock
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.groups import group_key
from sapo_viz.runs.workers import launcher
from sapo_viz.runs.workers.schedule import START


@dataclass(frozen=True)
class Pace:
    """How far the runs of an experiment are. `seconds_left` is an estimate; None when nothing is going."""

    done: int
    wanted: int
    live: int
    seconds_left: float | None


def start(preset: Preset, seeds: int, switches: Collection[str] = (), store: RunStore | None = None) -> tuple[str, ...]:
    """Start what is missing and resume what was halted or failed; the ids, in the order of the queue.

    Raises:
        RunError, OSError: a run cannot be started; those before it are.
    """
    if model := missing_model(preset):
        raise RunError(f"the runs start from {model}, which is not here. {preset.fetch}")
    store = store or RunStore()
    started = []
    with _alone(store.root):
        wanted = {(group_key(c), c.seed): c for c in preset.configs(seeds, switches).values()}
        found = find_records(store, wanted)
        for key, config in wanted.items():
            record = found.get(key)
            if record is None:
                started.append(launcher.launch(config, store))
            elif record.state in ("halted", "failed"):
                launcher.resume(record.run_id, store)
                started.append(record.run_id)
    return tuple(started)


def missing_model(preset: Preset) -> str:
    """The model that has to be fetched before the runs can start; empty where it is here."""
    policies, root = {config.policy for config in preset.configs(1).values()}, visitors_root()
    return next((name for name in policies if name != "auto" and local_folder(name, root) is None), "")


def stop(preset: Preset, seeds: int, switches: Collection[str] = (), store: RunStore | None = None) -> int:
    """Ask all live runs of the experiment to stop; how many there were."""
    store = store or RunStore()
    live = [r.run_id for r in records(preset, seeds, switches, store).values() if r.state == "live"]
    for run_id in reversed(live):  # who waits goes first, or stopping one would start the next
        store.request_stop(run_id)
    for run_id in live:
        launcher.stop(run_id, store)
    return len(live)


def records(
    preset: Preset, seeds: int, switches: Collection[str] = (), store: RunStore | None = None
) -> dict[Key, RunRecord]:
    """What the store knows of the experiment's runs."""
    return find_records(store or RunStore(), set(keys_of(preset, seeds, switches).values()))


def compared_records(
    preset: Preset, seeds: int, switches: Collection[str] = (), store: RunStore | None = None
) -> dict[Key, RunRecord]:
    """The same, and those without the switches, which tell what the switches change."""
    keys = {*keys_of(preset, seeds, switches).values(), *keys_of(preset, seeds).values()}
    return find_records(store or RunStore(), keys)


def progress(preset: Preset, seeds: int, found: Mapping[Key, RunRecord], switches: Collection[str] = ()) -> Pace:
    """Runs done, and the time that those alive still need: the pace of what ran here, shared among the slots."""
    wanted = set(keys_of(preset, seeds, switches).values())
    there = [record for key, record in found.items() if key in wanted]
    live = [record for record in there if record.state == "live"]
    left = seconds_left(preset, there, live) if live else None
    return Pace(sum(record.counts for record in there), len(wanted), len(live), left)


def seconds_left(preset: Preset, there: Collection[RunRecord], live: Collection[RunRecord]) -> float:
    told = [(record.seconds, len(record.rewards)) for record in there if len(record.rewards) > 2]
    steps = sum(count for _, count in told)
    usual = preset.seconds / max(next(iter(preset.configs(1).values())).steps, 1)
    pace = sum(seconds for seconds, _ in told) / steps if steps else usual
    work = sum((record.steps - len(record.rewards)) * pace + (0 if record.rewards else START) for record in live)
    return work / min(slot_count(), len(live))


def expected_seconds(preset: Preset, runs: int) -> float:
    """Of so many runs that are yet to be started."""
    return runs * (preset.seconds + START) / min(slot_count(), max(runs, 1))


@contextlib.contextmanager
def _alone(root: Path, timeout: float = 20.0) -> Iterator[None]:
    deadline = time.monotonic() + timeout
    while (lock := try_lock(root / ".slots" / "experiment.lock")) is None:
        if time.monotonic() > deadline:
            raise RunError(f"another process has been starting an experiment in {root} for {timeout:g} s; try again.")
        time.sleep(0.01)
    with lock:
        yield
