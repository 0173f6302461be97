"""`python -m sapo_viz export RUN --to trl`: a run's settings as a folder for another framework."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from sapo_viz.errors import RunError
from sapo_viz.models.source import BUNDLED, POLICIES
from sapo_viz.models.tasks import TASKS
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.exports.export import FRAMEWORKS, export
from sapo_viz.runs.exports.mapping import translated
from sapo_viz.runs.folder.files import write_whole
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.questions.kept import kept_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="RUN", help="a run's folder")
    parser.add_argument("--to", metavar="FRAMEWORK", required=True, help=", ".join(FRAMEWORKS))
    parser.add_argument(
        "--out", metavar="DIR", help="where to write; must be new or empty (default: RUN-FRAMEWORK here)"
    )


def run(args: argparse.Namespace) -> int:
    folder = Path(args.folder).absolute()
    config = RunStore(folder.parent).config(folder.name)
    files = export(_on_this_machine(config), args.to, kept_table(folder, config))
    out = Path(args.out or f"{folder.name}-{args.to}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} exists and is not empty; choose another folder with --out, or delete it.")
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_whole(out / name, text)
    framework = FRAMEWORKS[args.to]
    print(f"{out}: {', '.join(files)}. To start, in that folder: {framework.start}")
    print("Not as in the run:", *translated(config, framework).notes, sep="\n- ")
    return 0


def _on_this_machine(config: RunConfig) -> RunConfig:
    """A bundled policy by its folder, which is here."""
    name = TASKS[config.task].start if config.policy == "auto" and config.task in TASKS else config.policy
    return dataclasses.replace(config, policy=str(POLICIES / name)) if name in BUNDLED else config
