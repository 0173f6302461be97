"""From records to Rollouts: every check that does not depend on the file's format.

Each check is done on whole arrays; only when one fails is the offending value looked for, so that a
million tokens are checked in a fraction of a second and the message is still exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.columns import Columns, Row
from sapo_viz.rollouts.record import Record, Skip, shown
from sapo_viz.rollouts.schema import ALSO, FIELDS, LIKELY, ROUNDING, UPLOAD, Limits, Rollouts
from sapo_viz.rollouts.steps import Steps, finish
from sapo_viz.rollouts.vocabulary import placeholders, whole_text

_NEEDED = ("tokens", "logprobs", "old_logprobs")
# What is said of a sequence with neither advantage nor reward and group.
_NO_ADVANTAGE = (
    "is missing and there is no advantage",
    "give advantage (or advantages), or reward together with group",
)
_STEP = 64  # sequences between two looks at how far it is


def build(name: str, records: Iterable[Record], limits: Limits = UPLOAD, skip: Skip | None = None) -> Rollouts:
    """The validated set of sequences of one file.

    Raises:
        RolloutError: the first thing that is wrong, as one sentence with file, place, field and remedy.
    """
    return finish(building(name, records, limits, skip=skip))


def building(
    name: str,
    records: Iterable[Record],
    limits: Limits = UPLOAD,
    expected: int | None = None,
    skip: Skip | None = None,
) -> Steps[Rollouts]:
    """`build` in steps; `expected` is about how many records there are, where that is known.

    With `skip` a sequence that is wrong is handed to it and left out, for logs in which single lines fail; where none
    remains the first one's error is raised.
    """
    columns = Columns(name, limits)
    checker = _Checker(columns)
    first: RolloutError | None = None
    for number, record in enumerate(records):
        try:
            row = checker.row(record)
            _check_advantage(row)
        except RolloutError as error:
            if skip is None:
                raise
            first = first or error
            skip(error)
            continue
        columns.add(row)
        if number % _STEP == 0:
            yield min(number / expected, 1.0) if expected else None
    if first is not None and not len(columns):
        raise first
    return columns.finish()


def _check_advantage(row: Row) -> None:
    if len(row.codes) and row.advantages is None and (row.reward is None or row.group is None):
        row.record.fail("reward" if row.reward is None else "group", *_NO_ADVANTAGE)


class _Checker:
    """From a record, not yet believed, to a row."""

    def __init__(self, columns: Columns) -> None:
        self.vocabulary = columns.vocabulary
        self.counts = columns.counts
        self.note_unused = columns.note_unused

    def row(self, record: Record) -> Row:
        values = {key: value for key, value in record.values.items() if value is not None}
        for name, own in ALSO.items():
            if name in values and own not in values:
                values[own] = values.pop(name)
        self.note_unused(key for key in values if key not in FIELDS)
        if "tokens" not in values and "token_ids" in values:
            values["tokens"] = placeholders(_token_ids(record, values["token_ids"], _size(values["token_ids"])))
            self.counts.by_id += 1
        for key in _NEEDED:
            if key not in values:
                has = ", ".join(shown(k, 24).strip("'\"") for k in list(values)[:12]) or "none"
                remedy = f"a sequence needs tokens, logprobs and old_logprobs (fields found: {has})"
                own = "token_ids" if key == "tokens" else key
                likely = next((name for name in LIKELY[own] if name in values), None)
                remedy += f"; if {likely} holds it, name it {own}" if likely else ""
                record.fail(key, "is missing", remedy)
        codes = self._texts(record, values["tokens"])
        length = len(codes)
        mask = _mask(record, values.get("mask"), length)
        return Row(
            codes=codes,
            logprobs=self._logprobs(record, "logprobs", values, length, mask),
            old_logprobs=self._logprobs(record, "old_logprobs", values, length, mask),
            mask=mask,
            advantages=_advantages(record, values, length, mask),
            token_ids=_token_ids(record, values["token_ids"], length) if "token_ids" in values else None,
            sampler_logprobs=self._optional(record, "sampler_logprobs", values, length, mask),
            ref_logprobs=self._optional(record, "ref_logprobs", values, length, mask),
            loss_gradients=(
                _numbers(record, "loss_gradients", values["loss_gradients"], length, mask)
                if "loss_gradients" in values
                else None
            ),
            record=record,
            **self._labels(record, values),
        )

    def _texts(self, record: Record, value: Any) -> np.ndarray:
        if isinstance(value, str) or not isinstance(value, (list, tuple)):
            record.fail("tokens", f"is {shown(value)}", "it takes a list of texts, one per token")
        if set(map(type, value)) - {str}:
            index = next(i for i, token in enumerate(value) if type(token) is not str)
            record.fail("tokens", f"is {shown(value[index])}", "a token is text", index=index)
        return self.vocabulary.encode(value)

    def _whole(self, text: str) -> str:
        whole = whole_text(text)
        self.counts.repaired += whole != text
        return whole

    def _logprobs(self, record: Record, key: str, values: Any, length: int, mask: np.ndarray) -> np.ndarray:
        array = _numbers(record, key, values[key], length, mask)
        with np.errstate(invalid="ignore"):
            above = mask & (array > 0)
        if above.any():
            wrong = mask & (array > ROUNDING)
            if wrong.any():
                index = int(wrong.argmax())
                remedy = "a log-probability is at most 0 (natural log, not a probability)"
                record.fail(key, f"is {array[index]:g}", remedy, index=index)
            self.counts.rounded += int(above.sum())
            array = np.where(above, 0.0, array)
        return array

    def _optional(self, record: Record, key: str, values: Any, length: int, mask: np.ndarray) -> np.ndarray | None:
        value = values.get(key)
        if key == "sampler_logprobs" and isinstance(value, (list, tuple, np.ndarray)) and len(value) == length:
            there = np.array([item is not None and item == item for item in value], bool)
            if not there[mask].all():  # an engine may give none, or none for a token that was put into the answer
                self.counts.unsampled += bool(there[mask].any())
                return None
        return self._logprobs(record, key, values, length, mask) if key in values else None

    def _labels(self, record: Record, values: dict[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key in ("id", "group", "microbatch"):
            value = values.get(key)
            if isinstance(value, float) and value.is_integer():  # pandas writes 3 as 3.0 beside a missing value
                value = int(value)
            if value is not None and (isinstance(value, bool) or not isinstance(value, (str, int))):
                record.fail(key, f"is {shown(value)}", "it takes a text or a whole number")
            out[key] = None if value is None else self._whole(_text_of(record, key, value))
        prompt = values.get("prompt")
        if prompt is not None and not isinstance(prompt, str):
            record.fail("prompt", f"is {shown(prompt)}", "it takes text")
        out["prompt"] = None if prompt is None else self._whole(prompt)
        out["reward"] = _number(record, "reward", values["reward"]) if "reward" in values else None
        name = "microbatch_loss"
        out[name] = _number(record, name, values[name]) if name in values else None
        step = _number(record, "step", values["step"]) if "step" in values else None
        if step is not None and (not step.is_integer() or abs(step) > 2**53):
            record.fail("step", f"is {shown(values['step'])}", "it takes a whole number")
        out["step"] = None if step is None else int(step)
        return out


def _text_of(record: Record, key: str, value: str | int) -> str:
    try:
        return str(value)
    except ValueError:  # more than 4,300 digits
        record.fail(key, "is a number of more than 4,300 digits", "it takes a text or a whole number")


def _number(record: Record, key: str, value: Any, *, index: int | None = None) -> float:
    """One finite number, or the sentence that says what stood there instead."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        kind = "text" if isinstance(value, str) else "true or false" if isinstance(value, bool) else "not a number"
        record.fail(key, f"is {shown(value)}, which is {kind}", "it takes a finite number", index=index)
    try:
        number = float(value)
    except OverflowError:
        record.fail(key, "is a whole number too large for a float", "it takes a finite number", index=index)
    if not math.isfinite(number):
        record.fail(key, f"is {number}", "it takes a finite number", index=index)
    return number


def _numbers(record: Record, key: str, value: Any, length: int, mask: np.ndarray) -> np.ndarray:
    """[T] float64, finite where the mask is on. None (null) may stand where the mask is off: it is not read."""
    _check_length(record, key, value, length)
    if isinstance(value, np.ndarray):
        array = value.astype(np.float64, copy=False)
    else:
        if set(map(type, value)) - {float, int}:
            for index, item in enumerate(value):
                if item is None and not mask[index]:
                    continue
                if type(item) not in (float, int):
                    _number(record, key, item, index=index)
            value = [math.nan if item is None else item for item in value]
        try:
            array = np.array(value, dtype=np.float64)
        except OverflowError:
            for index, item in enumerate(value):
                if isinstance(item, int):
                    _number(record, key, item, index=index)
            raise
    bad = mask & ~np.isfinite(array)
    if bad.any():
        index = int(bad.argmax())
        record.fail(key, f"is {array[index]}", "it takes a finite number where the mask is 1", index=index)
    return array


def _check_length(record: Record, key: str, value: Any, length: int) -> None:
    if isinstance(value, str) or not isinstance(value, (list, tuple, np.ndarray)):
        record.fail(key, f"is {shown(value)}", "it takes a list with one entry per token")
    if len(value) != length:
        record.fail(key, f"has {len(value):,} entries", f"it takes as many as tokens, {length:,}")


def _mask(record: Record, value: Any, length: int) -> np.ndarray:
    """[T] bool from 0/1 or true/false; all on when there is none."""
    if value is None:
        return np.ones(length, dtype=bool)
    _check_length(record, "mask", value, length)
    if not isinstance(value, np.ndarray):
        for index, item in enumerate(value):
            if type(item) not in (bool, int, float) or item not in (0, 1):
                record.fail("mask", f"is {shown(item)}", "it takes 0 or 1", index=index)
        return np.array(value, dtype=bool)
    wrong = ~((value == 0) | (value == 1))
    if wrong.any():
        index = int(wrong.argmax())
        record.fail("mask", f"is {value[index]:g}", "it takes 0 or 1", index=index)
    return value.astype(bool)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, (list, tuple, np.ndarray)) else 0


def _token_ids(record: Record, value: Any, length: int) -> np.ndarray:
    _check_length(record, "token_ids", value, length)
    if isinstance(value, np.ndarray):
        whole = np.isfinite(value) & (value >= 0) & (value < 2**53) & (value == np.floor(value))
        wrong = int((~whole).argmax()) if not whole.all() else None
    else:
        wrong = next((i for i, x in enumerate(value) if type(x) is not int or not 0 <= x < 2**53), None)
    if wrong is not None:
        record.fail("token_ids", f"is {shown(value[wrong])}", "it takes a whole number from 0", index=wrong)
    return np.asarray(value).astype(np.int64)


def _advantages(record: Record, values: dict[str, Any], length: int, mask: np.ndarray) -> np.ndarray | float | None:
    """[T] from `advantages`, one number from `advantage`; None where it has to come from reward and group."""
    if "advantages" in values:
        array = _numbers(record, "advantages", values["advantages"], length, mask)
        return np.where(np.isfinite(array), array, 0.0)  # null is allowed under the mask only
    if "advantage" in values:
        if isinstance(values["advantage"], (list, tuple)):
            record.fail("advantage", "is a list", "one number; a list is called advantages")
        return _number(record, "advantage", values["advantage"])
    return None
