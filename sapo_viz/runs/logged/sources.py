"""Logs that training writes anyway, followed from where one was: TensorBoard, trackio, verl's file, trainer_state.json.

Each source is asked again and again for (step, the framework's own names and numbers); what is half written is left for
the next time.
"""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from sapo_viz.errors import RunError

LogRow = tuple[int, dict[str, Any]]
_MOST = 1 << 26  # bytes of one record, or of a whole state: more is none
_CHUNK = 1 << 24


class LogSource(Protocol):
    """`news` gives what came since it was asked last, in the log's order."""

    title: str

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
        self.path, self._offset = path, 0

    def news(self) -> Iterator[LogRow]:
        with open(self.path, "rb") as file:
            file.seek(self._offset)
            while lines := file.readlines(_CHUNK):
                for line in lines:
                    if not line.endswith(b"\n"):
                        return
                    self._offset += len(line)
                    try:
                        value = json.loads(line)
                    except ValueError:
                        continue
                    step = _step_of(value) if isinstance(value, dict) else None
                    if step is not None:
                        data = value.get("data")
                        yield step, data if isinstance(data, dict) else value


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
        self.path, self._seen, self._last = path, (0, 0), -1

    def news(self) -> Iterator[LogRow]:
        state = self.path.stat()
        if (state.st_mtime_ns, state.st_size) == self._seen or state.st_size > _MOST:
            return
        try:
            history = json.loads(self.path.read_bytes()).get("log_history")
        except (ValueError, AttributeError):  # it is being written
            return
        self._seen = (state.st_mtime_ns, state.st_size)
        for entry in history if isinstance(history, list) else ():
            if isinstance(entry, dict) and type(entry.get("step")) is int and entry["step"] > self._last:
                if "train_runtime" in entry:  # the summary of all of it, at the last step again
                    continue
                self._last = entry["step"]
                yield entry["step"], entry


class EventRecords:
    """TensorBoard's event file: length, checksum, message, checksum; a step's tags may lie in many records."""

    title = "TensorBoard"

    def __init__(self, path: Path) -> None:
        self.path, self._offset = path, 0
        self._open: LogRow | None = None  # the last step, whose tags may still come

    def news(self) -> Iterator[LogRow]:
        from tensorboardX.proto.event_pb2 import Event

        with open(self.path, "rb") as file:
            file.seek(self._offset)
            while len(head := file.read(12)) == 12:
                (length,) = struct.unpack("<Q", head[:8])
                if length > _MOST:
                    raise RunError(f"{self.path}: a record of {length:,} bytes is none of TensorBoard's.")
                body = file.read(length + 4)
                if len(body) < length + 4:
                    break
                self._offset += 12 + len(body)
                try:
                    event = Event.FromString(body[:length])
                except Exception as error:
                    raise RunError(f"{self.path}: a record is none of TensorBoard's ({error}).") from None
                values = {value.tag: _scalar(value) for value in event.summary.value}
                if not values:
                    continue
                if self._open is not None and self._open[0] == event.step:
                    self._open[1].update(values)
                    continue
                if self._open is not None:
                    yield self._open
                self._open = (int(event.step), values)

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
        self.path, self._id = path, 0
        rows = self._ask("select run_name from metrics group by run_name order by max(id)")
        names = [str(name) for (name,) in rows]
        if not names or (run and run not in names):
            has = f"it has {', '.join(names[:8])}" if names else "it has none yet"
            raise RunError(f"{path}: there is no run {run!r} in this trackio database; {has}.")
        self.run = run or names[-1]

    def news(self) -> Iterator[LogRow]:
        asked = "select id, step, metrics from metrics where run_name = ? and id > ? order by id"
        for number, step, text in self._ask(asked, (self.run, self._id)):
            self._id = int(number)
            try:
                values = json.loads(text)
            except (ValueError, TypeError):
                continue
            if isinstance(values, dict) and type(step) is int:
                yield step, values

    def _ask(self, question: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
            try:
                return connection.execute(question, values).fetchall()
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise RunError(f"{self.path}: this is no database of trackio's that can be read ({error}).") from None
