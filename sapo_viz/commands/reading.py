"""A file that a command is given: read apart, within the bounds that the app keeps to, unless they are lifted."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.apart.asking import Given, reading_apart
from sapo_viz.rollouts.readers.formats import read_pair_files
from sapo_viz.rollouts.readers.formats.pair import FileContents, both_policies
from sapo_viz.rollouts.readers.read import read_file
from sapo_viz.rollouts.readers.step_folder import read_step_folder
from sapo_viz.rollouts.schema import DISK, Rollouts
from sapo_viz.rollouts.steps import finish

_LIFT = "--no-bounds"


def add_bounds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        _LIFT,
        action="store_true",
        help="read a file that you trust whatever it takes; usually 5 × its size + 256 MB (SAPO_VIZ_READER_MB) and "
        "2 s + 1 s for each 10 MB",
    )


def read_run(name: str, step: int | None, *, bounds: bool) -> Rollouts:
    """The sequences of a file, or of a folder of a run's steps, or of one of these; each file within its own bounds.

    Raises:
        RolloutError: as `read_named`; there is no such run or step; or a step of a file is asked for.
    """
    if step is not None and Path(name).is_file():
        raise RolloutError(f"--step is {step}, and {name} is a file; name the folder of a run's steps.")
    if Path(name).is_dir():
        return read_step_folder(Path(name), step, lambda path: both_policies(read_named([str(path)], bounds=bounds)))
    return both_policies(read_named([name], bounds=bounds))


def read_named(names: Sequence[str], *, bounds: bool) -> FileContents:
    """What one file holds, or two that hold one policy each, the newer first.

    Raises:
        RolloutError: it cannot be read, or, with `bounds`, not with what such a file may take.
    """
    paths = [Path(name) for name in names]
    if bounds and all(path.is_file() and 0 < path.stat().st_size <= DISK.bytes for path in paths):
        files = [Given.of_path(path.resolve(), path.name) for path in paths]  # the user's own link is followed
        return finish(reading_apart(files, disk=True, remedy=f"give {_LIFT}"))
    # In this process; or it says what is wrong.
    return read_pair_files(names[0], names[1]) if len(names) > 1 else read_file(names[0])
