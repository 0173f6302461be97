"""JSONL whose lines are sequences with the schema's own fields, read some thousand lines at a time with pyarrow.

A line of a few tokens takes a twentieth of what it takes as a record. What is in any way unusual is `NotPlain` here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sapo_viz.rollouts.columns import Block, Columns, NotPlain
from sapo_viz.rollouts.readers.files.arrow_lists import block_of
from sapo_viz.rollouts.readers.files.whole import plain
from sapo_viz.rollouts.schema import FIELDS

_BYTES = 1 << 22  # of text at a time; a longer line is no less quick as a record
_FIELDS = 100  # each is a column, filled or not


def blocks(data: bytes, columns: Columns) -> Iterator[Block]:
    """The sequences, a block of lines at a time.

    Raises:
        NotPlain: something that the reader of records has to look at.
    """
    import pyarrow as pa
    import pyarrow.json

    try:
        batches = pyarrow.json.open_json(
            pa.BufferReader(pa.py_buffer(data)),
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=_BYTES),
            parse_options=pyarrow.json.ParseOptions(explicit_schema=_schema(data), unexpected_field_behavior="error"),
        )
        for batch in batches:
            batch.validate(full=True)  # the texts are UTF-8
            others = [name for name in batch.schema.names if name not in FIELDS]
            columns.note_unused(name for name in others if batch.column(name).null_count < batch.num_rows)
            block = block_of(batch, columns)
            plain(len(block.lengths) == batch.num_rows)  # no sequence is empty
            yield block
    except (pa.ArrowException, OSError, UnicodeError):  # half a character in a field's name too
        raise NotPlain from None


def _schema(data: bytes) -> Any:
    """The fields and their types by the first line: ours, and what else is there for each sequence."""
    import pyarrow as pa

    end = data.find(b"\n")
    plain(0 < end <= _BYTES)
    try:
        first = json.loads(data[:end])
    except (ValueError, RecursionError):
        raise NotPlain from None
    plain(isinstance(first, dict) and bool(first.keys() & {"tokens", "token_ids"}) and len(first) <= _FIELDS)
    scalars = {str: pa.string(), bool: pa.bool_(), int: pa.float64(), float: pa.float64()}
    types: dict[str, Any] = {}
    for name, value in first.items():
        if name not in FIELDS:
            plain(type(value) in scalars)  # objects and lists may be nested deeper than pyarrow survives
            types[name] = scalars[type(value)]
    for name, field in FIELDS.items():
        value = first.get(name)
        match field.kind:
            case "texts":
                types[name] = pa.list_(pa.string())
            case "ids":
                types[name] = pa.list_(pa.int64())
            case "flags":
                flags = isinstance(value, list) and bool in map(type, value[:1])
                types[name] = pa.list_(pa.bool_() if flags else pa.float64())
            case "numbers":
                types[name] = pa.list_(pa.float64())
            case "number" | "integer":
                types[name] = pa.float64()
            case "label":
                types[name] = pa.int64() if isinstance(value, int) else pa.string()
            case "text":
                types[name] = pa.string()
    return pa.schema(types.items())
