"""Measure the experiments that are shipped: `make experiments`, or with names of presets after the script.

Runs every preset, plain and with each of its switches, through the app's own queue, in runs/ or SAPO_VIZ_RUNS_DIR;
what is there already is not run again. Writes assets/experiments/<preset>.json and docs/experiments.md. With
`--collect` it starts nothing and writes down what is there; with `--page` it writes the page anew from what is shipped;
with `--count` it says how many runs it takes.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Collection

from sapo_viz.experiments import runs as experiment_runs
from sapo_viz.experiments.analysis import Result, analyse, keys_of
from sapo_viz.experiments.collapse import RULE
from sapo_viz.experiments.conclusion import conclusion
from sapo_viz.experiments.design import MOST_SEEDS, Preset
from sapo_viz.experiments.measured import FOLDER, Measured, measured, seeds_of, to_json
from sapo_viz.experiments.presets import PAPER, PRESETS, SAME_CLIP
from sapo_viz.experiments.records import Key
from sapo_viz.experiments.text import (
    SAID_HEAD,
    arm_head,
    arm_rows,
    change_head,
    change_rows,
    difference_head,
    difference_rows,
    markdown_table,
    said_rows,
)
from sapo_viz.paths import HOME
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.groups import group_key

PAGE = HOME / "docs" / "experiments.md"
# Where the preset's own seeds are too few to tell. Runs that collapse or do not differ from seed to seed as widely as
# rewards can, so what rescues them takes eight.
SEEDS: dict[tuple[str, tuple[str, ...]], int] = {
    **{("outlier", names): 8 for names in ((), ("dual-clip",), ("lower-off", "upper-off"), ("grad-clip",), ("adam",))},
    **{(name, names): 6 for name in SAME_CLIP.presets for names in ((), *((s,) for s in SAME_CLIP.switches))},
    ("tau", ()): 8,
}

INTRO = """# Experiments

Every number on this page comes from a run with the settings of its card (page *Experiments*, or
`python -m sapo_viz experiment NAME`), made by `scripts/make_experiments.py`; the runs' curves are in
`assets/experiments/`. Rewards are means over the last quarter of a run's steps (ten of 40); ± is the standard deviation
over seeds. All but the last experiment use the bundled policies.
Differences are paired by seed. Each interval holds at 95 % over all looks from 3 to 24 seeds together, so you may watch
seeds come in or ask for more. That is for each pair separately: one pair in twenty misses, and there are {intervals}
intervals on this page. The sentence under each table is generated from its numbers.

{collapsed} (`sapo_viz/experiments/collapse.py`)

A policy of 75,776 or 125,952 parameters that adds three-digit numbers neither supports nor refutes anything at the
paper's scale, and nor does a language model of 135 million over ten rollouts.
"""


def variants(preset: Preset) -> list[tuple[str, ...]]:
    """Nothing changed, each switch by itself, and GRPO without either of its clips."""
    names = [switch.name for switch in preset.switches]
    unclipped = ("lower-off", "upper-off")
    return [(), *((name,) for name in names), *([unclipped] if set(unclipped) <= set(names) else [])]


def seeds_for(preset: Preset, switches: tuple[str, ...]) -> int:
    return SEEDS.get((preset.name, switches), preset.seeds)


def wanted(names: Collection[str]) -> set[Key]:
    """The runs of these presets, one that several ask for once."""
    return {
        key
        for preset in map(PRESETS.__getitem__, names)
        for switches in variants(preset)
        for key in keys_of(preset, seeds_for(preset, switches), switches).values()
    }


def collect(preset: Preset, store: RunStore) -> None:
    """Write down the runs of the preset and its switches that the store has."""
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
    sections = []
    for preset in PRESETS.values():
        sections.append(section(preset))
        if preset.name == SAME_CLIP.presets[-1]:
            sections.append(side_by_side())
    text = "\n".join(sections)
    return "\n".join([INTRO.format(collapsed=RULE.sentence, intervals=text.count(" to +") + text.count(" to −")), text])


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
        lines += answers(preset, shipped)
    return "\n".join(lines)


def results(preset: Preset, shipped: Measured) -> list[str]:
    """Table and sentence of the preset as it stands, then of what each switch changes."""
    lines, head, rows, sentences = [], [], [], []
    for switches in variants(preset):
        seeds = seeds_of(preset, shipped, switches)
        if not seeds:
            continue
        result = analyse(preset, seeds, shipped.records, switches)
        if not switches:
            lines += table_and_sentence(result)
            continue
        label = ", ".join(switch.label for switch in preset.switched(switches))
        head = ["Changed", *change_head(result)]
        rows += [[label, *row] for row in change_rows(result)]
        sentences.append(f"- *{label}*: {conclusion(result)}")
    if rows:
        lines += ["### One component changed", "", markdown_table(head, rows), "", *sentences, ""]
    return lines


def table_and_sentence(result: Result) -> list[str]:
    arms = markdown_table(arm_head(result), arm_rows(result))
    differences = markdown_table(difference_head(result), difference_rows(result))
    return [arms, "", differences, "", f"**{conclusion(result)}**", ""]


def answers(preset: Preset, shipped: Measured) -> list[str]:
    """What language models say in the end, of the preset as it stands and with each switch."""
    lines = []
    for switches in variants(preset):
        seeds = seeds_of(preset, shipped, switches)
        rows = said_rows(analyse(preset, seeds, shipped.records, switches)) if seeds else []
        if rows:
            label = ", ".join(switch.label for switch in preset.switched(switches))
            asked = next(record.asked for record in shipped.records.values() if record.said)
            lines += [f"### The likeliest answer to “{asked}”" + (f": {label}" if label else ""), ""]
            lines += [markdown_table(SAID_HEAD, rows), ""]
    return lines


def side_by_side() -> str:
    lines = [f"## {SAME_CLIP.title}", "", SAME_CLIP.text, ""]
    for name in SAME_CLIP.presets:
        preset, shipped = PRESETS[name].opened(SAME_CLIP.switches), measured(name)
        if shipped and (seeds := seeds_of(preset, shipped)):
            lines += [f"### {preset.title}", "", *table_and_sentence(analyse(preset, seeds, shipped.records))]
    return "\n".join(lines)


def measure(preset: Preset, switches: tuple[str, ...], store: RunStore) -> None:
    """Run what is missing and wait for it."""
    seeds = seeds_for(preset, switches)
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
    if "--count" in arguments:
        print(f"{len(wanted(names))} runs")
        return 0
    store = RunStore()
    for name in names if "--page" not in arguments else ():
        if "--collect" not in arguments and (model := experiment_runs.missing_model(PRESETS[name])):
            print(f"{name} is left as it was: {model} is not here. {PRESETS[name].fetch}")
            continue
        for switches in variants(PRESETS[name]):
            if "--collect" not in arguments:
                measure(PRESETS[name], switches, store)
        collect(PRESETS[name], store)
    measured.cache_clear()
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
