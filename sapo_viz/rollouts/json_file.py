"""JSON: a list of sequences (or one sequence alone), as objects with the schema's field names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.record import Record, shown

_REMEDY = "a JSON file holds a list of objects, one a sequence"
_END = object()
_SPACE = re.compile(r"[ \t\n\r]*")
_BRACKETS = 1_000_000  # an empty list takes 3 bytes in a file and 64 in memory; in a line of JSONL
_BRACKETS_IN_ALL = 10_000_000  # in a document


def records(file: str, text: str) -> Iterator[Record]:
    """The sequences of a JSON document; their place is "sequence 3", counted from 1."""
    check_brackets(file, None, text)
    with _in_words(file, None):
        start = _SPACE.match(text).end()  # type: ignore[union-attr]
        items = _elements(file, text, start) if text.startswith("[", start) else iter([parse(text, file)])
    number = 0
    while True:
        with _in_words(file, None):
            item = next(items, _END)
        if item is _END:
            break
        number += 1
        if not isinstance(item, dict):
            where = f"{file}, sequence {number}: it is" if text.startswith("[", start) else f"{file}: the file holds"
            raise RolloutError(f"{where} {shown(item)}; {_REMEDY}.")
        yield Record(file, f"sequence {number}", item)
    if not number:
        raise RolloutError(f"{file}: the list is empty; give at least one sequence.")


def _elements(file: str, text: str, start: int) -> Iterator[Any]:
    """The elements of the list that begins at `start`, one after the other: only one is in memory."""
    decoder = json.JSONDecoder(object_pairs_hook=_unique(file, None))

    def skip(place: int) -> int:
        return _SPACE.match(text, place).end()  # type: ignore[union-attr]

    place = skip(start + 1)
    if not text.startswith("]", place):
        while True:
            item, place = decoder.raw_decode(text, place)
            yield item
            del item
            place = skip(place)
            if not text.startswith(",", place):
                break
            place = skip(place + 1)
        if not text.startswith("]", place):
            raise json.JSONDecodeError("Expecting ',' delimiter", text, place)
    end = skip(place + 1)
    if end != len(text):
        raise json.JSONDecodeError("Extra data", text, end)


def parse(text: str, file: str, line: int | None = None) -> Any:
    """One JSON value, or a RolloutError with the line. NaN and Infinity pass: the field's check names them."""
    with _in_words(file, line):
        return json.loads(text, object_pairs_hook=_unique(file, line))


def check_brackets(file: str, line: int | None, text: str | bytes) -> None:
    """Refuse what would unpack to far more than its size: `[[],[],…` takes twenty times as much in memory.

    Lists and objects are few in a sequence; brackets in token texts count too, which leaves them ample room.
    """
    marks = (b"[", b"{") if isinstance(text, bytes) else ("[", "{")
    limit = _BRACKETS_IN_ALL if line is None else _BRACKETS
    if len(text) > limit and sum(text.count(mark) for mark in marks) > limit:  # type: ignore[arg-type]
        where = file if line is None else f"{file}, line {line:,}"
        raise RolloutError(
            f"{where}: it has more than {limit:,} opening brackets; a sequence needs a few lists of one level."
        )


def _unique(file: str, line: int | None) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """Makes a dict of an object's pairs; a key that comes twice is an error, since one of them would be lost."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(pairs)
        if len(out) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            where = f"{file}, line {line}" if line is not None else file
            raise RolloutError(f"{where}: the field {shown(twice)} stands twice in one object; keep one of them.")
        return out

    return unique


@contextmanager
def _in_words(file: str, line: int | None) -> Iterator[None]:
    """What the JSON library finds wrong, as one sentence with the line."""

    def place(own: int) -> str:
        return f"{file}, line {line if line is not None else own}"

    try:
        yield
    except json.JSONDecodeError as error:
        says = error.msg[0].lower() + error.msg[1:]
        raise RolloutError(
            f"{place(error.lineno)}: this is not JSON ({says}, column {error.colno:,}); "
            "check that the file was written to its end by a JSON library."
        ) from None
    except RecursionError:
        raise RolloutError(f"{place(1)}: the JSON is nested too deeply; a sequence needs lists of one level.") from None
    except ValueError as error:
        if isinstance(error, RolloutError):
            raise
        raise RolloutError(f"{place(1)}: a number has more than 4,300 digits; numbers here are floats.") from None
