"""Tables as Weights & Biases saves them: `*.table.json` with {columns: […], data: [[…], …]}.

Written by `Table._to_table_json` (wandb/wandb, wandb/sdk/data_types/table.py); TRL and ms-swift log their completions
so. verl's validation table (`ValidationGenerationsLogger`) has one row per step: step, input_1, output_1, score_1, ….
A table with this app's own fields, as `DataFrame.to_json(orient="split")` writes it too, is read as its sequences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.formats.base import Item, Notes
from sapo_viz.rollouts.record import shown

MARKS = ("columns", "data")
SAID = "Read from a Weights & Biases table."
_NUMBERED = re.compile(r"(input|output|score)_(\d+)")


def rows(file: str, items: Iterator[Item], notes: Notes) -> Iterator[Item]:
    """Each row under its columns' names."""
    for place, values in items:
        if _is_table(values):
            notes.say(SAID)
            for at, row in unfolded([(place, values)]):
                yield from _spread(at, row)


def unfolded(items: Iterable[Item]) -> Iterator[Item]:
    """The items; of a table its rows, each under its columns' names."""
    for place, values in items:
        if not _is_table(values):
            yield place, values
            continue
        names = [str(name) for name in values["columns"]]
        for number, row in enumerate(values["data"], start=1):
            if isinstance(row, list) and len(row) == len(names):
                yield f"row {number}", dict(zip(names, row, strict=True))


def _is_table(values: Mapping[str, Any]) -> bool:
    return isinstance(values.get("columns"), list) and isinstance(values.get("data"), list)


def refuse(file: str, items: Iterator[Item]) -> None:
    """RolloutError where the first object is such a table: none of the formats has its columns."""
    values = next(items, ("", {}))[1]
    if _is_table(values) and "tokens" not in values and "old_logprob" not in str(values["columns"]):
        names = ", ".join(shown(name, 24).strip("'\"") for name in values["columns"][:12]) or "none"
        raise RolloutError(
            f"{file}: this is a Weights & Biases table with the columns {names}; tables of completions are read, as "
            "TRL, ms-swift and verl log them."
        )


def _spread(place: str, row: Mapping[str, Any]) -> Iterator[Item]:
    """Several samples side by side in one row, each on its own."""
    numbered: dict[str, dict[str, Any]] = {}
    for name, value in row.items():
        if match := _NUMBERED.fullmatch(name):
            numbered.setdefault(match[2], {})[match[1]] = value
    if not numbered:
        yield place, row
    for number, sample in numbered.items():
        yield f"{place}, sample {number}", sample | {"step": row.get("step")}
