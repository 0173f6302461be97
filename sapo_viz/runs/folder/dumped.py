"""The steps of a framework's own dumps below the owner's data folder, by the names of their files (step_files.py)."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.apart.folder import list_files
from sapo_viz.rollouts.step_files import RECORDERS, StepFiles, step_folders
from sapo_viz.runs.folder.recording import StepTokens

_MOST = 20_000  # files
_HOLDS = 1.0  # seconds
_found: dict[tuple[Path, str], tuple[float, StepFiles | None]] = {}  # until when a look holds, and what it saw


def dump_folders(root: Path) -> list[StepFiles]:
    """All below `root` but those that a recorder's run or one of our own holds."""
    try:
        names = list_files(root, _MOST)
    except RolloutError:
        return []
    return [run for run in step_folders(sorted(names)) if run.framework not in RECORDERS]


def dump_folder(root: Path, name: str) -> StepFiles | None:
    """The one of this name, a path with a slash at the end, on a way below `root` without links; a look at it is kept
    for a second. None if it is not there."""
    until, run = _found.get((root, name), (0.0, None))
    if time.monotonic() >= until:
        if len(_found) > 1000:
            _found.clear()
        run = _look(root, name)
        _found[root, name] = (time.monotonic() + _HOLDS, run)
    return run


def _look(root: Path, name: str) -> StepFiles | None:
    try:
        top = root.resolve()
        folder = (top / name).resolve(strict=True)
        if folder != Path(os.path.normpath(top / name)) or not folder.is_relative_to(top):
            return None
        names = list_files(folder, _MOST)
    except (OSError, RuntimeError, ValueError, RolloutError):
        return None
    here = {run.name: run for run in step_folders(sorted(names))}.get("./")
    return replace(here, name=name) if here else None


def dumped_tokens(root: Path | None, name: str) -> dict[int, StepTokens]:
    """Step -> its files, one or one of each rank."""
    run = dump_folder(root, name) if root is not None else None
    if root is None or run is None:
        return {}
    folder = root / name
    return {
        step: StepTokens(step, tuple(folder / file for file in files.files), files.missing_ranks)
        for step, files in run.steps.items()
    }
