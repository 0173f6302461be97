"""The run as TensorBoard reads it: `tensorboard --logdir runs` shows every run, also while it goes.

The file is an image of events.jsonl and nothing else: its bytes follow from the events alone (times are theirs).
So a worker killed in the middle of a record is mended by the next one, which finds how much of the image is
there and appends the rest; no step is lost or doubled, and a reader that follows the file stays in its place.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sapo_viz.runs.events import RunEvent
from sapo_viz.runs.folder.files import part_of, put_in_place
from sapo_viz.runs.folder.reading import open_regular
from sapo_viz.runs.folder.store import RunStore

NAME = "events.out.tfevents.0.sapo-viz"  # TensorBoard knows its files by "tfevents"


class EventFile:
    """The image of one run, brought up to date when made; then one record per step.

    A disk that is full stops no run for this file's sake: what could not be written follows with the next step.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / NAME
        self._behind = True
        self._catch_up()

    def add(self, event: RunEvent) -> None:
        """What the run has just written to its log; only steps leave a record."""
        if self._behind:
            self._catch_up()
        elif event.type == "step":
            self._append(_record(event.to_dict()))

    def _catch_up(self) -> None:
        with contextlib.suppress(OSError):
            events, _offset = RunStore(self._folder.parent).read_events(self._folder.name)
            whole = image(events)
            there = _beginning(self._path, len(whole) + 1)
            if not whole.startswith(there):  # a record that was cut off
                part = part_of(self._path)
                part.write_bytes(whole)
                put_in_place(part, self._path)
            elif len(whole) > len(there):
                self._append(whole[len(there) :])
            self._behind = not whole

    def _append(self, data: bytes) -> None:
        try:
            with open_regular(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT) as file:
                file.write(data)
        except OSError:
            self._behind = True


def _beginning(path: Path, size: int) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(size)
    except FileNotFoundError:
        return b""


def image(events: Iterable[Mapping[str, Any]]) -> bytes:
    """The whole file that belongs to these events; empty if there are none."""
    records: list[bytes] = []
    for event in events:
        records.append((b"" if records else _header(event)) + _record(event))
    return b"".join(records)


def _header(event: Mapping[str, Any]) -> bytes:
    return _framed(wall_time=event["time"], file_version="brain.Event:2")


def _record(event: Mapping[str, Any]) -> bytes:
    if event["type"] != "step":
        return b""
    from tensorboardX.proto.summary_pb2 import Summary

    values = [
        Summary.Value(tag=name, simple_value=float("nan") if value is None else value)
        for name, value in event["metrics"].items()
    ]
    return _framed(wall_time=event["time"], step=event["step"], summary=Summary(value=values))


def _framed(**fields: Any) -> bytes:
    """One record: length, its checksum, the message, its checksum (TFRecord)."""
    from tensorboardX.crc32c import crc32c
    from tensorboardX.proto.event_pb2 import Event

    def masked(data: bytes) -> bytes:
        crc = crc32c(data)
        return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)

    body: bytes = Event(**fields).SerializeToString(deterministic=True)
    length = struct.pack("<Q", len(body))
    return length + masked(length) + body + masked(body)
