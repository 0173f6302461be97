"""A table of questions and answers as somebody brings it: JSONL (or a JSON list), CSV, Parquet; every cell as text.

Columns may be named anything; which of them is the question and which the answer is settled by `runs/questions`. A
cell that is a list or an object is its JSON. Limits: `MOST_BYTES` of a file, `MOST_ROWS`, `LONGEST` characters a cell.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sapo_viz.errors import RolloutError, reason_of

MOST_BYTES = 64 * 1024**2
MOST_ROWS = 100_000
MOST_COLUMNS = 100
LONGEST = 50_000  # characters of a cell: more than any prompt that is trained on here
_FORMATS = "JSONL, JSON, CSV or Parquet"

TableRow = dict[str, str]


@dataclass(frozen=True)
class TextTable:
    """Columns by name; `cells` holds each column's texts, all equally many."""

    name: str  # of the file, for messages
    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.cells[0]) if self.cells else 0

    def row(self, index: int) -> TableRow:
        return {name: column[index] for name, column in zip(self.columns, self.cells, strict=True)}

    @property
    def digest(self) -> str:
        """Eight hex digits, equal for equal content whatever the file's name or format."""
        text = json.dumps([self.columns, self.cells], ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def jsonl(self) -> str:
        """The table as JSONL, which reads back the same."""
        rows = (json.dumps(self.row(index), ensure_ascii=False) for index in range(len(self)))
        return "".join(row + "\n" for row in rows)


def read_table(path: Path | str) -> TextTable:
    """The table in a file of this machine.

    Raises:
        RolloutError: it cannot be read.
    """
    path = Path(path)
    try:
        if not path.is_file():
            what = "this is no file" if path.exists() else "there is no such file"
            raise RolloutError(f"{path}: {what}; give a {_FORMATS} file with questions and answers.")
        if path.stat().st_size > MOST_BYTES:
            raise RolloutError(f"{path.name}: it has more than {MOST_BYTES // 1024**2} MB; take a part of it.")
        return parse_table(path.read_bytes(), path.name)
    except MemoryError:
        raise RolloutError(f"{path.name}: reading it takes more memory than there is; take a part of it.") from None
    except OSError as error:
        raise RolloutError(f"{path}: it cannot be opened ({error.strerror}); check name and rights.") from None


def parse_table(data: bytes, name: str) -> TextTable:
    """The table in `data`; `name` is for messages, and its ending tells CSV from other texts.

    Raises:
        RolloutError: there is none in it, or it is larger than the limits.
    """
    if len(data) > MOST_BYTES:
        raise RolloutError(f"{name}: it has more than {MOST_BYTES // 1024**2} MB; take a part of it.")
    if data[:4] == b"PAR1":
        return _of_columns(name, *_parquet(name, data))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RolloutError(
            f"{name}: byte {error.start + 1:,} is not UTF-8; it takes a {_FORMATS} file in UTF-8."
        ) from None
    head = text.lstrip()[:1]
    if not head:
        raise RolloutError(f"{name}: the file is empty; it takes one row a question.")
    if head in "[{" and not name.lower().endswith((".csv", ".tsv")):
        return _of_rows(name, _json_rows(name, text, head == "["))
    return _of_columns(name, *_csv(name, text))


def _json_rows(name: str, text: str, whole: bool) -> list[Any]:
    if whole:
        return list(_json(name, "", text))
    lines = enumerate(text.split("\n"), 1)  # not splitlines: JSON strings may hold U+2028
    return [_json(name, f", line {number:,}", line) for number, line in lines if line.strip()]


def _json(name: str, place: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RolloutError(
            f"{name}{place}: this is not JSON ({reason_of(error, 80)}); each line takes one object, such as "
            '{"question": "2 + 3", "answer": "5"}.'
        ) from None


def _of_rows(name: str, rows: list[Any]) -> TextTable:
    names: dict[str, None] = {}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise RolloutError(
                f"{name}, row {number:,}: it is {_shown(row)}; each row takes an object with the columns' names."
            )
        names |= dict.fromkeys(row)
        if len(names) > MOST_COLUMNS:
            break
    cells = [[_text(row.get(column)) for row in rows] for column in names] if len(names) <= MOST_COLUMNS else []
    return _of_columns(name, list(names), cells)


def _csv(name: str, text: str) -> tuple[list[str], list[list[str]]]:
    header = text[: text.find("\n") if "\n" in text else len(text)]
    separator = max(",;\t", key=header.count)
    csv.field_size_limit(2**31 - 1)  # the whole file is bounded; the default refuses a cell of 128 KiB
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        columns = [column.strip() for column in next(reader, [])]
        cells: list[list[str]] = [[] for _ in columns]
        for row in reader:
            if not row:
                continue
            if len(row) != len(columns):
                raise RolloutError(
                    f"{name}, line {reader.line_num:,}: the row has {len(row):,} cells and the header {len(columns):,};"
                    " put quotes round texts that hold commas, quotes or line ends."
                )
            for column, cell in zip(cells, row, strict=True):
                column.append(cell)
    except csv.Error as error:
        raise RolloutError(f"{name}, line {reader.line_num:,}: this is not CSV ({error}).") from None
    return columns, cells


def _parquet(name: str, data: bytes) -> tuple[list[str], list[list[str]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        if file.metadata.num_rows > MOST_ROWS or file.metadata.num_columns > 10 * MOST_COLUMNS:
            raise RolloutError(_too_many(name))
        table = file.read()
        return list(table.column_names), [[_text(cell) for cell in column.to_pylist()] for column in table.columns]
    except (RolloutError, MemoryError):  # of Arrow's errors the one about memory is both
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:  # the last: a date beyond the year 9999
        raise RolloutError(f"{name}: this is no Parquet file that can be read ({reason_of(error, 100)}).") from None


def _of_columns(name: str, columns: list[str], cells: Iterable[list[str]]) -> TextTable:
    found = tuple(map(tuple, cells))
    if len(columns) > MOST_COLUMNS or any(len(column) > MOST_ROWS for column in found):
        raise RolloutError(_too_many(name))
    if "" in columns or len(set(columns)) < len(columns):
        twice = next((column for column in columns if not column or columns.count(column) > 1), "")
        raise RolloutError(f"{name}: a column is called {twice!r}{' twice' if twice else ''}; give each its own name.")
    if not found or not found[0]:
        raise RolloutError(f"{name}: there is no row in it; it takes one row a question.")
    for column, texts in zip(columns, found, strict=True):
        for number, text in enumerate(texts, 1):
            if len(text) > LONGEST:
                raise RolloutError(
                    f"{name}, row {number:,}: {column} has {len(text):,} characters; up to {LONGEST:,} are taken."
                )
    return TextTable(name, tuple(columns), found)


def _too_many(name: str) -> str:
    return f"{name}: it has more than {MOST_ROWS:,} rows or {MOST_COLUMNS} columns; take a part of it."


def _text(value: Any) -> str:
    """A cell as text; nothing is the empty text, and lone surrogates, which UTF-8 cannot spell, become `?`."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= 40 else text[:39] + "…"
