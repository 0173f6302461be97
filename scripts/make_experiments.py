"""Measure the experiments that are shipped: `make experiments`, or with names of presets after the script.

Runs every preset (and the ablations below) with its own seeds through the app's own queue, in runs/ or
SAPO_VIZ_RUNS_DIR; what is there already is not run again. Writes assets/experiments/<preset>.json and
docs/experiments.md. With `--collect` it starts nothing and writes down what is there.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from sapo_viz.runs import experiment_runs  # noqa: E402
from sapo_viz.runs.conclusion import conclusion  # noqa: E402
from sapo_viz.runs.experiment import analyse  # noqa: E402
from sapo_viz.runs.experiment_text import (  # noqa: E402
    ARM_HEAD,
    DIFFERENCE_HEAD,
    arm_rows,
    difference_rows,
    markdown_table,
)
from sapo_viz.runs.groups import group_key  # noqa: E402
from sapo_viz.runs.measured import FOLDER, Measured, measured, seeds_of, to_json  # noqa: E402
from sapo_viz.runs.presets import MOST_SEEDS, PAPER, PRESETS, Preset  # noqa: E402
from sapo_viz.runs.store import RunStore  # noqa: E402

PAGE = ROOT / "docs" / "experiments.md"
# The switches that test a reason given on the card; others are there to be tried.
ABLATIONS: dict[str, tuple[tuple[str, ...], ...]] = {
    "outlier": (("dual-clip",), ("grad-clip",), ("lr-0.1",)),
    "mismatch": (("lower-off",), ("recompute",)),
    "updates": (("lower-off",),),
}
SEEDS = {("outlier", ()): 8, ("tau", ()): 8}  # where four are too few to tell; all others have the preset's own

INTRO = """# Experiments

Every number on this page comes from a run of the bundled policies with the settings of its card (page *Experiments*, or
`python -m sapo_viz experiment NAME`), made by `scripts/make_experiments.py`; the runs' curves are in
`assets/experiments/`. Rewards are means of a run's last ten of 40 steps; ± is the standard deviation over seeds.
Differences are paired by seed, with Student's 95 % interval for each one by itself. Collapsed: the mean reward of
five steps fell below half of the best such mean before, which was at least 0.3, and stayed there
(`sapo_viz/runs/collapse.py`). The sentence under each table is generated from its numbers.

A policy of 75,776 or 125,952 parameters that adds three-digit numbers supports or refutes nothing at the paper's scale.
"""


def variants(preset: Preset) -> list[tuple[str, ...]]:
    return [(), *ABLATIONS.get(preset.name, ())]


def collect(preset: Preset, store: RunStore) -> None:
    """Write down the runs of the preset and its ablations that the store has."""
    runs = {}
    for switches in variants(preset):
        configs = preset.configs(MOST_SEEDS, switches)
        found = experiment_runs.records(preset, MOST_SEEDS, switches, store)
        for record in found.values():
            if record.counts:
                config = next(c for c in configs.values() if c.seed == record.seed and group_key(c) == record.key)
                runs[record.key, record.seed] = (config, record)
    if runs:
        last = max(record.ended for _, record in runs.values())
        FOLDER.mkdir(exist_ok=True)
        text = to_json(time.strftime("%Y-%m-%d", time.gmtime(last)), machine(), runs.values())
        (FOLDER / f"{preset.name}.json").write_text(text, encoding="utf-8")


def machine() -> str:
    """What the runs were made on."""
    import torch

    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__.split('+')[0]}"


def page() -> str:
    return "\n".join([INTRO, *(section(preset) for preset in PRESETS.values())])


def section(preset: Preset) -> str:
    shipped = measured(preset.name)
    lines = [f"## {preset.title}", "", f"**{preset.question}** {preset.conditions}", ""]
    lines += [f"*The paper* ([arXiv {PAPER}](https://arxiv.org/abs/{PAPER})): {preset.paper}", ""]
    lines += [f"*When this project was designed*, with an earlier policy: {preset.designed}", ""]
    if preset.built:
        lines += [f"*Since then:* {preset.built}", ""]
    lines += [f"*Why, as far as known:* {preset.reason}", ""]
    if shipped:
        lines += [f"*Measured* {shipped.date}, {shipped.machine}:", "", *results(preset, shipped)]
    return "\n".join(lines)


def results(preset: Preset, shipped: Measured) -> list[str]:
    lines = []
    for switches in variants(preset):
        seeds = seeds_of(preset, shipped, switches)
        if not seeds:
            continue
        result = analyse(preset, seeds, shipped.records, switches)
        if switches:
            lines += ["### " + ", ".join(switch.label for switch in preset.switched(switches)), ""]
        lines += [markdown_table(ARM_HEAD, arm_rows(result)), ""]
        lines += [markdown_table(DIFFERENCE_HEAD, difference_rows(result)), ""]
        lines += [f"**{conclusion(result)}**", ""]
    return lines


def measure(preset: Preset, switches: Collection[str], store: RunStore) -> None:
    """Run what is missing and wait for it."""
    seeds = SEEDS.get((preset.name, tuple(switches)), preset.seeds)
    experiment_runs.start(preset, seeds, switches, store)
    while True:
        found = experiment_runs.records(preset, seeds, switches, store)
        now = experiment_runs.progress(preset, seeds, found, switches)
        print(f"\r{preset.name} {' '.join(switches)}: {now.done} of {now.wanted}\x1b[K", end="", flush=True)
        if not now.live:
            print()
            return
        time.sleep(1)


def main(arguments: list[str]) -> int:
    names = [name for name in arguments if not name.startswith("-")] or list(PRESETS)
    store = RunStore()
    for name in names:
        for switches in variants(PRESETS[name]):
            if "--collect" not in arguments:
                measure(PRESETS[name], switches, store)
        collect(PRESETS[name], store)
    measured.cache_clear()
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
