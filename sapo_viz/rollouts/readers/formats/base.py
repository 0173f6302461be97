"""What a reader of a framework's file is, and the small tools that all of them share.

A reader turns the file's own fields into records of our schema. It names the file's fields in its
messages (`generation_logprobs`, not `old_logprobs`), because those are what its reader can look up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, TypeVar

import numpy as np

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.formats.pair import OnePolicy
from sapo_viz.rollouts.readers.formats.written import list_in, number_in, value_in
from sapo_viz.rollouts.record import Record, shown
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.texts import TextDump

Item = tuple[str, Mapping[str, Any]]  # its place in the file ("line 3"), its fields
Contents = Iterable[Record] | OnePolicy | TextDump
Holds = Literal["both policies", "one policy", "texts only", "no tokens"]
T = TypeVar("T")


class Notes:
    """What a reader took otherwise than written: one sentence each, those that count with their number."""

    def __init__(self) -> None:
        self._counts: dict[str, int | None] = {}
        self._skipped = 0
        self._first: RolloutError | None = None

    def say(self, sentence: str) -> None:
        self._counts.setdefault(sentence, None)

    def count(self, what: str, times: int = 1) -> None:
        if times:
            self._counts[what] = (self._counts.get(what) or 0) + int(times)

    def skip(self, error: RolloutError) -> None:
        """A bad row: real logs contain the odd broken line, so it is left out and counted; the first is reported."""
        self._skipped += 1
        self._first = self._first or error

    def nothing_left(self) -> None:
        """Called where no row remained: what was wrong with the first is then wrong with the file."""
        if self._first is not None:
            raise self._first

    def sentences(self) -> tuple[str, ...]:
        said = tuple(text if n is None else f"{text}: {n:,}." for text, n in self._counts.items())
        return said if self._first is None else (*said, f"{SKIPPED}: {self._skipped:,}; the first is {self._first}")


_FIELDS = 3  # that a batch of one has at least: fewer may as well be lists that happen to be short
_NESTED = 8  # lists and objects around a number
_TOTALS = ("score", "reward", "total", "total_reward", "reward_score")
SKIPPED = "Rows left out because something in them is wrong"


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
    # Field -> lists around its value in one sample. With more it is a batch, which is taken apart before it is read;
    # readers of per-token fields do so themselves (`samples_of`).
    lists: Mapping[str, int] = field(default_factory=dict)
    at_top: bool = True  # whether its marks are fields of the record itself, and not of something in it

    def knows(self, values: Mapping[str, Any]) -> bool:
        """Whether this is one sample as this framework writes it."""
        return self.recognise(values) and all(_lists(values.get(name)) <= most for name, most in self.lists.items())


@dataclass(frozen=True)
class NamedRecord(Record):
    """A record whose messages name the file's own fields, and positions before the prompt was cut off."""

    names: Mapping[str, str] = field(default_factory=dict)  # our field -> the file's
    start: int = 0

    def fail(self, field: str, says: str, remedy: str, *, index: int | None = None) -> NoReturn:
        shifted = None if index is None else index + self.start
        super().fail(self.names.get(field, field), says, remedy, index=shifted)


@dataclass(frozen=True)
class Entry:
    """One object of a file with getters that check a field's kind and length, naming the file's own field."""

    file: str
    place: str
    values: Mapping[str, Any]

    def fail(self, says: str) -> NoReturn:
        raise RolloutError(f"{self.file}, {self.place}: {says}.")

    def has(self, name: str) -> bool:
        return self.values.get(name) is not None

    def entries(self, name: str, length: int | None = None, of: str = "token_ids") -> Any:
        """A list (or 1-D array), as long as the field `of`; one that was written as text too."""
        value = listed(self.values.get(name))
        if value is None:
            self.fail(f"{name} is missing; a file of this format has it for every sequence")
        if not isinstance(value, (list, tuple, np.ndarray)) or (isinstance(value, np.ndarray) and value.ndim != 1):
            self.fail(f"{name} is {shown(value)}; it takes a list with one entry per token")
        if length is not None and len(value) != length:
            self.fail(f"{name} has {len(value):,} entries; it takes as many as {of}, {length:,}")
        return value

    def numbers(self, name: str, length: int, of: str = "token_ids") -> np.ndarray:
        """[T] float64; NaN for null. A number written as text is a number, a flag 0 or 1."""
        value = self.entries(name, length, of)
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            return value.astype(np.float64)
        if set(map(type, value)) - {float, int, type(None)}:
            value = [number_in(x) if isinstance(x, str) else float(x) if isinstance(x, bool) else x for x in value]
            index = next((i for i, x in enumerate(value) if type(x) not in (float, int, type(None))), None)
            if index is not None:
                self.fail(f"{name}[{index}] is {shown(value[index])}; it takes a number")
        try:
            return np.array([np.nan if x is None else x for x in value], dtype=np.float64)
        except OverflowError:
            self.fail(f"{name} holds a whole number too large for a float; it takes numbers")

    def flags(self, name: str, length: int, of: str = "token_ids") -> np.ndarray:
        """[T] bool from 0/1 or true/false; null is false."""
        value = self.entries(name, length, of)
        if not isinstance(value, np.ndarray):
            value = [False if x is None else number_in(x) if isinstance(x, str) else x for x in value]
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
            if set(map(type, value)) != {int}:  # a column of numbers that became floats, or texts
                value = [_whole(x) for x in value]
            index = next((i for i, x in enumerate(value) if type(x) is not int or not 0 <= x < 2**53), None)
        if index is not None:
            self.fail(f"{name}[{index}] is {shown(value[index])}; it takes a whole number from 0")
        return np.asarray(value, dtype=np.int64)

    def number(self, name: str) -> float | None:
        """A finite number; None where the field is missing, null or NaN.

        Writers leave it in a batch of one, as a flag, or as text ("1.0", "True", "tensor(0.5)" by way of `str`), and a
        reward among others under their names: then it is the one called score or reward, or the only one. Of others it
        is not known how they go together, so there is none.
        """
        value = self.values.get(name)
        if isinstance(value, str) and value.startswith("{"):
            value = value_in(value)
        for _ in range(_NESTED):
            if isinstance(value, Mapping):
                known = [value[key] for key in _TOTALS if value.get(key) is not None]
                value = known[0] if known else next(iter(value.values())) if len(value) == 1 else None
            elif isinstance(value, (list, tuple)) and len(value) < 2:
                value = value[0] if value else None
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(()).item()
        said = number_in(value) if isinstance(value, str) else _plain(value)
        if said is None or (isinstance(said, float) and math.isnan(said)):
            return None
        if not isinstance(said, (int, float)) or not np.isfinite(_float(said)):
            self.fail(f"{name} is {shown(value)}; it takes a finite number")
        return float(said)

    def whole(self, name: str) -> int | None:
        """A whole number; None as above."""
        value = self.number(name)
        if value is not None and not value.is_integer():
            self.fail(f"{name} is {value:g}; it takes a whole number")
        return None if value is None else int(value)

    def text(self, name: str) -> str:
        value = self.values.get(name)
        if not isinstance(value, str):
            self.fail(f"{name} is {shown(value)}; it takes text")
        return value

    def objects(self, name: str) -> list[Entry]:
        """The objects of a list, their place written out: "entry 1, prompts[0]"."""
        value = self.values.get(name)
        if isinstance(value, np.ndarray):
            value = value.tolist()
        if not isinstance(value, list):
            self.fail(f"{name} is {shown(value)}; it takes a list of objects")
        return [self._inside(f"{name}[{index}]", item) for index, item in enumerate(value)]

    def inner(self, name: str) -> Entry:
        return self._inside(name, self.values.get(name))

    def _inside(self, name: str, value: Any) -> Entry:
        if not isinstance(value, Mapping):
            self.fail(f"{name} is {shown(value)}; it takes an object")
        return Entry(self.file, f"{self.place}, {name}", value)


def each(
    file: str, items: Iterable[Item], notes: Notes, take: Callable[[Entry], Iterable[T]], batch: Sequence[str] = ()
) -> Iterator[T]:
    """What `take` makes of every object. One that is wrong is counted and left out, unless nothing else is there.

    `batch` names the per-token fields by which a line is seen to be a slice of a batch (see `samples_of`).
    """
    some = False

    def samples(row: Entry) -> Iterable[T]:
        return parts(samples_of(row, batch), notes, take)

    for one in parts((Entry(file, place, values) for place, values in items), notes, samples):
        some = True
        yield one
    if not some:
        notes.nothing_left()


def parts(rows: Iterable[Entry], notes: Notes, take: Callable[[Entry], Iterable[T]]) -> Iterator[T]:
    """What `take` makes of the parts of an object, those that are wrong counted and left out."""
    for row in rows:
        try:
            made = list(take(row))
        except RolloutError as error:
            notes.skip(error)
        else:
            yield from made


def of_batch(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """An object without the batch of one around it: every field a list of one, but for the line's own number."""
    inside = [value for name, value in values.items() if name != "idx"]
    if len(inside) < _FIELDS or not all(isinstance(value, list) and len(value) == 1 for value in inside):
        return values
    return {name: value[0] if isinstance(value, list) else value for name, value in values.items()}


def samples_of(row: Entry, per_token: Sequence[str], nested: int = _NESTED) -> Iterator[Entry]:
    """The samples of a line in which every field is a list with one entry per sample, most often a batch of one.

    It is one where a field that takes a list of numbers holds lists of them. Batches of batches are taken apart too.
    """
    lists = [one for name in per_token if isinstance(one := listed(row.values.get(name)), list)]
    size = next((len(v) for v in lists if v and any(isinstance(x, (list, np.ndarray)) for x in v)), None)
    if size is None or not nested:
        yield row
        return
    values = {k: _listed_in(v) for k, v in row.values.items()}
    columns = {k: v for k, v in values.items() if isinstance(v, (list, np.ndarray)) and len(v) == size}
    for index in range(size):
        own = {k: _plain(columns[k][index]) if k in columns else v for k, v in values.items()}
        place = row.place if size == 1 else f"{row.place}, sample {index + 1}"
        yield from samples_of(Entry(row.file, place, own), per_token, nested - 1)


def _lists(value: Any) -> int:
    """How many lists stand around a value, seen from the first that is there."""
    for count in range(_NESTED):
        if not isinstance(value, (list, np.ndarray)):
            return count
        value = next((one for one in value if one is not None), None)
    return _NESTED


def listed(value: Any) -> Any:
    """A list that was written as text, as that list; anything else as it is."""
    if not isinstance(value, str) or not value.endswith(("]", ")", "\n")):
        return value
    found = list_in(value)
    return value if found is None else found


def _listed_in(value: Any) -> Any:
    """The same for a list of lists only: a text of its own may be "[1]"."""
    found = listed(value) if isinstance(value, str) and value.lstrip("tensorayp.(\n ").startswith("[[") else value
    return found


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _whole(value: Any) -> Any:
    """A whole number that was written as 5.0 or "5"; anything else as it is."""
    said = number_in(value) if isinstance(value, str) else value
    return int(said) if isinstance(said, (float, np.floating)) and said.is_integer() else value


def _float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf


BEFORE_UPDATE = (
    "The trainer's log-probs are those before the update, so the ratio is trainer against sampler: "
    "their mismatch and, when training is asynchronous, how far the sampler was behind."
)
NOT_FINITE = "Tokens masked out because a log-prob there is null, NaN or infinite"


def response(mask: np.ndarray) -> slice:
    """From the first to the last token that is trained on; all of them where none is."""
    on = np.flatnonzero(mask)
    return slice(int(on[0]), int(on[-1]) + 1) if len(on) else slice(0, len(mask))


def having(*keys: str) -> Callable[[Mapping[str, Any]], bool]:
    """Recognises an object that has these fields and is no sequence of our own schema."""
    return lambda first: set(keys) <= first.keys() and not is_own(first)


def is_own(first: Mapping[str, Any]) -> bool:
    return bool({"tokens", "logprobs"} & first.keys())


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
