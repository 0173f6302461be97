"""The objects of a JSON or JSONL file one after the other, and a cheap look at whether a key is in it at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.formats.base import Item
from sapo_viz.rollouts.json_file import parse
from sapo_viz.rollouts.record import shown


_LOOK = 4 * 1024**2  # bytes of a JSON document in which its formats have their first keys


def first_part(data: bytes) -> bytes:
    """The first line of JSONL; the beginning of a JSON document, whose first object may end anywhere."""
    head = data[:64].lstrip()
    if not head.startswith(b"{"):
        return data[:_LOOK] if head.startswith(b"[") else b""
    end = data.find(b"\n", len(data) - len(data.lstrip()) if data[:1].isspace() else 0)
    line = data if end < 0 else data[:end]
    return line if line.rstrip().endswith(b"}") else data[:_LOOK]


def is_lines(data: bytes) -> bool:
    """Whether one object stands on each line."""
    first, _, rest = data.lstrip()[: _LOOK * 64].partition(b"\n")
    return first.startswith(b"{") and first.rstrip().endswith(b"}") and rest[:64].lstrip()[:1] in (b"{", b"")


def has_keys(data: bytes, keys: Sequence[str]) -> bool:
    """Whether each key stands there as a key. A text that holds it has a backslash before its closing quote."""
    return all(re.search(rb'"%b"\s*:' % re.escape(key).encode(), data) for key in keys)


def objects(file: str, data: bytes) -> Iterator[Item]:
    """Each object with its place. A JSONL file is read a line at a time.

    Raises:
        RolloutError: the file is not JSON, or holds something other than objects.
    """
    if is_lines(data):
        yield from _lines(file, data)
        return
    document = parse(_text(file, data, 1), file)
    items = document if isinstance(document, list) else [document]
    for number, item in enumerate(items, start=1):
        yield f"object {number}", _object(file, f"object {number}", item)


def _lines(file: str, data: bytes) -> Iterator[Item]:
    start, number = 0, 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        line, start, number = data[start:end], end + 1, number + 1
        if line.strip():
            value = parse(_text(file, line, number), file, number)
            yield f"line {number}", _object(file, f"line {number}", value)


def _object(file: str, place: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RolloutError(f"{file}, {place}: it is {shown(value)}; a file of this format holds objects.")
    return value


def _text(file: str, data: bytes, line: int) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = line + data.count(b"\n", 0, error.start)
        raise RolloutError(f"{file}, line {at:,}: a byte there is not UTF-8; save the file as UTF-8.") from None
