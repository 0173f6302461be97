"""JSONL: one JSON object per line, one sequence per object. Empty lines are skipped.

A process that was killed and goes on writes behind its half line, one without line ends writes objects side by side,
and some write one list per line: all of these are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.files import json_file
from sapo_viz.rollouts.record import Record, Skip, shown
from sapo_viz.rollouts.schema import MAX_LINE


def records(file: str, data: bytes, skip: Skip | None = None) -> Iterator[Record]:
    """The sequences of a JSONL file, a line at a time; their place is "line 3".

    With `skip` a line that holds something other than objects, as the last of a file that is still being written, is
    handed to it and left out.
    """
    # Split at \n alone: JSON strings may hold U+2028 and other characters that str.splitlines takes for ends.
    start, number = 0, 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if end - start > MAX_LINE:
            raise RolloutError(
                f"{file}, line {number + 1:,}: it has {(end - start) / 1024**2:,.0f} MB; the limit is "
                f"{MAX_LINE // 1024**2} MB per line, so write each sequence on a line of its own."
            )
        line, start, number = data[start:end], end + 1, number + 1
        if not line.strip():
            continue
        try:
            found = list(_objects(file, line, number))
        except RolloutError as error:
            if skip is None:
                raise
            skip(error)
            continue
        for at, value in enumerate(found, 1):
            yield Record(file, f"line {number}" if len(found) == 1 else f"line {number}, object {at}", value)


def _objects(file: str, line: bytes, number: int) -> Iterator[dict[str, Any]]:
    json_file.check_brackets(file, number, line)
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        list(json_file.values(file, line.decode("utf-8", "replace"), number))  # cut short, that is said first
        raise RolloutError(
            f"{file}, line {number}: byte {error.start + 1:,} is not UTF-8; save the file as UTF-8."
        ) from None
    for value in json_file.values(file, text, number):
        if not isinstance(value, dict):
            kind = json_file.NotJson if value is None else RolloutError  # null: who wrote it had nothing
            raise kind(
                f"{file}, line {number}: it is {shown(value)}; each line of a JSONL file is an object, one sequence."
            )
        yield value
