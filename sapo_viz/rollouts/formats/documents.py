"""The objects of a JSON or JSONL file one after the other, and a cheap look at whether a key is in it at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.formats.base import Item
from sapo_viz.rollouts.json_file import parse
from sapo_viz.rollouts.record import shown

_LOOK = 4 * 1024**2  # bytes at the beginning of a JSON document in which a format's first keys stand


def first_line(data: bytes) -> bytes | None:
    """The first line, where one object stands on each line; None where the file is something else."""
    start = len(data) - len(data.lstrip()) if data[:1].isspace() else 0
    if data[start : start + 1] != b"{":
        return None
    end = data.find(b"\n", start)
    end = len(data) if end < 0 else end
    line = data[start:end].rstrip()
    return line if line.endswith(b"}") and data[end : end + 64].lstrip()[:1] in (b"{", b"") else None


def first_part(data: bytes) -> bytes:
    """Where the keys of the first object stand: its line in JSONL, the beginning of a JSON document."""
    line = first_line(data)
    if line is not None:
        return line
    return data[:_LOOK] if data[:64].lstrip()[:1] in (b"[", b"{") else b""


def has_keys(data: bytes, keys: Sequence[str]) -> bool:
    """Whether each stands there as a key. Inside a text it would have a backslash before its closing quote."""
    return all(re.search(rb'"%b"\s*:' % re.escape(key).encode(), data) for key in keys)


def objects(file: str, data: bytes) -> Iterator[Item]:
    """Each object with its place, a JSONL file a line at a time.

    Raises:
        RolloutError: the file is not JSON, or holds something other than objects.
    """
    if first_line(data) is not None:
        yield from _lines(file, data)
        return
    document = parse(_text(file, data, 1), file)
    if isinstance(document, dict):
        yield "the document", document
        return
    for number, item in enumerate(document, start=1):
        yield f"object {number}", _object(file, f"object {number}", item)


def _lines(file: str, data: bytes) -> Iterator[Item]:
    start, number = 0, 0
    while start < len(data):
        end = data.find(b"\n", start)  # not splitlines: a JSON text may hold U+2028
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
