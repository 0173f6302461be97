"""Read a rollout file of any of the four formats, told apart by what is in it and not by its name.

It may be compressed, in UTF-16, an archive of one run's steps, or end in the middle of a row: that is seen here, once.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.build import building
from sapo_viz.rollouts.columns import Block, Columns, NotPlain
from sapo_viz.rollouts.joined import joined, of_step
from sapo_viz.rollouts.readers.files.csv_file import NEEDED
from sapo_viz.rollouts.readers.files.packed import is_archive, members, unpacked
from sapo_viz.rollouts.readers.files.token_rows import put_together
from sapo_viz.rollouts.readers.formats import tables
from sapo_viz.rollouts.readers.formats.base import Notes
from sapo_viz.rollouts.readers.formats.documents import first_line
from sapo_viz.rollouts.readers.formats.envelopes import frame_rows, rows_in
from sapo_viz.rollouts.readers.formats.pair import FileContents, both_policies
from sapo_viz.rollouts.readers.formats.torch_file import is_torch
from sapo_viz.rollouts.record import Record, shown
from sapo_viz.rollouts.schema import DISK, MAX_DOCUMENT, UPLOAD, Limits, Rollouts
from sapo_viz.rollouts.step_files import step_folders
from sapo_viz.rollouts.steps import Steps, finish

_OURS = frozenset(("tokens", "token_ids", "logprobs", "old_logprobs"))
_NOT_SPACE = re.compile(rb"\S")
_COLUMN_NAME = re.compile(r"[A-Za-z_][\w .:/()\[\]-]{0,60}")
_FORMATS = "JSON, JSONL, CSV or Parquet"
_LONGEST_PATH = 200  # of a file in an archive, its end
# Magic bytes of what people have at hand beside rollouts -> what it is.
_OTHERS = {
    b"\x80\x02": "a Python pickle, which could run code when opened",
    b"\x80\x03": "a Python pickle, which could run code when opened",
    b"\x80\x04": "a Python pickle, which could run code when opened",
    b"\x80\x05": "a Python pickle, which could run code when opened",
    b"\x93NUMPY": "a NumPy array",
    b"ARROW1": "an Arrow file",
    b"SQLite": "a database",
    b"%PDF": "a PDF",
    b"\x89PNG": "an image",
}


def read_rollouts(path: Path | str) -> Rollouts:
    """The sequences of a file on disk.

    Raises:
        RolloutError: it cannot be read, or lacks a policy's log-probs; one sentence with file, place, field, value and
            remedy.
    """
    return both_policies(read_file(path))


def read_file(path: Path | str) -> FileContents:
    """Whatever a file on disk holds, one policy's half and texts without log-probs too.

    Raises:
        RolloutError: it cannot be read.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise RolloutError(f"{path}: this is a folder; give a {_FORMATS} file.")
        _check_bytes(path.name, path.stat().st_size, DISK)
        return parse_file(path.read_bytes(), path.name, DISK)
    except MemoryError:
        raise RolloutError(f"{path}: reading it takes more memory than is available; split it.") from None
    except OSError as error:
        raise RolloutError(f"{path}: it cannot be opened ({error.strerror}); check its name and permissions.") from None


def parse_rollouts(data: bytes, name: str, limits: Limits = UPLOAD) -> Rollouts:
    """The sequences in `data`, as uploaded under `name`, which is used in messages only."""
    return both_policies(parse_file(data, name, limits))


def parse_file(data: bytes, name: str, limits: Limits = UPLOAD) -> FileContents:
    """Whatever `data` holds, one policy's half and texts without log-probs too."""
    return finish(parsing(data, name, limits))


def parsing(data: bytes, name: str, limits: Limits = UPLOAD) -> Steps[FileContents]:
    """`parse_file` in steps."""
    _check_bytes(name, len(data), limits)
    data, told = unpacked(name, data, limits.bytes)
    if is_archive(data) and not is_torch(data):
        contents = yield from _archive(name, data, limits)
    else:
        contents = yield from _one(name, data, limits)
    return replace(contents, notes=(*contents.notes, *told)) if told else contents


def _archive(name: str, data: bytes, limits: Limits) -> Steps[FileContents]:
    """The one file in it, or the steps of one run, joined."""
    files = members(name, data, limits.bytes)
    del data
    if len(files) == 1:
        return (yield from _one(_inside_of(name, files[0].path), files[0].data, limits))
    by_path = {file.path: file.data for file in files}
    runs = step_folders(by_path)
    if len(runs) != 1:
        some = ", ".join(shown(path, 40).strip("'\"") for path in list(by_path)[:4])
        raise RolloutError(
            f"{name}: this archive holds {len(files):,} files ({some}{' …' if len(files) > 4 else ''}) that are not "
            "the steps of one run; unpack it and choose one of them."
        )
    parts = []
    for step, there in runs[0].steps.items():
        for path in there.files:
            called = _inside_of(name, path)
            content, told = unpacked(called, by_path.pop(path), limits.bytes)
            part = both_policies((yield from _one(called, content, limits)))
            parts.append(of_step(replace(part, notes=(*part.notes, *told)), step))
    return joined(name, parts, runs[0].notes)


def _inside_of(name: str, path: str) -> str:
    """What a file of an archive is called in messages: its path may have 60,000 signs, and a terminal's commands."""
    return f"{name}/" + "".join(sign if sign.isprintable() else "�" for sign in path[-_LONGEST_PATH:])


def _one(name: str, data: bytes, limits: Limits) -> Steps[FileContents]:
    """A file that is not packed in anything."""
    from sapo_viz.rollouts.readers.formats import reading_known

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
    start = _first_of(data)
    head = data[start : start + 1]
    after_failed = head not in (b"{", b"[") and first_line(data) is not None
    first = data[:4096].rstrip(b"\x00")  # a crash may leave zeros behind the last line
    if not after_failed and (b"\x00" in first or data.startswith(b"\x00")):
        raise RolloutError(f"{name}: this is binary and not {_FORMATS}; save the sequences in one of these.")
    if not head:
        raise RolloutError(f"{name}: the file is empty; give at least one sequence.")
    notes = Notes()
    if after_failed or (head == b"{" and _one_object_a_line(data)):
        return (yield from _with_notes(_jsonl(name, data, limits, notes), notes))
    _check_utf8(name, data)
    if head in b"[{":
        from sapo_viz.rollouts.readers.files import json_file

        if len(data) > MAX_DOCUMENT:
            limit = MAX_DOCUMENT // 1024**2
            raise RolloutError(f"{name}: a JSON document of more than {limit} MB; write JSONL, one sequence per line.")
        text = data.decode()
        del data
        rows = _ours(put_together(_inside(json_file.records(name, text, notes.skip))), notes)
        return (yield from _with_notes(building(name, rows, limits), notes))
    if head in b"\"'-0123456789tfnN" and b"," not in data[:4096].split(b"\n", 1)[0]:
        # A lone JSON value or one column of something: the CSV reader's message would not help.
        raise RolloutError(
            f"{name}: this is not {_FORMATS} with sequences in it; the schema says which fields they have."
        )
    _check_is_table(name, data)
    return (yield from _with_notes(_csv(name, data, limits, notes), notes))


def _skip_what_is_no_json(notes: Notes, error: RolloutError) -> None:
    """A line that a killed process left is nobody's fault; a wrong value is to be mended where it is written."""
    from sapo_viz.rollouts.readers.files.json_file import NotJson

    if not isinstance(error, NotJson):
        raise error
    notes.skip(error)


def _left(records: Iterator[Record], notes: Notes) -> Iterator[Record]:
    """All of them; where none is there, what is wrong with the first line is wrong with the file."""
    some = False
    for record in records:
        some = True
        yield record
    if not some:
        notes.nothing_left()


def _ours(records: Iterator[Record], notes: Notes) -> Iterator[Record]:
    """The records that have a field of ours: an error that stands where a sequence would be is left out and counted.

    Where none has, the first is said to be a sequence without its fields, or nearly what a framework writes.
    """
    from sapo_viz.rollouts.readers.formats import check_alike

    foreign: Record | None = None
    some = False
    for record in records:
        if record.values.keys() & _OURS:
            some = True
            yield record
            continue
        foreign = foreign or record
        has = ", ".join(shown(key, 24).strip("'\"") for key in list(record.values)[:12]) or "none"
        notes.skip(RolloutError(f"{record.file}, {record.place}: this is no sequence (fields found: {has})."))
    if foreign is not None and not some:
        check_alike(f"{foreign.file}, {foreign.place}", list(foreign.values))
        yield foreign


def _inside(records: Iterator[Record]) -> Iterator[Record]:
    """The records; of one that holds sequences in a list, under names or as the columns of a table, these."""
    for record in records:
        items = frame_rows(tables.unfolded([(record.place, record.values)]))
        for place, values in rows_in(items, _is_sequence):
            yield record if values is record.values else Record(record.file, place, values)


def _is_sequence(values: Mapping[str, Any]) -> bool:
    """Whether it is one, well made or not; a batch of them has lists of lists."""
    known = {"old_logprobs", "tokens", "token_ids"} & values.keys()
    nested = [isinstance(values[name], list) and values[name] and isinstance(values[name][0], list) for name in known]
    return (bool(known) and not any(nested)) or values.keys() >= set(NEEDED)


def _with_notes(steps: Steps[Rollouts], notes: Notes) -> Steps[Rollouts]:
    rollouts = yield from steps
    return replace(rollouts, notes=(*rollouts.notes, *notes.sentences()))


def _check_is_table(name: str, data: bytes) -> None:
    """Prose and Markdown are no CSV that lacks columns: what would be its header is told apart from a sentence."""
    from sapo_viz.rollouts.readers.files.csv_file import BY_COLUMN

    first, _, rest = data[:65536].decode("utf-8", "replace").lstrip().partition("\n")
    cells = [cell.strip().strip('"') for cell in first.split(",")]
    known = any(cell in BY_COLUMN for cell in cells)
    second = rest.split("\n", 1)[0]
    like = (
        len(cells) > 1 and all(_COLUMN_NAME.fullmatch(cell) for cell in cells) and second.count(",") >= len(cells) - 1
    )
    if not known and not like:
        raise RolloutError(
            f"{name}: this is text (it begins {shown(first)}) and not {_FORMATS} with sequences in it; the schema says "
            "which fields they have."
        )


def _csv(name: str, data: bytes, limits: Limits, notes: Notes) -> Steps[Rollouts]:
    from sapo_viz.rollouts.readers.files import csv_blocks, csv_file
    from sapo_viz.rollouts.readers.formats import csv_rows

    yield None
    if {"logprobs", "old_logprobs"} <= set(csv_rows.header(data)):
        return (yield from building(name, csv_rows.sequences(name, data), limits, data.count(b"\n")))
    return (
        yield from _in_blocks(
            name,
            limits,
            lambda columns: csv_blocks.blocks(name, data, columns),
            lambda: csv_file.records(name, data, notes.skip),
        )
    )


def _jsonl(name: str, data: bytes, limits: Limits, notes: Notes) -> Steps[Rollouts]:
    from sapo_viz.rollouts.readers.files import jsonl_blocks, jsonl_file

    def records() -> Iterator[Record]:
        found = jsonl_file.records(name, data, lambda error: _skip_what_is_no_json(notes, error))
        return _ours(put_together(_inside(_left(found, notes))), notes)

    yield None
    lines = data.count(b"\n")
    return (yield from _in_blocks(name, limits, lambda columns: jsonl_blocks.blocks(data, columns), records, lines))


def _parquet(name: str, data: bytes, limits: Limits) -> Steps[Rollouts]:
    from sapo_viz.rollouts.readers.files import parquet_file, parquet_tokens

    if parquet_tokens.are_rows(name, io.BytesIO(data)):
        return (
            yield from _in_blocks(
                name,
                limits,
                lambda columns: parquet_tokens.blocks(name, io.BytesIO(data), limits, columns),
                lambda: parquet_tokens.records(name, io.BytesIO(data), limits),
            )
        )
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
    try:
        return (yield from _columnwise(name, limits, blocks, expected))
    except NotPlain:
        pass  # only from here on is the memory free that the columns took
    return (yield from building(name, records(), limits, expected))


def _columnwise(
    name: str, limits: Limits, blocks: Callable[[Columns], Iterator[Block]], expected: int | None
) -> Steps[Rollouts]:
    columns = Columns(name, limits)
    done = 0
    for block in blocks(columns):
        columns.add_block(block)
        done += len(block.lengths)
        yield min(done / expected, 1.0) if expected else None
    return columns.finish()


def _check_bytes(name: str, size: int, limits: Limits) -> None:
    if size > limits.bytes:
        limit = limits.bytes // 1024**2
        raise RolloutError(f"{name}: the file has {size / 1024**2:,.0f} MB; the limit is {limit:,} MB, so split it.")
    if size == 0:
        raise RolloutError(f"{name}: the file is empty; give at least one sequence.")


def _one_object_a_line(data: bytes) -> bool:
    """Whether a text that begins with { is JSONL, and not one JSON object written over several lines."""
    start = _first_of(data)
    end = data.find(b"\n", start)
    if end < 0 or data[start:end].rstrip().endswith(b"}"):
        return True
    second = _first_of(data, end)
    return second == len(data) or data.startswith(b"{", second)


def _first_of(data: bytes, start: int = 0) -> int:
    """Where the first byte that is no space stands, or the end. Nothing is copied: the file may be large."""
    found = _NOT_SPACE.search(data, start)
    return found.start() if found else len(data)


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
