"""CSV: one row a token, with a header. Rows with the same `sequence` belong together, in file order.

Read with the standard library: a data-frame reader guesses types, and would turn the tokens `NA`,
`1e5` and ` the` into a missing value, a number and `the`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.record import Record, shown
from sapo_viz.rollouts.schema import FIELDS

_BY_COLUMN = {field.column: field for field in FIELDS.values() if field.column}
_COLUMNS = ", ".join(_BY_COLUMN)
_NEEDED = ("sequence", "token", "logprob", "old_logprob")


def records(file: str, text: str) -> Iterator[Record]:
    """The sequences of a CSV file; the place of a value is its line in the file."""
    csv.field_size_limit(2**31 - 1)  # the whole file is bounded; the default refuses a token of 128 KiB
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(file, header)
        groups = _collect(file, reader, header)
    except csv.Error as error:
        raise RolloutError(
            f"{file}, line {reader.line_num:,}: this is not CSV ({error}); "
            'put quotes round tokens that hold commas, quotes or line ends, and write a quote as "".'
        ) from None
    if not groups:
        raise RolloutError(f"{file}: there is a header but no row; give one row a token.")
    for name, columns in groups.items():
        yield _record(file, name, columns)


def _check_header(file: str, header: list[str]) -> None:
    for name in header:
        if header.count(name) > 1 and name in _BY_COLUMN:
            raise RolloutError(f"{file}, line 1: the column {name} stands twice; keep one of them.")
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        found = ", ".join(shown(name, 24).strip("'\"") for name in header[:12]) or "none"
        raise RolloutError(
            f"{file}, line 1: the column {missing[0]} is missing (columns found: {found}); "
            f"a CSV file has one row a token and columns from {_COLUMNS}."
        )


def _collect(file: str, reader: Any, header: list[str]) -> dict[str, dict[str, list[Any]]]:
    """Rows by their sequence: column -> list of texts, and the line of each under `line`."""
    key = header.index("sequence")
    groups: dict[str, list[list[str]]] = {}
    lines: dict[str, list[int]] = {}
    width, before = len(header), reader.line_num
    for row in reader:
        line, before = before + 1, reader.line_num  # the line on which the row begins
        if len(row) != width:
            if not row:
                continue
            raise RolloutError(
                f"{file}, line {line:,}: the row has {len(row):,} cells; the header has {width:,}, "
                "so put quotes round tokens that hold commas or line ends."
            )
        if row[key] not in groups:
            if not row[key].strip():
                raise RolloutError(f"{file}, line {line:,}: sequence is empty; give each row its sequence's name.")
            groups[row[key]], lines[row[key]] = [], []
        groups[row[key]].append(row)
        lines[row[key]].append(line)
    return {
        name: dict(zip(header, map(list, zip(*rows, strict=True)), strict=True)) | {"line": lines[name]}
        for name, rows in groups.items()
    }


def _record(file: str, name: str, columns: dict[str, list[Any]]) -> Record:
    lines = columns.pop("line")
    values: dict[str, Any] = {}
    record = Record(file, f"line {lines[0]}", values, lines)
    for column, cells in columns.items():
        field = _BY_COLUMN.get(column)
        if field is None:
            values.setdefault(column, True)  # unknown: named in a note, not read
        elif field.name == "id":
            values["id"] = name
        elif field.per_token:
            if field.kind == "texts":
                values[field.name] = cells
            elif any(cells):  # a column left empty throughout is one that is not there
                integer = field.kind in ("flags", "ids")
                values[field.name] = [
                    _number(record, field.name, cell, index, integer) for index, cell in enumerate(cells)
                ]
        else:
            _check_same(record, field.name, cells)
            if cells[0]:
                number = field.kind in ("number", "integer")
                values[field.name] = _number(record, field.name, cells[0], 0) if number else cells[0]
    return record


def _number(record: Record, field: str, cell: str, index: int, integer: bool = False) -> Any:
    """The cell as a number; None when empty (allowed where the mask is 0, or for the whole column)."""
    cell = cell.strip()
    if not cell:
        return None
    if "_" not in cell:  # float("1_0") is 10 in Python and in nothing else
        try:
            number = float(cell)
            return int(number) if integer and number.is_integer() else number
        except ValueError:
            pass
    record.fail(field, f"is {shown(cell)}, which is text", "it takes a finite number", index=index)


def _check_same(record: Record, field: str, cells: list[str]) -> None:
    """reward, group and step are the sequence's own: every row has to repeat them."""
    first = cells[0]
    if cells.count(first) != len(cells):
        index = next(i for i, cell in enumerate(cells) if cell != first)
        says = f"is {shown(cells[index])} and on line {record.lines[0] if record.lines else '?'} {shown(first)}"
        record.fail(field, says, "it is the same on all rows of a sequence", index=index)
