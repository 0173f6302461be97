"""The objects of a JSON or JSONL file one after the other, and a cheap look at whether a key is in it at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.files import json_file, jsonl_file
from sapo_viz.rollouts.readers.formats.base import Item
from sapo_viz.rollouts.readers.formats.envelopes import LOOK
from sapo_viz.rollouts.record import Skip
from sapo_viz.rollouts.schema import MAX_DOCUMENT, MAX_LINE

_LOOK = 4 * 1024**2  # bytes at the beginning of a JSON document in which a format's first keys stand
_BRACKETS = 1_000_000  # as json_file allows in a line
_LOOK_ON = 1024**2  # bytes beyond the first line


def first_line(data: bytes) -> bytes | None:
    """The first line that is an object, where one stands on each line; None where the file is something else.

    Lines that failed may stand before it or after it: a log's text, zeros that a crash left.
    """
    start = len(data) - len(data.lstrip()) if data[:1].isspace() else 0
    if data[start : start + 1] not in (b"{", b"["):
        return _after_failed_lines(data, start)
    end = data.find(b"\n", start)
    end = len(data) if end < 0 else end
    line = data[start:end].rstrip()
    if not line.startswith(b"{") or not line.endswith(b"}"):
        return None
    return line if data[end : end + 64].lstrip()[:1] in (b"{", b"") or _is_object(line) else None


def _after_failed_lines(data: bytes, start: int) -> bytes | None:
    for _ in range(LOOK):
        start = data.find(b"\n", start, start + _LOOK_ON) + 1
        if not start:
            return None
        if data.startswith(b"{", start):
            end = data.find(b"\n", start)
            line = data[start : len(data) if end < 0 else end].rstrip()
            return line if _is_object(line) else None
    return None


def _is_object(line: bytes) -> bool:
    if len(line) > MAX_LINE or line.count(b"[") + line.count(b"{") > _BRACKETS:
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def first_part(data: bytes) -> bytes:
    """Where the keys of the first objects stand: their lines in JSONL, the beginning of a JSON document."""
    line = first_line(data)
    if line is not None:
        start = end = data.find(line) + len(line)
        for _ in range(LOOK):
            end = data.find(b"\n", end + 1, start + _LOOK_ON)
            if end < 0:
                return data[: start + _LOOK_ON]
        return data[:end]
    return data[:_LOOK] if data[:64].lstrip()[:1] in (b"[", b"{") else b""


def has_keys(data: bytes, keys: Sequence[str]) -> bool:
    """Whether each stands there as a key. Inside a text it would have a backslash before its closing quote."""
    return all(re.search(rb'"%b"\s*:' % re.escape(key).encode(), data) for key in keys)


def objects(file: str, data: bytes, skip: Skip) -> Iterator[Item]:
    """Each object with its place, within the limits of the own format's readers; bad lines of JSONL go to `skip`.

    Raises:
        RolloutError: the file is not JSON, holds something other than objects, or is beyond a limit.
    """
    line = first_line(data)
    alone = line is not None and len(line) == len(data.strip())
    if line is not None and not alone:
        found = jsonl_file.records(file, data, skip)
    elif len(data) > MAX_DOCUMENT:
        raise RolloutError(f"{file}: a JSON document of more than {MAX_DOCUMENT // 1024**2} MB; split the file.")
    else:
        found = json_file.records(file, _text(file, data), skip, skip)
    for record in found:
        # One object on one line is as likely a line of JSONL as a document.
        first = alone and record.place == "sequence 1"
        place = "line 1" if first else record.place.replace("sequence", "object")
        yield place, record.values


def _text(file: str, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = 1 + data.count(b"\n", 0, error.start)
        raise RolloutError(f"{file}, line {at:,}: a byte there is not UTF-8; save the file as UTF-8.") from None
