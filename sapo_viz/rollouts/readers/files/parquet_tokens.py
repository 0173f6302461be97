"""Parquet with one row per token, in the CSV's columns, as a data frame of tokens is saved.

Two readings, as for CSV: `blocks` takes the columns as they are, `records` goes row by row where there is something to
explain; then rows of one sequence have to follow one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.columns import Block, Columns
from sapo_viz.rollouts.readers.files import csv_blocks
from sapo_viz.rollouts.readers.files.csv_file import BY_COLUMN, NEEDED
from sapo_viz.rollouts.readers.files.parquet_file import reading, too_much, unpacked
from sapo_viz.rollouts.readers.files.token_rows import put_together
from sapo_viz.rollouts.readers.files.whole import plain
from sapo_viz.rollouts.record import Record
from sapo_viz.rollouts.schema import Limits

_ROWS = 1 << 16  # at a time, as Python objects


def are_rows(file: str, source: BinaryIO) -> bool:
    """Whether its columns are those of tokens."""
    import pyarrow.parquet as pq

    with reading(file):
        return set(NEEDED) <= set(pq.ParquetFile(source).schema_arrow.names)


def records(file: str, source: BinaryIO, limits: Limits) -> Iterator[Record]:
    """The sequences; their place is their first row's."""
    parquet, known = _opened(file, source, limits)
    unused = {name: True for name in parquet.schema_arrow.names if name not in BY_COLUMN}

    def rows() -> Iterator[Record]:
        number = 0
        batches = parquet.iter_batches(batch_size=_ROWS, columns=known, use_threads=False)
        while True:
            with reading(file):
                batch = next(batches, None)
                found = [] if batch is None else batch.to_pylist()
            if batch is None:
                return
            for row in found:
                number += 1
                yield Record(file, f"row {number}", row | unused)

    return put_together(rows())


def blocks(file: str, source: BinaryIO, limits: Limits, columns: Columns) -> Iterator[Block]:
    """The whole file as one block.

    Raises:
        NotPlain: something that `records` has to look at.
    """
    parquet, known = _opened(file, source, limits)
    columns.note_unused(name for name in parquet.schema_arrow.names if name not in BY_COLUMN)
    with reading(file):
        table = parquet.read(columns=known)
    plain(table.num_rows > 0)
    yield csv_blocks.block({name: _column(name, table.column(name)) for name in known}, columns)


def _opened(file: str, source: BinaryIO, limits: Limits) -> tuple[Any, list[str]]:
    """The file, its texts to be read as codes, and which of the columns are there."""
    import pyarrow.parquet as pq

    with reading(file):
        metadata = pq.ParquetFile(source).metadata
        paths = [metadata.schema.column(index) for index in range(len(metadata.schema))]
        texts = [column.path for column in paths if column.physical_type == "BYTE_ARRAY" and column.path in BY_COLUMN]
        parquet = pq.ParquetFile(source, metadata=metadata, read_dictionary=texts)
        names = parquet.schema_arrow.names
    known = [name for name in dict.fromkeys(names) if name in BY_COLUMN]
    twice = next((name for name in known if names.count(name) > 1), None)
    if twice is not None:
        raise RolloutError(f"{file}: the column {twice} appears twice; keep one of them.")
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    chunks = (group.column(column) for group in groups for column in range(metadata.num_columns))
    size = sum(max(chunk.total_uncompressed_size, 0) for chunk in chunks if chunk.path_in_schema in BY_COLUMN)
    if metadata.num_rows > limits.tokens or size > unpacked(limits):
        raise RolloutError(too_much(file, limits))
    return parquet, known


def _column(name: str, column: Any) -> Any:
    """As `csv_blocks.block` takes it."""
    import pyarrow as pa
    import pyarrow.types as t

    kind = column.type.value_type if t.is_dictionary(column.type) else column.type
    if BY_COLUMN[name].kind in ("numbers", "flags", "ids"):
        plain(t.is_floating(kind) or t.is_integer(kind) or t.is_boolean(kind))
        return (column.cast(pa.int8()) if t.is_boolean(kind) else column).cast(pa.float64(), safe=False)
    if t.is_floating(kind):
        plain(BY_COLUMN[name].kind == "number")
        column = column.cast(pa.float64())
    plain(not (column.null_count and name in NEEDED))
    if not t.is_dictionary(column.type):
        column = column.cast(pa.string())
    if column.null_count:
        column = column.cast(pa.string()).fill_null("")
    return column if t.is_dictionary(column.type) else column.dictionary_encode()
