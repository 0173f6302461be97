"""A run's own copy of its questions, `questions.jsonl` in its folder: a run goes on with what it began with.

In the settings the file stands as `name@1a2b3c4d`, the digits being of its content: two runs on files of one name and
different content are not taken for repetitions of one another.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from sapo_viz.errors import RunError
from sapo_viz.rollouts.apart.asking import Given, reading_table
from sapo_viz.rollouts.steps import finish
from sapo_viz.rollouts.table import MOST_BYTES, TextTable, parse_table
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.files import write_whole
from sapo_viz.runs.folder.reading import NotReadable, read_small

NAME = "questions.jsonl"
_MARK = re.compile(r"@[0-9a-f]{8}$")


def with_table(config: RunConfig, table: TextTable) -> RunConfig:
    """The settings of a run on this very content."""
    return replace(config, data=f"{file_name(config.data) or table.name}@{table.digest}")


def file_name(data: str) -> str:
    """The setting `data` without the mark of its content."""
    return _MARK.sub("", data)


def keep_table(folder: Path, table: TextTable) -> None:
    write_whole(folder / NAME, table.jsonl())


def kept_table(folder: Path, config: RunConfig, *, apart: bool = False) -> TextTable | None:
    """The questions of a run; None for a task that has none of its own.

    Args:
        apart: read in another process, as a server reads what may be a stranger's.

    Raises:
        RunError: they are not there, or are not those that the settings name.
        RolloutError: they are damaged, or take more than such a file may.
    """
    if config.task != "questions":
        return None
    try:
        data = read_small(folder / NAME, 4 * MOST_BYTES)
        table = finish(reading_table(Given.of_bytes(data, NAME))) if apart else parse_table(data, NAME)
    except FileNotFoundError:
        raise RunError(f"the run's {NAME} is not there; start it anew with its file of questions.") from None
    except NotReadable as error:
        raise RunError(f"{NAME} cannot be read: {error}.") from None
    mark = _MARK.search(config.data)
    if mark and mark[0][1:] != table.digest:
        raise RunError(f"{NAME} is not what the run began with; start it anew with its file of questions.")
    return table
