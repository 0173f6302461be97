"""One sequence as a reader hands it over: a place to name in messages, and fields not yet believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.schema import FIELDS

Skip = Callable[[RolloutError], None]  # takes what is wrong with a row that is left out


@dataclass(frozen=True)
class Record:
    """Fields by their schema names. `lines` is for formats with one line per token: the line of each."""

    file: str
    place: str  # "line 3", "row 3", "sequence 3"
    values: Mapping[str, Any]
    lines: Sequence[int] | None = None

    def fail(self, field: str, says: str, remedy: str, *, index: int | None = None) -> NoReturn:
        """RolloutError: file, place, field, what it says, what would be right, in one sentence."""
        place, name = self.place, field
        if self.lines is not None and field in FIELDS:
            name = FIELDS[field].column or field
            if index is not None:
                place = f"line {self.lines[index]}"
        elif index is not None:
            name = f"{field}[{index}]"
        raise RolloutError(f"{self.file}, {place}: {name} {says}; {remedy}.")


def shown(value: Any, limit: int = 40) -> str:
    """A value for a message: its repr on one line, cut when long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an int of more than 4,300 digits has no repr
        text = f"a {type(value).__name__} too large to write out"
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= limit else text[: limit - 1] + "…"
