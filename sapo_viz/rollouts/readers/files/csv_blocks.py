"""CSV in whole columns, read by pyarrow with the type of every column given, so that nothing is guessed.

pyarrow forgives what the standard library's strict reader refuses (a quote in the middle of a cell, one that
is never closed), so quotes are looked at first; in doubt the file is read row by row, as it is on any error.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from sapo_viz.rollouts.columns import Block, Columns, NotPlain
from sapo_viz.rollouts.csv_text import OURS
from sapo_viz.rollouts.readers.files.csv_file import BY_COLUMN, check_header
from sapo_viz.rollouts.readers.files.whole import (
    checked_finite,
    checked_ids,
    checked_logprobs,
    checked_mask,
    checked_numbers,
    checked_steps,
    plain,
)

_LOOK = 1 << 22  # bytes at a time when looking at quotes
_QUOTE, _COMMA, _LF, _CR = b'",\n\r'


def blocks(file: str, data: bytes, columns: Columns) -> Iterator[Block]:
    """The whole file as one block, sequences in the order of their first row.

    Raises:
        NotPlain: something that the row-by-row reader has to look at.
    """
    header, start = _header(data)
    check_header(file, header)
    plain(not set(header) >= OURS)  # a table of this app's, whose texts have to be restored
    columns.note_unused(name for name in header if name not in BY_COLUMN)
    _check_quotes(data, start)
    table = _table(data, start, header)
    plain(len(table["sequence"]) > 0)
    yield block(table, columns)


def _header(data: bytes) -> tuple[list[str], int]:
    """The names in the first line, and where the second begins."""
    end = data.find(b"\n", 0, 1 << 16)
    line = data[: max(end, 0)]
    plain(end > 0 and b'"' not in line and b"\r" not in line.removesuffix(b"\r"))
    try:
        return [name.strip() for name in next(csv.reader(io.StringIO(line.decode("utf-8").rstrip("\r"))))], end + 1
    except (UnicodeDecodeError, csv.Error, StopIteration):
        raise NotPlain from None


def _check_quotes(data: bytes, start: int) -> None:
    """Every cell with quotes begins and ends with one, and those within stand doubled; else NotPlain."""
    if data.find(b'"', start) < 0:
        return
    opened = 0  # quotes so far, odd inside a quoted cell
    for at in range(start, len(data), _LOOK):
        places = np.flatnonzero(np.frombuffer(data, np.uint8, min(_LOOK, len(data) - at), at) == _QUOTE) + at
        opens = (np.arange(len(places)) + opened) % 2 == 0
        opened += len(places)
        whole = np.frombuffer(data, np.uint8)
        before = whole[places[opens] - 1]  # there is a header before the first row
        after_places = places[~opens] + 1
        after = whole[after_places[after_places < len(data)]]
        plain(np.isin(before, (_QUOTE, _COMMA, _LF)).all())
        plain(np.isin(after, (_QUOTE, _COMMA, _LF, _CR)).all())
    plain(opened % 2 == 0)


def _table(data: bytes, start: int, header: list[str]) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.csv

    text = pa.dictionary(pa.int32(), pa.string())
    types = {}
    for name, field in BY_COLUMN.items():
        types[name] = pa.float64() if field.kind in ("numbers", "flags", "ids") else text
    places = [str(i) for i in range(len(header))]  # two unknown columns may have one name
    known = {place: name for place, name in zip(places, header, strict=True) if name in BY_COLUMN}
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(pa.py_buffer(data).slice(start)),
            read_options=pyarrow.csv.ReadOptions(column_names=places, block_size=1 << 23),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=data.find(b'"', start) >= 0),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={place: types[name] for place, name in known.items()},
                include_columns=list(known),
                null_values=[""],
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowException, OSError, UnicodeError):
        raise NotPlain from None
    return {name: table.column(place) for place, name in known.items()}


def block(table: dict[str, Any], columns: Columns) -> Block:
    """Token rows as one block. Columns of text are chunked dictionaries without null, "" where there is none; those of
    numbers float64, null where there is none."""
    names, order, lengths = _grouped(table["sequence"])
    count, size = len(names), int(lengths.sum())
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))

    def in_order(values: np.ndarray) -> np.ndarray:
        return values if order is None else values[order]

    def numbers(column: str) -> tuple[np.ndarray, np.ndarray] | None:
        """([K] with NaN for an empty cell, [N] which sequences have any); None where no cell is filled."""
        if column not in table:
            return None
        values = in_order(table[column].to_numpy())
        filled = in_order(table[column].is_valid().to_numpy()) if table[column].null_count else np.ones(size, bool)
        there = np.logical_or.reduceat(filled, starts)
        return (values, there) if there.any() else None

    flags = numbers("mask")
    mask = None
    if flags is not None:
        values = np.where(np.repeat(flags[1], lengths), flags[0], 1.0)
        mask = checked_mask(values)
    found = {name: numbers(name) for name in ("logprob", "old_logprob", "token_id", "advantage")}
    new, old = found["logprob"], found["old_logprob"]
    if new is None or old is None or not (new[1].all() and old[1].all()):
        raise NotPlain
    ids = None
    if found["token_id"] is not None:
        values, there = found["token_id"]
        ids = checked_ids(np.where(np.repeat(there, lengths), values, 0.0))
        ids[np.repeat(~there, lengths)] = -1
    advantages, has = np.zeros(size), np.zeros(count, bool)
    if found["advantage"] is not None:
        values, has = found["advantage"]
        where = np.repeat(has, lengths)
        checked_finite(values, where if mask is None else where & mask)
        advantages = np.where(np.isfinite(values) & where, values, 0.0)

    slopes = None
    if (rows := numbers("loss_gradient")) is not None:
        where = np.repeat(rows[1], lengths)
        slopes = checked_finite(rows[0], where if mask is None else where & mask)

    def optional(column: str) -> np.ndarray | None:
        """[K] log-probs that some sequences may lack, NaN there."""
        rows = numbers(column)
        if rows is None:
            return None
        where = np.repeat(rows[1], lengths)
        return checked_logprobs(rows[0], where if mask is None else where & mask, columns.counts)

    def label(column: str) -> list[str | None]:
        """[N] the text that all rows of a sequence have; None where it is empty."""
        if column not in table:
            return [None] * count
        cells, texts = _encoded(table[column])
        cells = in_order(cells)
        first = cells[starts]
        plain((cells == np.repeat(first, lengths)).all())
        return [texts[code] or None for code in first.tolist()]

    tokens, texts = _encoded(table["token"])
    return Block(
        lengths=lengths,
        codes=in_order(columns.vocabulary.encode(texts)[tokens]),
        logprobs=checked_logprobs(new[0], mask, columns.counts),
        old_logprobs=checked_logprobs(old[0], mask, columns.counts),
        mask=mask,
        advantages=advantages,
        has_advantage=has,
        token_ids=ids,
        sampler_logprobs=optional("sampler_logprob"),
        ref_logprobs=optional("ref_logprob"),
        loss_gradients=slopes,
        ids=names,
        prompts=[None] * count,
        rewards=checked_numbers([_number(text) for text in label("reward")]),
        groups=label("group"),
        steps=checked_steps([_number(text) for text in label("step")]),
        microbatches=[None] * count,
        losses=[None] * count,
    )


def _grouped(column: Any) -> tuple[list[str], np.ndarray | None, np.ndarray]:
    """Names in the order of their first row; the order that brings their rows together (None: they are); lengths."""
    codes, texts = _encoded(column)
    plain(all(text.strip() for text in texts))
    changes = np.flatnonzero(np.diff(codes)) + 1
    starts = np.concatenate(([0], changes))
    runs = codes[starts]
    seen, first = np.unique(runs, return_index=True)
    by_first = seen[np.argsort(first)]
    names = [texts[code] for code in by_first.tolist()]
    if len(seen) == len(runs):
        return names, None, np.diff(np.append(starts, len(codes)))
    rank = np.empty(len(texts), np.int64)
    rank[by_first] = np.arange(len(by_first))
    ranks = rank[codes]
    return names, np.argsort(ranks, kind="stable"), np.bincount(ranks)


def _encoded(column: Any) -> tuple[np.ndarray, list[str]]:
    """A chunked dictionary column as [K] codes into one list of distinct texts."""
    column = column.unify_dictionaries()
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in column.chunks])
    return codes, column.chunk(0).dictionary.to_pylist()


def _number(text: str | None) -> float | None:
    text = (text or "").strip()
    if not text:
        return None
    plain("_" not in text)
    try:
        return float(text)
    except ValueError:
        raise NotPlain from None
