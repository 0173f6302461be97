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
from sapo_viz.rollouts.record import Record, shown
from sapo_viz.rollouts.schema import FIELDS, MAX_TOKENS, ROUNDING, Rollouts

_NEEDED = ("tokens", "logprobs", "old_logprobs")


def build(name: str, records: Iterable[Record]) -> Rollouts:
    """The validated set of sequences of one file.

    Raises:
        RolloutError: the first thing that is wrong, as one sentence with file, place, field and remedy.
    """
    builder = _Builder(name)
    for record in records:
        builder.add(record)
    return builder.finish()


class _Builder:
    """Collects checked columns; the strings of equal tokens are shared."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.records: list[Record] = []  # emptied of their arrays: kept for messages about advantages
        self.tokens: list[str] = []
        self.columns: dict[str, list[np.ndarray | None]] = {
            key: [] for key in ("logprobs", "old_logprobs", "advantages", "mask", "token_ids", "ref_logprobs")
        }
        self.labels: dict[str, list[Any]] = {key: [] for key in ("id", "prompt", "reward", "group", "step")}
        self.shared: dict[str, str] = {}
        self.unused: dict[str, None] = {}
        self.rounded = self.repaired = self.empty = 0

    def add(self, record: Record) -> None:
        values = {key: value for key, value in record.values.items() if value is not None}
        for key in values:
            if key not in FIELDS and len(self.unused) < 9:
                self.unused[key] = None
        for key in _NEEDED:
            if key not in values:
                has = ", ".join(shown(k, 24).strip("'\"") for k in list(values)[:12]) or "none"
                remedy = f"a sequence needs tokens, logprobs and old_logprobs (fields found: {has})"
                record.fail(key, "is missing", remedy)
        tokens = self._texts(record, values["tokens"])
        length = len(tokens)
        mask = _mask(record, values.get("mask"), length)
        new = self._logprobs(record, "logprobs", values, length, mask)
        old = self._logprobs(record, "old_logprobs", values, length, mask)
        ref = self._logprobs(record, "ref_logprobs", values, length, mask) if "ref_logprobs" in values else None
        ids = _token_ids(record, values["token_ids"], length) if "token_ids" in values else None
        advantages = _advantages(record, values, length, mask)
        labels = self._labels(record, values)
        if not length:
            self.empty += 1
            return
        if len(self.tokens) + length > MAX_TOKENS:
            raise RolloutError(f"{self.name}: more than {MAX_TOKENS:,} tokens; split the file into smaller ones.")
        self.tokens.extend(tokens)
        row = {"logprobs": new, "old_logprobs": old, "advantages": advantages, "mask": mask}
        row |= {"token_ids": ids, "ref_logprobs": ref}
        for key, column in row.items():
            self.columns[key].append(column)
        for key, label in labels.items():
            self.labels[key].append(label)
        self.records.append(Record(record.file, record.place, {}, record.lines))

    def finish(self) -> Rollouts:
        if not self.records:
            raise RolloutError(f"{self.name}: there is no sequence with tokens in it; give at least one.")
        computed = self._advantages_from_rewards()
        lengths = np.array([len(part) for part in self.columns["logprobs"]], dtype=np.int64)
        ids = self.labels["id"]
        return Rollouts(
            name=self.name,
            offsets=_frozen(np.concatenate(([0], np.cumsum(lengths)))),
            tokens=tuple(self.tokens),
            logprobs=self._flat("logprobs"),
            old_logprobs=self._flat("old_logprobs"),
            advantages=self._flat("advantages"),
            mask=self._flat("mask"),
            ids=tuple(str(i + 1) if ids[i] is None else ids[i] for i in range(len(ids))),
            prompts=tuple(self.labels["prompt"]),
            rewards=tuple(self.labels["reward"]),
            groups=tuple(self.labels["group"]),
            steps=tuple(self.labels["step"]),
            token_ids=self._flat("token_ids", lengths, missing=-1),
            ref_logprobs=self._flat("ref_logprobs", lengths, missing=math.nan),
            notes=tuple(self._notes(computed)),
        )

    def _flat(self, key: str, lengths: np.ndarray | None = None, missing: float = 0) -> Any:
        parts = self.columns[key]
        if all(part is None for part in parts):
            return None
        if lengths is not None:
            parts = [np.full(n, missing) if p is None else p for p, n in zip(parts, lengths, strict=True)]
        flat = np.concatenate(parts)  # type: ignore[arg-type]
        parts.clear()
        return _frozen(flat.astype(np.int64) if key == "token_ids" else flat)

    def _notes(self, computed: int) -> list[str]:
        notes = []
        if computed:
            notes.append(f"Advantages computed from reward and group; sequences: {computed:,}.")
        if self.rounded:
            notes.append(f"Log-probs above 0 by at most {ROUNDING:g}, taken as 0: {self.rounded:,}.")
        if self.repaired:
            notes.append(f"Texts that held half a character, shown as �: {self.repaired:,}.")
        if self.empty:
            notes.append(f"Sequences without tokens, left out: {self.empty:,}.")
        if self.unused:
            names = ", ".join(shown(name, 30).strip("'\"") for name in list(self.unused)[:8])
            notes.append(f"Fields not used: {names}{', …' if len(self.unused) > 8 else ''}.")
        return notes

    def _texts(self, record: Record, value: Any) -> list[str]:
        if isinstance(value, str) or not isinstance(value, (list, tuple)):
            record.fail("tokens", f"is {shown(value)}", "it takes a list of texts, one a token")
        if set(map(type, value)) - {str}:
            index = next(i for i, token in enumerate(value) if type(token) is not str)
            record.fail("tokens", f"is {shown(value[index])}", "a token is text", index=index)
        shared = self.shared
        try:
            "".join(value).encode()
        except UnicodeEncodeError:
            value = [self._clean(token) for token in value]
        return [shared.setdefault(token, token) for token in value]

    def _clean(self, text: str) -> str:
        """Lone surrogates (JSON can write them) become �: no encoder downstream would take them."""
        try:
            text.encode()
            return text
        except UnicodeEncodeError:
            self.repaired += 1
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

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
            self.rounded += int(above.sum())
            array = np.where(above, 0.0, array)
        return array

    def _labels(self, record: Record, values: dict[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key in ("id", "group"):
            value = values.get(key)
            if isinstance(value, float) and value.is_integer():  # pandas writes 3 as 3.0 beside a missing value
                value = int(value)
            if value is not None and (isinstance(value, bool) or not isinstance(value, (str, int))):
                record.fail(key, f"is {shown(value)}", "it takes a text or a whole number")
            out[key] = None if value is None else self._clean(_text_of(record, key, value))
        prompt = values.get("prompt")
        if prompt is not None and not isinstance(prompt, str):
            record.fail("prompt", f"is {shown(prompt)}", "it takes text")
        out["prompt"] = None if prompt is None else self._clean(prompt)
        out["reward"] = _number(record, "reward", values["reward"]) if "reward" in values else None
        step = _number(record, "step", values["step"]) if "step" in values else None
        if step is not None and (not step.is_integer() or abs(step) > 2**53):
            record.fail("step", f"is {shown(values['step'])}", "it takes a whole number")
        out["step"] = None if step is None else int(step)
        return out

    def _advantages_from_rewards(self) -> int:
        """Fill in the advantages that were not given. Returns for how many sequences."""
        columns = self.columns["advantages"]
        missing = [i for i, column in enumerate(columns) if column is None]
        if not missing:
            return 0
        rewards, groups = self.labels["reward"], self.labels["group"]
        for i in missing:
            for key, there in (("reward", rewards[i]), ("group", groups[i])):
                if there is None:
                    remedy = "give advantage (or advantages), or reward together with group"
                    self.records[i].fail(key, "is missing and there is no advantage", remedy)
        from sapo_viz.core.advantages import advantages_of  # torch, only when it is needed

        wanted = {groups[i] for i in missing}
        members = [i for i, reward in enumerate(rewards) if reward is not None and groups[i] in wanted]
        values = advantages_of([rewards[i] for i in members], [groups[i] for i in members])
        for i, value in zip(members, values, strict=True):
            if columns[i] is None:
                if not math.isfinite(value):
                    self.records[i].fail("reward", f"is {rewards[i]:g}", "the spread of its group is not finite")
                columns[i] = np.full(len(self.columns["logprobs"][i]), value)  # type: ignore[arg-type]
        return len(missing)


def _frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


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
        record.fail(key, f"is {shown(value)}", "it takes a list with one entry a token")
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


def _advantages(record: Record, values: dict[str, Any], length: int, mask: np.ndarray) -> np.ndarray | None:
    """[T] from `advantages` or `advantage`; None where it has to come from reward and group."""
    if "advantages" in values:
        array = _numbers(record, "advantages", values["advantages"], length, mask)
        return np.where(np.isfinite(array), array, 0.0)  # null is allowed under the mask only
    if "advantage" in values:
        if isinstance(values["advantage"], (list, tuple)):
            record.fail("advantage", "is a list", "one number; a list is called advantages")
        return np.full(length, _number(record, "advantage", values["advantage"]))
    return None
