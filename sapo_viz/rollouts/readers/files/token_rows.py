"""One object per token, as a data frame of the CSV's columns is saved: rows of one sequence, put together.

Rows of a sequence follow one another: only one sequence is in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sapo_viz.rollouts.readers.files.csv_file import BY_COLUMN, NEEDED
from sapo_viz.rollouts.record import Record, shown


def put_together(records: Iterator[Record]) -> Iterator[Record]:
    """The records as they are, unless they are tokens: then one for each run of rows with the same `sequence`."""
    rows: list[Record] = []
    seen: set[str] = set()
    for record in records:
        if "tokens" in record.values or not record.values.keys() >= set(NEEDED):
            if rows:
                yield _joined(rows)
                rows = []
            yield record
            continue
        name = record.values["sequence"]
        if rows and name != rows[0].values["sequence"]:
            yield _joined(rows)
            rows = []
        if not rows:
            if str(name) in seen:
                record.fail("sequence", f"is {shown(name)} again", "rows of one sequence follow one another")
            seen.add(str(name))
        rows.append(record)
    if rows:
        yield _joined(rows)


def _joined(rows: list[Record]) -> Record:
    first = rows[0]
    values: dict[str, Any] = {}
    for column, value in first.values.items():
        field = BY_COLUMN.get(column)
        cells = [row.values.get(column) for row in rows]
        if field is None:
            values.setdefault(column, True)  # unknown: named in a note, not read
        elif field.per_token:
            if any(cell is not None for cell in cells):
                values[field.name] = cells
        elif field.name == "id":
            values["id"] = value
        else:
            other = next((i for i, cell in enumerate(cells) if cell != value), None)
            if other is not None:
                says = f"is {shown(cells[other])}, and in the sequence's first row {shown(value)}"
                rows[other].fail(column, says, "it is the same in all rows of a sequence")
            values[field.name] = value
    return Record(first.file, f"{first.place} on", values)
