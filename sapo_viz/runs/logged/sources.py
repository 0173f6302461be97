"""Logs that training writes anyway, followed from where one was: TensorBoard, trackio, verl's file, trainer_state.json.

Each source is asked again and again for (step, the framework's own names and numbers); what is half written is left for
the next time. A log may be a stranger's: an answer has an end, after which the source is `behind` and is asked on, and
what no log has (a line or a record over 1 MB, a database whose table has no end) is passed over or refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from sapo_viz.errors import RunError
from sapo_viz.runs.folder.reading import LONGEST, NotReadable, line_object

LogRow = tuple[int, dict[str, Any]]
_MOST = 1 << 26  # bytes of one record, or of a whole state: more is none
_MOST_OBJECTS = 400_000  # of a whole state: one a step, and some more
_MOST_VALUES = 4_000_000
_AT_ONCE = 1 << 24  # bytes of an answer,
_ROWS = 20_000  # and its lines, records or rows
_SECONDS = 2.0  # that a database may take for an answer
_TAGS = 10_000  # of a step in an event file


class LogSource(Protocol):
    """`news` gives what came since it was asked last, in the log's order; there is more of it where it is `behind`."""

    title: str
    behind: bool

    def news(self) -> Iterator[LogRow]: ...


def open_log(path: Path, run: str = "") -> LogSource:
    """The log at `path`: a file, or a folder that holds one.

    Raises:
        RunError: there is none that is known.
    """
    if path.is_dir():
        found = [
            *path.glob("*tfevents*"),
            *path.glob("trainer_state.json"),
            *path.glob("checkpoint-*/trainer_state.json"),
        ]
        if not found:
            raise RunError(f"{path}: no TensorBoard events and no trainer_state.json are in this folder; name the log.")
        path = max(found, key=lambda file: file.stat().st_mtime)
    if not path.is_file():
        raise RunError(f"{path}: there is no such file; name a log that training has begun to write.")
    if "tfevents" in path.name:
        return EventRecords(path)
    if path.name == "trainer_state.json":
        return TrainerState(path)
    if path.suffix == ".db":
        return Trackio(path, run)
    if path.suffix == ".jsonl":
        return StepLines(path)
    raise RunError(
        f"{path}: this is no log that can be followed; it takes TensorBoard's …tfevents…, trackio's .db, "
        "verl's file log (.jsonl) or trainer_state.json."
    )


class StepLines:
    """A line of JSON a step: {"step": …, "data": {…}} of verl's file logger, ms-swift's logging.jsonl."""

    title = "a file of lines"

    def __init__(self, path: Path) -> None:
        self.path, self._offset, self.behind = path, 0, False
        self._within = False  # a line that is too long, and passed over

    def news(self) -> Iterator[LogRow]:
        self.behind = False
        end = self._offset + _AT_ONCE
        with open(self.path, "rb") as file:
            file.seek(self._offset)
            for _ in range(_ROWS):
                line = file.readline(LONGEST + 1)
                whole = line.endswith(b"\n")
                if not whole and len(line) <= LONGEST:
                    return
                self._offset += len(line)
                passed, self._within = self._within or not whole, not whole
                try:
                    value = {} if passed else line_object(line)
                except NotReadable:
                    value = {}
                step = _step_of(value)
                if step is not None:
                    data = value.get("data")
                    yield step, data if isinstance(data, dict) else value
                if self._offset >= end:
                    break
        self.behind = True


def _step_of(line: dict[str, Any]) -> int | None:
    """ms-swift writes it beside how many there will be: "5/100"."""
    step = line.get("step")
    if step is None:
        first = str(line.get("global_step/max_steps", "")).partition("/")[0]
        return int(first) if first.isascii() and first.isdecimal() and len(first) < 16 else None
    return step if type(step) is int else None


class TrainerState:
    """transformers' and TRL's trainer_state.json: written as a whole with each checkpoint."""

    title = "trainer_state.json"

    def __init__(self, path: Path) -> None:
        self.path, self._seen, self._last, self.behind = path, (0, 0), -1, False

    def news(self) -> Iterator[LogRow]:
        state = self.path.stat()
        if (state.st_mtime_ns, state.st_size) == self._seen or state.st_size > _MOST:
            return
        data = self.path.read_bytes()
        if data.count(b"[") + data.count(b"{") > _MOST_OBJECTS or data.count(b",") > _MOST_VALUES:
            raise RunError(f"{self.path}: it holds far more than a state of a training does.")
        try:
            history = json.loads(data).get("log_history")
        except (ValueError, AttributeError, RecursionError):  # it is being written
            return
        self._seen = (state.st_mtime_ns, state.st_size)
        for entry in history if isinstance(history, list) else ():
            if isinstance(entry, dict) and type(entry.get("step")) is int and entry["step"] > self._last:
                if "train_runtime" in entry:  # the summary of all of it, at the last step again
                    continue
                self._last = entry["step"]
                yield entry["step"], entry


class EventRecords:
    """TensorBoard's event file: length, checksum, message, checksum; a step's tags may be in many records."""

    title = "TensorBoard"

    def __init__(self, path: Path) -> None:
        self.path, self._offset, self.behind = path, 0, False
        self._open: LogRow | None = None  # the last step, whose tags may still come

    def news(self) -> Iterator[LogRow]:
        from tensorboardX.proto.event_pb2 import Event

        self.behind = False
        with open(self.path, "rb") as file:
            size, end = os.fstat(file.fileno()).st_size, self._offset + _AT_ONCE
            for _ in range(_ROWS):
                file.seek(self._offset)
                head = file.read(12)
                length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else 0
                if length > _MOST:
                    raise RunError(f"{self.path}: a record of {length:,} bytes is none of TensorBoard's.")
                if len(head) < 12 or self._offset + 16 + length > size:
                    return
                self._offset += 16 + length
                body = file.read(length) if length <= LONGEST else b""  # a picture or a sound; numbers are short
                try:
                    event = Event.FromString(body)
                except Exception as error:
                    raise RunError(f"{self.path}: a record is none of TensorBoard's ({error}).") from None
                values = {value.tag: _scalar(value) for value in event.summary.value}
                if values and self._open is not None and self._open[0] == event.step:
                    if len(self._open[1]) < _TAGS:
                        self._open[1].update(values)
                elif values:
                    before, self._open = self._open, (int(event.step), values)
                    if before is not None:
                        yield before
                if self._offset >= end:
                    break
        self.behind = True

    def last(self) -> LogRow | None:
        """The step that no later one has closed yet."""
        row, self._open = self._open, None
        return row


def _scalar(value: Any) -> Any:
    """A plain number, also where newer writers put it into a tensor; None for pictures and the like."""
    if value.WhichOneof("value") == "simple_value":
        return value.simple_value
    if value.WhichOneof("value") == "tensor":
        tensor = value.tensor
        if tensor.float_val:
            return tensor.float_val[0]
        if tensor.dtype == 1 and len(tensor.tensor_content) == 4:
            return struct.unpack("<f", tensor.tensor_content)[0]
    return None


class Trackio:
    """trackio's SQLite database, opened to be read alone; one of its runs, the newest where none is named."""

    title = "trackio"

    def __init__(self, path: Path, run: str = "") -> None:
        self.path, self._id, self.behind = path, 0, False
        rows = self._ask("select run_name from metrics group by run_name order by max(id) desc")
        names = [str(name) for (name,) in reversed(rows)]
        if not names or (run and run not in names):
            has = f"it has {', '.join(names[:8])}" if names else "it has none yet"
            raise RunError(f"{path}: there is no run {run!r} in this trackio database; {has}.")
        self.run = run or names[-1]

    def news(self) -> Iterator[LogRow]:
        self.behind = False
        asked = "select id, step, metrics from metrics where run_name = ? and id > ? order by id"
        for number, step, text in self._ask(asked, (self.run, self._id)):
            if type(number) is not int or number <= self._id:
                raise RunError(f"{self.path}: this is no database of trackio's, whose rows have numbers.")
            self._id = number
            with contextlib.suppress(NotReadable):
                if type(step) is int and isinstance(text, str):
                    yield step, line_object(text.encode("utf-8", "replace"))

    def _ask(self, question: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        taken = 0
        try:
            connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?{self._how()}", uri=True, timeout=5)
            try:
                until = time.monotonic() + _SECONDS
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
                connection.set_progress_handler(lambda: time.monotonic() > until, 10_000)
                connection.set_authorizer(_of_the_table)
                for row in connection.execute(question, values):
                    rows.append(row)
                    taken += sum(len(value) for value in row if isinstance(value, (str, bytes)))
                    self.behind = len(rows) >= _ROWS or taken >= _AT_ONCE
                    if self.behind:
                        break
                return rows
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise RunError(f"{self.path}: this is no database of trackio's that can be read ({error}).") from None

    def _how(self) -> str:
        """Without a file beside it nobody writes it now: then SQLite looks for none and makes none either."""
        beside = [self.path.with_name(self.path.name + ending) for ending in ("-wal", "-shm", "-journal")]
        there = [path for path in beside if os.path.lexists(path)]
        for path in there:
            if path.is_symlink() or not path.is_file():  # SQLite would wait for a pipe for ever
                raise RunError(f"{path}: it is no regular file; the database beside it is not read.")
        return "mode=ro" if there else "immutable=1"


def _of_the_table(action: int, first: str | None, second: str | None, _database: str | None, view: str | None) -> int:
    """For SQLite, which asks of each part of a question: plain columns of the table and the largest id. What is called
    a table may be a view or have formulas for columns, and one step of a formula can take an hour, uninterrupted."""
    plain = action == sqlite3.SQLITE_SELECT or (action == sqlite3.SQLITE_READ and first == "metrics")
    largest = action == sqlite3.SQLITE_FUNCTION and second == "max"
    return sqlite3.SQLITE_OK if view is None and (plain or largest) else sqlite3.SQLITE_DENY
