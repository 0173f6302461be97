"""Read a rollout file of any of the four formats, told apart by what is in it and not by its name."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.build import building
from sapo_viz.rollouts.columns import Block, Columns, NotPlain
from sapo_viz.rollouts.record import Record
from sapo_viz.rollouts.schema import DISK, MAX_DOCUMENT, UPLOAD, Limits, Rollouts
from sapo_viz.rollouts.steps import Steps, finish

_FORMATS = "JSON, JSONL, CSV or Parquet"
# Magic bytes of what people have at hand beside rollouts -> what it is.
_OTHERS = {
    b"\x1f\x8b": "gzip, which has to be unpacked first",
    b"\x28\xb5\x2f\xfd": "zstd, which has to be unpacked first",
    b"BZh": "bzip2, which has to be unpacked first",
    b"\xfd7zXZ": "xz, which has to be unpacked first",
    b"PK\x03\x04": "a zip archive (as .pt, .npz and .xlsx are)",
    b"\x80\x02": "a Python pickle, which could run code when opened",
    b"\x80\x03": "a Python pickle, which could run code when opened",
    b"\x80\x04": "a Python pickle, which could run code when opened",
    b"\x80\x05": "a Python pickle, which could run code when opened",
    b"\x93NUMPY": "a NumPy array",
    b"ARROW1": "an Arrow file",
    b"SQLite": "a database",
    b"%PDF": "a PDF",
    b"\x89PNG": "an image",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


def read_rollouts(path: Path | str) -> Rollouts:
    """The sequences of a file on disk.

    Raises:
        RolloutError: it cannot be read; one sentence with file, place, field, value and remedy.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise RolloutError(f"{path}: this is a folder; give a {_FORMATS} file.")
        _check_bytes(path.name, path.stat().st_size, DISK)
        data = path.read_bytes()
    except OSError as error:
        raise RolloutError(f"{path}: it cannot be opened ({error.strerror}); check name and rights.") from None
    return parse_rollouts(data, path.name, DISK)


def parse_rollouts(data: bytes, name: str, limits: Limits = UPLOAD) -> Rollouts:
    """The sequences in `data`, as uploaded under `name`, which is used in messages only."""
    return finish(parsing(data, name, limits))


def parsing(data: bytes, name: str, limits: Limits = UPLOAD) -> Steps[Rollouts]:
    """`parse_rollouts` in steps."""
    _check_bytes(name, len(data), limits)
    from sapo_viz.rollouts.formats import reading_known

    known = yield from reading_known(name, data, limits)  # a framework's own file, seen from its content
    if known is not None:
        return known
    if data.startswith(b"PAR1"):
        return (yield from _parquet(name, data, limits))
    for magic, what in _OTHERS.items():
        if data.startswith(magic):
            raise RolloutError(f"{name}: this is {what}; save the sequences as {_FORMATS}.")
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    if b"\x00" in data[:4096]:
        raise RolloutError(f"{name}: this is binary and not {_FORMATS}; save the sequences in one of these.")
    head = data.lstrip()[:1]
    if not head:
        raise RolloutError(f"{name}: the file is empty; give at least one sequence.")
    if head == b"{" and _one_object_a_line(data):
        from sapo_viz.rollouts import jsonl_file

        return (yield from building(name, jsonl_file.records(name, data), limits, data.count(b"\n")))
    _check_utf8(name, data)
    if head in b"[{":
        from sapo_viz.rollouts import json_file

        if len(data) > MAX_DOCUMENT:
            limit = MAX_DOCUMENT // 1024**2
            raise RolloutError(f"{name}: a JSON document of more than {limit} MB; write JSONL, one sequence a line.")
        text = data.decode()
        del data
        return (yield from building(name, json_file.records(name, text), limits))
    if head in b"\"'-0123456789tfnN" and b"," not in data[:4096].split(b"\n", 1)[0]:
        # A lone JSON value or one column of something: the CSV reader's message would not help.
        raise RolloutError(
            f"{name}: this is not {_FORMATS} with sequences in it; the schema says which fields they have."
        )
    return (yield from _csv(name, data, limits))


def _csv(name: str, data: bytes, limits: Limits) -> Steps[Rollouts]:
    from sapo_viz.rollouts import csv_blocks, csv_file

    yield None
    return (
        yield from _in_blocks(
            name,
            limits,
            lambda columns: csv_blocks.blocks(name, data, columns),
            lambda: csv_file.records(name, data),
        )
    )


def _parquet(name: str, data: bytes, limits: Limits) -> Steps[Rollouts]:
    from sapo_viz.rollouts import parquet_file

    return (
        yield from _in_blocks(
            name,
            limits,
            lambda columns: parquet_file.blocks(name, io.BytesIO(data), limits, columns),
            lambda: parquet_file.records(name, io.BytesIO(data), limits),
            parquet_file.count(name, io.BytesIO(data)),
        )
    )


def _in_blocks(
    name: str,
    limits: Limits,
    blocks: Callable[[Columns], Iterator[Block]],
    records: Callable[[], Iterator[Record]],
    expected: int | None = None,
) -> Steps[Rollouts]:
    """Whole columns where all is as usual; else record by record, which accepts the unusual and explains the wrong."""
    columns = Columns(name, limits)
    try:
        done = 0
        for block in blocks(columns):
            columns.add_block(block)
            done += len(block.lengths)
            yield min(done / expected, 1.0) if expected else None
        return columns.finish()
    except NotPlain:
        return (yield from building(name, records(), limits, expected))


def _check_bytes(name: str, size: int, limits: Limits) -> None:
    if size > limits.bytes:
        limit = limits.bytes // 1024**2
        raise RolloutError(f"{name}: the file has {size / 1024**2:,.0f} MB; the limit is {limit:,} MB, so split it.")
    if size == 0:
        raise RolloutError(f"{name}: the file is empty; give at least one sequence.")


def _one_object_a_line(data: bytes) -> bool:
    """Whether a text that begins with { is JSONL, and not one JSON object written over several lines."""
    first, _, rest = data.lstrip().partition(b"\n")
    return first.rstrip().endswith(b"}") or not rest.strip() or rest.lstrip()[:1] == b"{"


def _check_utf8(name: str, data: bytes) -> None:
    """A piece at a time: the whole text would take as much memory again, or four times as much."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    step = 1 << 24
    for at in range(0, len(data), step):
        try:
            decoder.decode(data[at : at + step], at + step >= len(data))
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, at + error.start) + 1
            raise RolloutError(f"{name}, line {line:,}: a byte there is not UTF-8; save the file as UTF-8.") from None
