"""JSONL: one JSON object a line, one sequence an object. Empty lines are skipped."""

from __future__ import annotations

from collections.abc import Iterator

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts import json_file
from sapo_viz.rollouts.record import Record, shown
from sapo_viz.rollouts.schema import MAX_LINE


def records(file: str, data: bytes) -> Iterator[Record]:
    """The sequences of a JSONL file, a line at a time; their place is "line 3"."""
    # Split at \n alone: JSON strings may hold U+2028 and other characters that str.splitlines takes for ends.
    start, number = 0, 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if end - start > MAX_LINE:
            raise RolloutError(
                f"{file}, line {number + 1:,}: it has {(end - start) / 1024**2:,.0f} MB; the limit is "
                f"{MAX_LINE // 1024**2} MB a line, so write each sequence on a line of its own."
            )
        line, start, number = data[start:end], end + 1, number + 1
        if not line.strip():
            continue
        json_file.check_brackets(file, number, line)
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise RolloutError(
                f"{file}, line {number}: byte {error.start + 1:,} is not UTF-8; save the file as UTF-8."
            ) from None
        value = json_file.parse(text, file, number)
        if not isinstance(value, dict):
            raise RolloutError(
                f"{file}, line {number}: it is {shown(value)}; each line of a JSONL file is an object, one sequence."
            )
        yield Record(file, f"line {number}", value)
