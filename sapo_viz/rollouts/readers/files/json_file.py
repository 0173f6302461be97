"""JSON: sequences as objects, in a list, alone, or one after the other as a program that appends leaves them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.record import Record, Skip, shown

_REMEDY = "a JSON file holds a list of objects, one per sequence"
_END = object()
_SPACE = re.compile(r"[ \t\n\r]*")
_BRACKETS = 1_000_000  # an empty list takes 3 bytes in a file and 64 in memory; in a line of JSONL
_BRACKETS_IN_ALL = 10_000_000  # in a document
_HALF = 12  # characters of a word or an escape that a cut may leave


class NotJson(RolloutError):
    """A text that is no JSON, as a process that was killed leaves its last line."""


class CutShort(NotJson):
    """It is as far as it goes, and ends too early."""


def records(file: str, text: str, skip: Skip | None = None, other: Skip | None = None) -> Iterator[Record]:
    """The sequences of a JSON text; their place is "sequence 3", counted from 1.

    With `skip` a text that ends in the middle of an object, as a file that is still being written does, is read up to
    there; the error is handed to it, unless nothing comes before. With `other` so are elements that are no objects.
    """
    check_brackets(file, None, text)
    start = _SPACE.match(text).end()  # type: ignore[union-attr]
    items, number = values(file, text), 0
    while True:
        try:
            item = next(items, _END)
        except CutShort as cut:
            if skip is None or not number:
                raise
            skip(cut)
            return
        if item is _END:
            break
        number += 1
        if not isinstance(item, dict):
            where = f"{file}, sequence {number}: it is" if text.startswith("[", start) else f"{file}: the file holds"
            error = RolloutError(f"{where} {shown(item)}; {_REMEDY}.")
            if other is None:
                raise error
            other(error)
            continue
        yield Record(file, f"sequence {number}", item)
    if not number:
        raise RolloutError(f"{file}: the list is empty; give at least one sequence.")


def values(file: str, text: str, line: int | None = None) -> Iterator[Any]:
    """The values of a text one after the other, those of a list each by itself: only one is in memory."""
    decoder = json.JSONDecoder(object_pairs_hook=_unique(file, line))
    place = _SPACE.match(text).end()  # type: ignore[union-attr]
    while True:
        with _in_words(file, line):
            if text.startswith("[", place):
                place = yield from _elements(decoder, text, place)
            else:
                item, place = decoder.raw_decode(text, place)
                yield item
                del item
            place = _SPACE.match(text, place).end()  # type: ignore[union-attr]
            if place == len(text):
                return
            if text[place] not in "{[":
                raise json.JSONDecodeError("Extra data", text, place)


def _elements(decoder: json.JSONDecoder, text: str, start: int) -> Generator[Any, None, int]:
    """The elements of the list that begins at `start`; returns where it has ended."""

    def skip(place: int) -> int:
        return _SPACE.match(text, place).end()  # type: ignore[union-attr]

    place = skip(start + 1)
    if not text.startswith("]", place):
        while True:
            item, place = decoder.raw_decode(text, place)
            inside = _objects_of(item)
            yield from (item,) if inside is None else inside
            del item
            place = skip(place)
            if not text.startswith(",", place):
                break
            place = skip(place + 1)
        if not text.startswith("]", place):
            raise json.JSONDecodeError("Expecting ',' delimiter", text, place)
    return place + 1


def _objects_of(item: Any) -> list[dict[str, Any]] | None:
    """The objects of a list, a prompt's completions as like as not, or of lists in it; None where it holds others."""
    if not isinstance(item, list):
        return None
    out: list[dict[str, Any]] = []
    for one in item:
        inside = [one] if isinstance(one, dict) else _objects_of(one)
        if inside is None:
            return None
        out += inside
    return out


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
    if len(text) > limit and sum(map(text.count, marks)) > limit:  # type: ignore[arg-type]
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
            raise RolloutError(f"{where}: the field {shown(twice)} appears twice in one object; keep one of them.")
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
        kind = CutShort if _at_the_end(error) else NotJson
        raise kind(
            f"{place(error.lineno)}: this is not JSON ({says}, column {error.colno:,}); "
            "check that the file was written to its end by a JSON library."
        ) from None
    except RecursionError:
        raise RolloutError(f"{place(1)}: the JSON is nested too deeply; a sequence needs lists of one level.") from None
    except ValueError as error:
        if isinstance(error, RolloutError):
            raise
        raise RolloutError(f"{place(1)}: a number has more than 4,300 digits; numbers here are floats.") from None


def _at_the_end(error: json.JSONDecodeError) -> bool:
    """Whether more of the same could have made it JSON: an open text, or nothing after the place but half a word."""
    rest = error.doc[error.pos : error.pos + _HALF + 1]
    half = len(rest) <= _HALF and not set(rest) & set("[]{}")
    return error.msg.startswith("Unterminated string") or (half and error.msg != "Extra data")
