"""JSON: a list of sequences (or one sequence alone), as objects with the schema's field names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.record import Record, shown

_REMEDY = "a JSON file holds a list of objects, one a sequence"


def records(file: str, text: str) -> Iterator[Record]:
    """The sequences of a JSON document; their place is "sequence 3", counted from 1."""
    document = parse(text, file)
    del text
    if isinstance(document, dict):
        document = [document]
    if not isinstance(document, list):
        raise RolloutError(f"{file}: the file holds {shown(document)}; {_REMEDY}.")
    if not document:
        raise RolloutError(f"{file}: the list is empty; give at least one sequence.")
    for number, item in enumerate(document, start=1):
        document[number - 1] = None  # let each sequence go once it is in arrays
        if not isinstance(item, dict):
            raise RolloutError(f"{file}, sequence {number}: it is {shown(item)}; {_REMEDY}.")
        yield Record(file, f"sequence {number}", item)


def parse(text: str, file: str, line: int | None = None) -> Any:
    """One JSON value, or a RolloutError with the line. NaN and Infinity pass: the field's check names them."""

    def place(own: int) -> str:
        return f"{file}, line {line if line is not None else own}"

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(pairs)
        if len(out) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for i, key in enumerate(keys) if key in keys[:i])
            where = f"{file}, line {line}" if line is not None else file
            raise RolloutError(f"{where}: the field {shown(twice)} stands twice in one object; keep one of them.")
        return out

    try:
        return json.loads(text, object_pairs_hook=unique)
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
