"""The rows of a framework's log that was saved as CSV, one line per sample.

Lists and objects are in a cell, as JSON or as Python writes them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.formats.base import Item
from sapo_viz.rollouts.readers.formats.written import list_in, number_in, value_in
from sapo_viz.rollouts.record import Record
from sapo_viz.rollouts.schema import FIELDS

_LOOK = 1 << 18  # bytes among which keys are looked for
_HEADER = 1 << 16  # bytes in which the header ends


def header(data: bytes) -> list[str]:
    """The names in the first line; none where it is not that of a table."""
    line = data[:_HEADER].partition(b"\n")[0]
    if line[:1] in (b"{", b"[", b"") or b"," not in line:
        return []
    try:
        return [name.strip() for name in next(csv.reader([line.decode("utf-8")], strict=True), [])]
    except (UnicodeDecodeError, csv.Error):
        return []


def has_name(data: bytes, columns: Sequence[str], name: str) -> bool:
    """Whether a column has this name, or an object in one of the first cells has it for a key."""
    key = name.encode()
    return name in columns or any(quote + key + quote in data[:_LOOK] for quote in (b'"', b"'"))


def items(file: str, data: bytes, value: Callable[[str], Any] = value_in) -> Iterator[Item]:
    """Each row under its columns' names, an empty cell as None and any other as `value` has it.

    Raises:
        RolloutError: the file is not UTF-8, or not CSV.
    """
    csv.field_size_limit(2**31 - 1)  # the whole file is bounded
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8", newline=""), strict=True)
    try:
        names = [name.strip() for name in next(reader)]
        for row in reader:
            if len(row) == len(names):  # the last of a file that is still being written may be shorter
                cells = (value(cell) if cell else None for cell in row)
                yield f"line {reader.line_num}", dict(zip(names, cells, strict=True))
    except UnicodeDecodeError:
        raise RolloutError(f"{file}: a byte there is not UTF-8; save the file as UTF-8.") from None
    except csv.Error as error:
        raise RolloutError(f"{file}, line {reader.line_num:,}: this is not CSV ({error}).") from None


def sequences(file: str, data: bytes) -> Iterator[Record]:
    """The same of a file with this app's own fields."""
    for place, values in items(file, data, str):
        yield Record(file, place, {name: _as_field(name, value) for name, value in values.items()})


def _as_field(name: str, cell: str | None) -> Any:
    """A cell as the number or the list that its field takes; what is none is left for the field's own check."""
    field = FIELDS.get(name)
    if field is None or cell is None:
        return cell
    if field.kind == "texts":
        return value_in(cell)
    if field.per_token:
        found = list_in(cell)
        return cell if found is None else found
    number = number_in(cell) if field.kind in ("number", "integer") else cell
    return int(number) if isinstance(number, float) and number.is_integer() else number
