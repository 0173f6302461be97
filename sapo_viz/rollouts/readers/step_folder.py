"""A folder of steps read as one set of sequences: for the command line and notebooks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.joined import joined, of_step
from sapo_viz.rollouts.readers.read import read_rollouts
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.step_files import StepFiles, step_folders


def read_step_folder(path: Path, step: int | None = None, read: Callable[[Path], Rollouts] = read_rollouts) -> Rollouts:
    """All steps of the run in `path`, or one of them, with notes of missing steps, ranks and files that are damaged.
    `read` takes each of its files.

    Raises:
        RolloutError: no run of steps is there, or more than one; no such step; or no file of it can be read.
    """
    run = find_run(path)
    if step is not None and step not in run.steps:
        has = ", ".join(map(str, list(run.steps)[:20])) + (" …" if len(run.steps) > 20 else "")
        raise RolloutError(f"--step is {step}; {path} has the steps {has}.")
    parts: list[Rollouts] = []
    wrong: list[RolloutError] = []
    for number, files in run.steps.items():
        if step not in (None, number):
            continue
        for file in files.files:
            try:
                parts.append(of_step(read(path / file), number))
            except RolloutError as error:
                wrong.append(error)
    if not parts:
        raise wrong[0]
    notes = [f"A file is left out: {error}" for error in wrong[:3]]
    if len(wrong) > 3:
        notes.append(f"Files left out: {len(wrong):,}.")
    return joined(path.name, parts, [*run.notes, *notes])


def find_run(path: Path) -> StepFiles:
    """The one run of steps in the folder, its own `tokens` or `token_exports` included. A run that has just begun has
    one step.
    """
    files = [file.relative_to(path) for file in sorted(path.rglob("*")) if file.is_file()]
    names = [file.as_posix() for file in files if not any(part.startswith(".") for part in file.parts)]
    runs = step_folders(names) or step_folders(names, fewest=1)
    if len(runs) == 1:
        return runs[0]
    if not runs:
        raise RolloutError(
            f"{path}: this folder holds no steps of a run (step-00010.rank-0.parquet, step_10/rank_0.jsonl, "
            "completions_00010.parquet, train_data_step10.jsonl, 10_0.pt, 10.jsonl); name a file, or such a folder."
        )
    found = ", ".join(run.name for run in runs[:5])
    raise RolloutError(f"{path}: this folder holds {len(runs)} runs ({found}); name the folder of one of them.")
