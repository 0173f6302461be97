"""`python -m sapo_viz experiment PRESET`: a preset's runs without a browser, and their result.

The runs go through the same queue as those of the page. What is there already is not run again, so an experiment
that was interrupted goes on where it was; Ctrl-C stops the runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from sapo_viz.errors import RunError
from sapo_viz.experiments import runs as experiment_runs
from sapo_viz.experiments.analysis import analyse
from sapo_viz.experiments.conclusion import conclusion
from sapo_viz.experiments.design import MOST_SEEDS, Preset
from sapo_viz.experiments.presets import PRESETS, preset_of
from sapo_viz.experiments.text import (
    arm_head,
    arm_rows,
    change_head,
    change_rows,
    difference_head,
    difference_rows,
    plain_table,
    result_json,
)
from sapo_viz.runs.folder.store import RunStore

_LOOK = 1.0  # seconds between two looks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("preset", metavar="PRESET", help=", ".join(PRESETS))
    parser.add_argument("--seeds", metavar="N", help=f"seeds of each setting, 1 to {MOST_SEEDS} (default: 3 or 4)")
    parser.add_argument(
        "--switch", metavar="NAME", action="append", default=[], help="change one component; repeatable"
    )
    parser.add_argument("--out", metavar="DIR", help="folder of the runs (default: that of the app)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """0 when every run has an outcome, 130 when interrupted; a RunError if some failed."""
    preset = preset_of(args.preset)
    seeds, switches = _seeds(args.seeds, preset), tuple(args.switch)
    preset.configs(seeds, switches)  # whatever is wrong is reported before anything starts
    store = RunStore(args.out) if args.out else RunStore()
    interrupted = False
    try:
        started = experiment_runs.start(preset, seeds, switches, store)
        _say(f"{preset.title}: {preset.question} {len(started)} runs to do; they are in {store.root}.")
        _follow(preset, seeds, switches, store)
    except KeyboardInterrupt:
        stopped = experiment_runs.stop(preset, seeds, switches, store)
        _say(f"\nstopped {stopped} runs; the same command goes on with them.")
        interrupted = True
    result = analyse(preset, seeds, experiment_runs.compared_records(preset, seeds, switches, store), switches)
    if args.json:
        about = {"preset": preset.name, "question": preset.question, "switches": switches}
        print(json.dumps(about | result_json(result), indent=1, ensure_ascii=False))
    else:
        print(plain_table(arm_head(result), arm_rows(result)))
        print(plain_table(difference_head(result), difference_rows(result)))
        if changes := change_rows(result):
            print(plain_table(change_head(result), changes))
        print(conclusion(result))
        print(f"The paper (arXiv 2511.20347): {preset.paper}")
    if interrupted:
        return 130
    if result.failed:
        raise RunError(f"{len(result.failed)} of {result.wanted} runs failed; the first says: {result.failed[0]}")
    return 0


def _follow(preset: Preset, seeds: int, switches: tuple[str, ...], store: RunStore) -> None:
    """Say how far it is until nothing is alive: one line that is written over, or one line per run in a log."""
    told = -1
    while True:
        found = experiment_runs.records(preset, seeds, switches, store)
        now = experiment_runs.progress(preset, seeds, found, switches)
        left = f", about {clock(now.seconds_left)} left" if now.seconds_left else ""
        line = f"{now.done} of {now.wanted} runs done{left}"
        if sys.stderr.isatty():
            print(f"\r{line}\x1b[K", end="" if now.live else "\n", file=sys.stderr, flush=True)
        elif now.done != told:
            _say(line)
        told = now.done
        if not now.live:
            return
        time.sleep(_LOOK)


def clock(seconds: float) -> str:
    """40 s, or 3 min."""
    return f"{max(5, round(seconds / 5) * 5)} s" if seconds < 100 else f"{round(seconds / 60)} min"


def _seeds(text: str | None, preset: Preset) -> int:
    if text is None:
        return preset.seeds
    if not text.isdigit() or not 1 <= int(text) <= MOST_SEEDS:
        raise RunError(f"seeds is {text!r}; it takes whole numbers from 1 to {MOST_SEEDS}.")
    return int(text)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
