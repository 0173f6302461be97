"""What a reader of a framework's file is, and the small tools that all of them share.

A reader turns the file's own fields into records of our schema. It names the file's fields in its
messages (`generation_logprobs`, not `old_logprobs`), because those are what its reader can look up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

import numpy as np

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.formats.pair import OnePolicy
from sapo_viz.rollouts.record import Record, shown
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.texts import TextDump

Item = tuple[str, Mapping[str, Any]]  # its place in the file ("line 3"), its fields
Contents = Iterable[Record] | OnePolicy | TextDump
Holds = Literal["both policies", "one policy", "texts only"]


class Notes:
    """What a reader took otherwise than written: one sentence each, those that count with their number."""

    def __init__(self) -> None:
        self._counts: dict[str, int | None] = {}

    def say(self, sentence: str) -> None:
        self._counts.setdefault(sentence, None)

    def count(self, what: str, times: int = 1) -> None:
        if times:
            self._counts[what] = (self._counts.get(what) or 0) + int(times)

    def sentences(self) -> tuple[str, ...]:
        return tuple(text if n is None else f"{text}: {n:,}." for text, n in self._counts.items())


@dataclass(frozen=True)
class Format:
    """One kind of file that a framework writes. `marks` are keys that its first record always has."""

    name: str
    framework: str
    file: str  # how the framework names it: for people, never used to recognise it
    docs: str  # where its fields are documented
    kind: Literal["json", "parquet", "torch", "pickle"]
    holds: Holds
    marks: tuple[str, ...]
    taken: str  # which of its fields becomes what, for the documentation
    recognise: Callable[[Mapping[str, Any]], bool]
    read: Callable[[str, Iterator[Item], Notes], Contents]
    # Whether its documentation says that both log-probs are of the same weights, the sampler's and the trainer's before
    # an update. Most frameworks also run asynchronously and write the same fields then, so most files cannot say it.
    same_weights: Callable[[Rollouts], bool] = lambda rollouts: False


@dataclass(frozen=True)
class NamedRecord(Record):
    """A record whose messages name the file's own fields, and positions before the prompt was cut off."""

    names: Mapping[str, str] = field(default_factory=dict)  # our field -> the file's
    start: int = 0

    def fail(self, field: str, says: str, remedy: str, *, index: int | None = None) -> NoReturn:
        shifted = None if index is None else index + self.start
        super().fail(self.names.get(field, field), says, remedy, index=shifted)


@dataclass(frozen=True)
class Row:
    """One object of a file with getters that check a field's kind and length, naming the file's own field."""

    file: str
    place: str
    values: Mapping[str, Any]

    def fail(self, says: str) -> NoReturn:
        raise RolloutError(f"{self.file}, {self.place}: {says}.")

    def has(self, name: str) -> bool:
        return self.values.get(name) is not None

    def entries(self, name: str, length: int | None = None, of: str = "token_ids") -> Any:
        """A list (or 1-D array), as long as the field `of`."""
        value = self.values.get(name)
        if value is None:
            self.fail(f"{name} is missing; a file of this format has it for every sequence")
        if not isinstance(value, (list, tuple, np.ndarray)) or (isinstance(value, np.ndarray) and value.ndim != 1):
            self.fail(f"{name} is {shown(value)}; it takes a list with one entry a token")
        if length is not None and len(value) != length:
            self.fail(f"{name} has {len(value):,} entries; it takes as many as {of}, {length:,}")
        return value

    def numbers(self, name: str, length: int, of: str = "token_ids") -> np.ndarray:
        """[T] float64; NaN for null."""
        value = self.entries(name, length, of)
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            return value.astype(np.float64)
        wrong = set(map(type, value)) - {float, int, type(None)}
        if wrong:
            index = next(i for i, x in enumerate(value) if type(x) not in (float, int, type(None)))
            self.fail(f"{name}[{index}] is {shown(value[index])}; it takes a number")
        try:
            return np.array([np.nan if x is None else x for x in value], dtype=np.float64)
        except OverflowError:
            self.fail(f"{name} holds a whole number too large for a float; it takes numbers")

    def flags(self, name: str, length: int, of: str = "token_ids") -> np.ndarray:
        """[T] bool from 0/1 or true/false."""
        value = self.entries(name, length, of)
        if not isinstance(value, np.ndarray):
            bad = next((i for i, x in enumerate(value) if type(x) not in (bool, int, float) or x not in (0, 1)), None)
            if bad is not None:
                self.fail(f"{name}[{bad}] is {shown(value[bad])}; it takes 0 or 1")
            return np.array(value, dtype=bool)
        wrong = np.flatnonzero(~((value == 0) | (value == 1)))
        if len(wrong):
            self.fail(f"{name}[{wrong[0]}] is {value[wrong[0]]}; it takes 0 or 1")
        return value.astype(bool)

    def ids(self, name: str, length: int | None = None) -> np.ndarray:
        """[T] int64, not negative."""
        value = self.entries(name, length)
        if isinstance(value, np.ndarray) and value.dtype.kind in "iu":
            wrong = np.flatnonzero((value < 0) | (value >= 2**53))
            index = int(wrong[0]) if len(wrong) else None
        else:
            index = next((i for i, x in enumerate(value) if type(x) is not int or not 0 <= x < 2**53), None)
        if index is not None:
            self.fail(f"{name}[{index}] is {shown(value[index])}; it takes a whole number from 0")
        return np.asarray(value, dtype=np.int64)

    def number(self, name: str) -> float | None:
        """A finite number; None where the field is missing or null."""
        value = self.values.get(name)
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(()).item()
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(_float(value)):
            self.fail(f"{name} is {shown(value)}; it takes a finite number")
        return float(value)

    def text(self, name: str) -> str:
        value = self.values.get(name)
        if not isinstance(value, str):
            self.fail(f"{name} is {shown(value)}; it takes text")
        return value

    def objects(self, name: str) -> list[Row]:
        """The objects of a list, their place written out: "entry 1, prompts[0]"."""
        value = self.values.get(name)
        if not isinstance(value, list):
            self.fail(f"{name} is {shown(value)}; it takes a list of objects")
        return [self._inside(f"{name}[{index}]", item) for index, item in enumerate(value)]

    def inner(self, name: str) -> Row:
        return self._inside(name, self.values.get(name))

    def _inside(self, name: str, value: Any) -> Row:
        if not isinstance(value, Mapping):
            self.fail(f"{name} is {shown(value)}; it takes an object")
        return Row(self.file, f"{self.place}, {name}", value)


def _float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf


def placeholders(ids: np.ndarray) -> list[str]:
    """⟨1234⟩ for each token id, where a file holds no texts."""
    return [f"⟨{number}⟩" for number in ids.tolist()]


def is_placeholder(token: str) -> bool:
    """Whether it is one of these."""
    return token.startswith("⟨") and token.endswith("⟩") and token[1:-1].isdecimal()


IDS_ONLY = "The file holds token ids and no texts, so a token is shown as ⟨id⟩."
BEFORE_UPDATE = (
    "The trainer's log-probs are those before the update, so the ratio is trainer against sampler: "
    "their mismatch and, when training is asynchronous, how far the sampler was behind."
)
NOT_FINITE = "Tokens masked out because a log-prob there is null, NaN or infinite"


def response(mask: np.ndarray) -> slice:
    """From the first to the last token that is trained on; all of them where none is."""
    on = np.flatnonzero(mask)
    return slice(int(on[0]), int(on[-1]) + 1) if len(on) else slice(0, len(mask))


class Groups:
    """Names for prompts in the order in which they appear: sequences with equal prompt tokens are one group."""

    def __init__(self) -> None:
        self._names: dict[Any, str] = {}

    def of(self, prompt: Any) -> str:
        key = prompt.tobytes() if isinstance(prompt, np.ndarray) else prompt
        return self._names.setdefault(key, f"prompt {len(self._names) + 1}")


def finite_mask(mask: np.ndarray, notes: Notes, *columns: np.ndarray) -> np.ndarray:
    """The mask without tokens at which a log-prob is not a finite number; how many is noted."""
    finite: np.ndarray = np.logical_and.reduce([np.isfinite(column) for column in columns])
    notes.count(NOT_FINITE, int((mask & ~finite).sum()))
    return np.asarray(mask & finite)
