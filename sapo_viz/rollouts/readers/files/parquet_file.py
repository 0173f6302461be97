"""Parquet: one row per sequence; per-token fields are list columns. Read with pyarrow, only the known columns.

Two readings of the same batches: `blocks` hands their arrays on as they are, `records` takes them apart row by
row, when there is something to explain.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.columns import Block, Columns
from sapo_viz.rollouts.readers.files.arrow_lists import array, block_of, encoded, listed
from sapo_viz.rollouts.record import Record, shown
from sapo_viz.rollouts.schema import ALSO, FIELDS, MAX_SEQUENCES, Limits

_BATCH = 1 << 18  # tokens at a time, about
_BATCH_BYTES = 1 << 27  # and bytes, going by the first rows; Arrow itself stops at 2 GB of text in one batch
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


def count(file: str, source: BinaryIO) -> int:
    """How many rows the file says that it has."""
    import pyarrow.parquet as pq

    with reading(file):
        return int(pq.ParquetFile(source).metadata.num_rows)


def records(file: str, source: BinaryIO, limits: Limits) -> Iterator[Record]:
    """The sequences of a Parquet file, a batch of rows at a time; their place is "row 3", counted from 1."""
    number = 0
    for batch, unused in _batches(file, source, limits):
        known = batch.schema.names
        with reading(file):
            columns = {name: _rows(batch.column(name), name) for name in known}
        for index in range(batch.num_rows):
            number += 1
            yield Record(file, f"row {number}", {name: columns[name][index] for name in known} | unused)


def blocks(file: str, source: BinaryIO, limits: Limits, columns: Columns) -> Iterator[Block]:
    """The same, a batch at a time.

    Raises:
        NotPlain: something that `records` has to look at.
    """
    for batch, unused in _batches(file, source, limits):
        if batch.num_rows:
            columns.note_unused(unused)
            with reading(file):
                block = block_of(batch, columns)
            if len(block.codes):
                yield block


def _batches(file: str, source: BinaryIO, limits: Limits) -> Iterator[tuple[Any, dict[str, bool]]]:
    """Batches of the known columns, and the names of the others."""
    import pyarrow.parquet as pq

    with reading(file):
        parquet = pq.ParquetFile(source)
        # Labels stay numbers into the distinct ones: a prompt may stand once in the file and be meant in every row.
        parquet = pq.ParquetFile(source, metadata=parquet.metadata, read_dictionary=_labels_in(parquet.metadata))
        schema = parquet.schema_arrow
        names = list(schema.names)
        rows = _check_size(file, parquet, limits)
    also: dict[str, str] = {}
    for name, own in ALSO.items():
        if name in names and own not in names and own not in also.values():
            also[name] = own
    for name in names:
        if name in FIELDS or name in also:
            if names.count(name) > 1:
                raise RolloutError(f"{file}: the column {name} appears twice; keep one of them.")
            _check_type(file, also.get(name, name), schema.field(name).type)
    unused = {name: True for name in names if name not in FIELDS and name not in also}
    known = [name for name in names if name not in unused]
    size = 0
    with reading(file):
        first = next(parquet.iter_batches(batch_size=max(1, rows // 64), columns=known, use_threads=True), None)
        if first is not None and first.num_rows:
            rows = min(rows, max(1, _BATCH_BYTES * first.num_rows // max(first.nbytes, 1)))
    batches = parquet.iter_batches(batch_size=rows, columns=known, use_threads=True)
    while True:
        with reading(file):
            batch = next(batches, None)
        if batch is None:
            return
        batch = batch.rename_columns([also.get(name, name) for name in batch.schema.names])
        size += batch.nbytes
        if size > unpacked(limits):
            raise RolloutError(too_much(file, limits))
        yield batch, unused


def _labels_in(metadata: Any) -> list[str]:
    """Columns of ours with one text per row. Arrow cannot read those inside lists so, where there are several pages."""
    columns = [metadata.schema.column(index) for index in range(len(metadata.schema))]
    return [column.path for column in columns if column.path in FIELDS and column.physical_type == "BYTE_ARRAY"]


@contextmanager
def reading(file: str) -> Iterator[None]:
    """What pyarrow finds wrong, in our words; its own speak of buffers and pages."""
    import pyarrow as pa

    try:
        yield
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, UnicodeError):
        says = "this Parquet file cannot be read; it may be cut short, so copy or write it again"
        raise RolloutError(f"{file}: {says}.") from None


def _check_size(file: str, parquet: Any, limits: Limits) -> int:
    """Refuse before unpacking what would not fit. Returns how many rows to read at a time."""
    metadata = parquet.metadata
    if metadata.num_rows > MAX_SEQUENCES:
        raise RolloutError(f"{file}: more than {MAX_SEQUENCES:,} sequences; split the file into smaller ones.")
    size = values = 0
    for group in range(metadata.num_row_groups):
        longest = 0
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            if chunk.path_in_schema.split(".")[0] in FIELDS | ALSO:
                size += max(chunk.total_uncompressed_size, 0)
                longest = max(longest, chunk.num_values)
        values += longest
    if size > unpacked(limits) or values > limits.tokens + metadata.num_rows:  # an empty list is a value too
        raise RolloutError(too_much(file, limits))
    rows: int = _BATCH * metadata.num_rows // max(values, 1)
    return min(max(1, rows), 1 << 16)


def unpacked(limits: Limits) -> int:
    """Bytes of Arrow arrays: three to six columns of 8 bytes per token, and the texts."""
    return 200 * limits.tokens


def too_much(file: str, limits: Limits) -> str:
    size = f"{limits.tokens:,} tokens or {unpacked(limits) / 1e9:,.0f} GB"
    return f"{file}: unpacked it holds more than {size}; split it into smaller files."


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
    number = inner is not None and (t.is_floating(inner) or t.is_integer(inner) or t.is_null(inner))
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
    """One entry per row: a Python scalar, a list of texts, or a float64 array with NaN for null."""
    import pyarrow.compute as pc
    import pyarrow.types as t

    field = FIELDS[name]
    if not field.per_token or t.is_null(column.type):
        return listed(column)
    lengths = pc.list_value_length(column).to_pylist()
    flat = column.flatten()  # offsets and null rows are taken care of
    values: Any
    if field.kind == "texts":
        codes, texts = encoded(flat)
        values = [None if code < 0 else texts[code] for code in codes.tolist()]  # equal texts are one object
    else:
        values = array(flat, np.float64)
    out: list[Any] = []
    start = 0
    for length in lengths:
        out.append(None if length is None else values[start : start + length])
        start += length or 0
    return out
