"""The rows of a framework's Parquet file as plain dicts, and a cheap look at its column names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.formats.base import Item
from sapo_viz.rollouts.schema import MAX_TOKENS

_PLAIN = 1 << 26  # bytes of a file of which 256 rows at a time are a few megabytes


@dataclass(frozen=True)
class Unread:
    """Stands where a column of lists, objects or bytes that is no conversation has a value."""

    kind: str

    def __repr__(self) -> str:
        return f"of the type {self.kind}"


def items(file: str, data: bytes, whole: bool = False) -> Iterator[Item]:
    """The rows of a Parquet file; of the columns of lists and objects only conversations are read, or all (`whole`).

    Then a list of numbers is an array, NaN for null, and everything else is as JSON has it.

    Raises:
        RolloutError: it is cut short, or unpacks to more than 2 GB.
    """
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    broken = f"{file}: this Parquet file cannot be read; it may be cut short, so copy or write it again."
    try:
        parquet = pq.ParquetFile(io.BytesIO(data))
        sizes = sum(parquet.metadata.row_group(i).total_byte_size for i in range(parquet.metadata.num_row_groups))
        if sizes > 2 * 1024**3 or parquet.metadata.num_rows > MAX_TOKENS:
            raise RolloutError(f"{file}: unpacked it holds more than 2 GB; split it into smaller files.")
        schema = parquet.schema_arrow
        known = [f.name for f in schema if _has_text(f.type) or _has_messages(f.type) or (whole and _is_data(f.type))]
        others: dict[str, Any] = {field.name: Unread(str(field.type)) for field in schema if field.name not in known}
        number = 0
        rows = max(1, 256 * _PLAIN // max(sizes, 1)) if whole else 256
        for batch in parquet.iter_batches(batch_size=min(rows, 256), columns=known, use_threads=False):
            columns = {name: _column(batch.column(name)) for name in known}
            for at in range(batch.num_rows):
                number += 1
                yield f"row {number}", {name: column[at] for name, column in columns.items()} | others
    except (pa.ArrowException, OSError, UnicodeError, MemoryError):
        raise RolloutError(broken) from None


def _column(column: Any) -> Any:
    """One value per row."""
    import pyarrow.compute as pc
    import pyarrow.types as t

    kind = column.type
    numbers = (t.is_list(kind) or t.is_large_list(kind)) and (
        t.is_floating(kind.value_type) or t.is_integer(kind.value_type)
    )
    if not numbers or column.null_count:
        return column.to_pylist()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    ends = np.cumsum(pc.list_value_length(column).to_numpy(zero_copy_only=False))
    return np.split(flat, ends[:-1]) if len(ends) else []


def _is_data(kind: Any) -> bool:
    """Whether no image or other bytes stand anywhere in it."""
    return "binary" not in str(kind)


def _has_text(kind: Any) -> bool:
    import pyarrow.types as t

    return not t.is_nested(kind) and not t.is_binary(kind)


def _has_messages(kind: Any) -> bool:
    import pyarrow.types as t

    return (
        (t.is_list(kind) or t.is_large_list(kind))
        and t.is_struct(kind.value_type)
        and any(field.name == "role" for field in kind.value_type)
    )


def columns(data: bytes) -> bytes:
    """The footer of a Parquet file, in which its column names stand."""
    return data[-8 - int.from_bytes(data[-8:-4], "little") :] if data.startswith(b"PAR1") else b""
