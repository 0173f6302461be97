"""Parquet: one row a sequence; per-token fields are list columns. Read with pyarrow, only the known columns."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.record import Record, shown
from sapo_viz.rollouts.schema import FIELDS, MAX_TOKENS

_UNPACKED = 2 * 1024**3  # bytes; a file of 200 MB can declare far more
_TAKES = {
    "texts": "a list of texts",
    "numbers": "a list of numbers",
    "flags": "a list of 0 and 1",
    "ids": "a list of whole numbers",
    "text": "text",
    "number": "a number",
    "integer": "a whole number",
    "label": "text or a whole number",
}


def records(file: str, data: bytes) -> Iterator[Record]:
    """The sequences of a Parquet file, a batch of rows at a time; their place is "row 3", counted from 1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    broken = f"{file}: this Parquet file cannot be read; it may be cut short, so copy or write it again."
    try:
        parquet = pq.ParquetFile(io.BytesIO(data))
        schema = parquet.schema_arrow
        names = list(schema.names)
        _check_size(file, parquet)
    except (pa.ArrowException, OSError, UnicodeError):
        raise RolloutError(broken) from None
    for name in names:
        if name in FIELDS:
            if names.count(name) > 1:
                raise RolloutError(f"{file}: the column {name} stands twice; keep one of them.")
            _check_type(file, name, schema.field(name).type)
    unused = {name: True for name in names if name not in FIELDS}
    known = [name for name in names if name in FIELDS]
    number = 0
    try:
        for batch in parquet.iter_batches(batch_size=512, columns=known, use_threads=False):
            columns = {name: _rows(batch.column(name), name) for name in known}
            for index in range(batch.num_rows):
                number += 1
                yield Record(file, f"row {number}", {name: columns[name][index] for name in known} | unused)
    except (pa.ArrowException, OSError, UnicodeError, MemoryError):
        raise RolloutError(broken) from None


def _check_size(file: str, parquet: Any) -> None:
    """Refuse before unpacking what would not fit."""
    metadata = parquet.metadata
    size = values = 0
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            if chunk.path_in_schema.split(".")[0] in FIELDS:
                size += max(chunk.total_uncompressed_size, 0)
                values = max(values, chunk.num_values)
    if size > _UNPACKED or values > MAX_TOKENS or metadata.num_rows > MAX_TOKENS:
        raise RolloutError(
            f"{file}: unpacked it holds more than {MAX_TOKENS:,} tokens or 2 GB; split it into smaller files."
        )


def _check_type(file: str, name: str, kind: Any) -> None:
    import pyarrow.types as t

    field = FIELDS[name]
    inner = kind
    if field.per_token:
        is_list = t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind)
        inner = kind.value_type if is_list else None
    if inner is not None and t.is_dictionary(inner):
        inner = inner.value_type
    text = inner is not None and (t.is_string(inner) or t.is_large_string(inner) or t.is_string_view(inner))
    number = inner is not None and (t.is_floating(inner) or t.is_integer(inner))
    flag = inner is not None and t.is_boolean(inner)
    fits = {
        "texts": text,
        "numbers": number,
        "flags": number or flag,
        "ids": number,
        "text": text,
        "number": number,
        "integer": number,
        "label": text or number,
    }[field.kind]
    if not (fits or t.is_null(kind)):
        raise RolloutError(f"{file}: the column {name} has the type {shown(str(kind))}; it takes {_TAKES[field.kind]}.")


def _rows(column: Any, name: str) -> list[Any]:
    """One entry a row: a Python scalar, a list of texts, or a float64 array with NaN for null."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as t

    field = FIELDS[name]
    if not field.per_token or t.is_null(column.type):
        return column.to_pylist()
    lengths = pc.list_value_length(column).to_pylist()
    flat = column.flatten()  # offsets and null rows are taken care of
    if t.is_dictionary(flat.type):
        flat = flat.dictionary_decode()
    if field.kind == "texts":
        values: Any = flat.to_pylist()
    else:
        values = flat.cast(pa.float64()) if not t.is_boolean(flat.type) else flat.cast(pa.int8()).cast(pa.float64())
        values = np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
    out: list[Any] = []
    start = 0
    for length in lengths:
        out.append(None if length is None else values[start : start + length])
        start += length or 0
    return out
