"""CSV: one row per token, with a header. Rows with the same `sequence` belong together.

`records` reads with the standard library, row by row: a data-frame reader guesses types, and would turn the
tokens `NA`, `1e5` and ` the` into a missing value, a number and `the`. csv_blocks.py reads the usual file in
whole columns, with every type given; what it does not take comes here.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.csv_text import OURS, restored
from sapo_viz.rollouts.record import Record, Skip, shown
from sapo_viz.rollouts.schema import FIELDS

BY_COLUMN = {field.column: field for field in FIELDS.values() if field.column}
_COLUMNS = ", ".join(BY_COLUMN)
NEEDED = ("sequence", "token", "logprob", "old_logprob")


def records(file: str, data: bytes, skip: Skip | None = None) -> Iterator[Record]:
    """The sequences of a CSV file; the place of a value is its line in the file.

    With `skip` a file that ends in the middle of a row, as one that is still being written does, is read up to there;
    the row is handed to it.

    Read twice: first for each sequence's last line, then to hand a sequence on as soon as it is complete.
    Every cell is a Python object here, some 80 bytes: a large file cannot be held whole.
    """
    last: dict[str, int] = {}
    for line, name, _, _ in _rows(file, data, None if skip is None else lambda _: None):
        last[name] = line
    if not last:
        raise RolloutError(f"{file}: there is a header but no row; give one row per token.")
    waiting: deque[str] = deque()  # in the order of their first line
    rows: dict[str, list[list[str]]] = {}
    lines: dict[str, list[int]] = {}
    header: list[str] = []
    complete: set[str] = set()
    for line, name, row, header in _rows(file, data, skip):
        if name not in rows:
            waiting.append(name)
            rows[name], lines[name] = [], []
        rows[name].append(row)
        lines[name].append(line)
        if line == last[name]:
            complete.add(name)
            while waiting and waiting[0] in complete:
                first = waiting.popleft()
                complete.remove(first)
                columns = dict(zip(header, map(list, zip(*rows.pop(first), strict=True)), strict=True))
                yield _record(file, first, columns, lines.pop(first))


def _rows(file: str, data: bytes, skip: Skip | None) -> Iterator[tuple[int, str, list[str], list[str]]]:
    """The line on which each row begins, its sequence, the row, and the header."""
    open_end = not data.endswith((b"\n", b"\r"))
    name = ""
    csv.field_size_limit(2**31 - 1)  # the whole file is bounded; the default refuses a token of 128 KiB
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8", newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        check_header(file, header)
        ours = set(header) >= OURS  # a token table of this app's, whose texts are guarded from spreadsheets
        key, width, before = header.index("sequence"), len(header), reader.line_num
        for row in reader:
            line, before = before + 1, reader.line_num
            if len(row) != width:
                if not row:
                    continue
                if skip is not None and name and open_end and len(row) < width and next(reader, None) is None:
                    skip(_cut(file, line, name))
                    return
                raise RolloutError(
                    f"{file}, line {line:,}: the row has {len(row):,} cells; the header has {width:,}, "
                    "so put quotes round tokens that hold commas or line ends."
                )
            if not row[key].strip():
                raise RolloutError(f"{file}, line {line:,}: sequence is empty; give each row its sequence's name.")
            cells = [restored(cell) for cell in row] if ours else row
            name = cells[key]
            yield line, name, cells, header
    except csv.Error as error:
        if skip is not None and name and open_end and reader.line_num == before + 1 == data.count(b"\n") + 1:
            skip(_cut(file, reader.line_num, name))  # within quotes
            return
        raise RolloutError(
            f"{file}, line {reader.line_num:,}: this is not CSV ({error}); "
            'put quotes round tokens that hold commas, quotes or line ends, and write a quote as "".'
        ) from None


def _cut(file: str, line: int, name: str) -> RolloutError:
    return RolloutError(
        f"{file}, line {line:,}: the file ends within this row, so the sequence {shown(name)} may lack its last tokens."
    )


def check_header(file: str, header: list[str]) -> None:
    """Raises RolloutError where a needed column is missing, or a known one appears twice."""
    known = [name for name in header if name in BY_COLUMN]
    there: set[str] = set()
    for name in known:
        if name in there:
            raise RolloutError(f"{file}, line 1: the column {name} appears twice; keep one of them.")
        there.add(name)
    missing = [name for name in NEEDED if name not in there]
    if missing:
        found = ", ".join(shown(name, 24).strip("'\"") for name in header[:12]) or "none"
        raise RolloutError(
            f"{file}, line 1: the column {missing[0]} is missing (columns found: {found}); "
            f"a CSV file has one row per token and columns from {_COLUMNS}."
        )


def _record(file: str, name: str, columns: dict[str, list[str]], lines: list[int]) -> Record:
    values: dict[str, Any] = {}
    record = Record(file, f"line {lines[0]}", values, lines)
    for column, cells in columns.items():
        field = BY_COLUMN.get(column)
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
