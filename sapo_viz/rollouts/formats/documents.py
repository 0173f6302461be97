"""The objects of a JSON or JSONL file one after the other, and a cheap look at whether a key is in it at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts import json_file, jsonl_file
from sapo_viz.rollouts.formats.base import Item
from sapo_viz.rollouts.schema import MAX_DOCUMENT

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
    """Each object with its place, within the limits of the own format's readers.

    Raises:
        RolloutError: the file is not JSON, holds something other than objects, or is beyond a limit.
    """
    line = first_line(data)
    alone = line is not None and len(line) == len(data.strip())
    if line is not None and not alone:
        found = jsonl_file.records(file, data)
    elif len(data) > MAX_DOCUMENT:
        raise RolloutError(f"{file}: a JSON document of more than {MAX_DOCUMENT // 1024**2} MB; split the file.")
    else:
        found = json_file.records(file, _text(file, data))
    for record in found:
        # One object on one line is as likely a line of JSONL as a document.
        place = "line 1" if alone else record.place.replace("sequence", "object")
        yield place, record.values


def _text(file: str, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = 1 + data.count(b"\n", 0, error.start)
        raise RolloutError(f"{file}, line {at:,}: a byte there is not UTF-8; save the file as UTF-8.") from None
