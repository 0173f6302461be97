"""Where checked sequences are gathered, flat: one array per field, doubled in place as it fills.

Two ways in: one sequence at a time (`add`, from `build`, which explains what is wrong) and many at a time
(`add_block`, from the columnar readers, which only says *that* something is out of the ordinary).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sapo_viz.core.advantages import advantages_of
from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.record import Record, shown
from sapo_viz.rollouts.schema import ASIDE, MAX_LENGTH, MAX_SEQUENCES, ROUNDING, UPLOAD, Limits, Rollouts
from sapo_viz.rollouts.vocabulary import IDS_ONLY, Tokens, Vocabulary

# Columns that a file may begin late, each with its type and what is in a sequence without.
_OPTIONAL: dict[str, tuple[Any, float]] = {
    "token_ids": (np.int64, -1),
    "sampler_logprobs": (np.float64, math.nan),
    "ref_logprobs": (np.float64, math.nan),
    "loss_gradients": (np.float64, math.nan),
}


class Growing:
    """A 1-d array that is extended; its room doubles, so that M values cost M copies and no list of parts."""

    def __init__(self, dtype: Any) -> None:
        self._room = np.empty(1024, dtype)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def extend(self, values: Any, count: int | None = None) -> None:
        """Append an array, or one value `count` times."""
        stop = self._size + (len(values) if count is None else count)
        if stop > len(self._room):
            self._room.resize(max(stop, 2 * len(self._room)), refcheck=False)
        self._room[self._size : stop] = values
        self._size = stop

    def finish(self) -> np.ndarray:
        """The values, read-only, without the room that was left."""
        self._room.resize(self._size, refcheck=False)
        self._room.setflags(write=False)
        return self._room


@dataclass(frozen=True)
class Row:
    """One checked sequence. Arrays are [T]; None where the file has nothing."""

    codes: np.ndarray
    logprobs: np.ndarray
    old_logprobs: np.ndarray
    mask: np.ndarray
    advantages: np.ndarray | float | None
    token_ids: np.ndarray | None
    sampler_logprobs: np.ndarray | None
    ref_logprobs: np.ndarray | None
    loss_gradients: np.ndarray | None
    id: str | None
    prompt: str | None
    reward: float | None
    group: str | None
    step: int | None
    microbatch: str | None
    microbatch_loss: float | None
    record: Record  # its place, for a message about its advantage

    @property
    def labels(self) -> tuple[Any, ...]:
        return self.id, self.prompt, self.reward, self.group, self.step, self.microbatch, self.microbatch_loss


@dataclass(frozen=True)
class Block:
    """Many checked sequences at once: per-token arrays are [K], labels and lengths [N]."""

    lengths: np.ndarray  # int64, none of them 0
    codes: np.ndarray
    logprobs: np.ndarray
    old_logprobs: np.ndarray
    mask: np.ndarray | None  # None: all on
    advantages: np.ndarray  # what is in sequences without is not read
    has_advantage: np.ndarray  # [N] bool
    token_ids: np.ndarray | None  # −1 in sequences without
    sampler_logprobs: np.ndarray | None  # NaN in sequences without
    ref_logprobs: np.ndarray | None  # NaN in sequences without
    loss_gradients: np.ndarray | None  # NaN in sequences without
    ids: Sequence[str | None]
    prompts: Sequence[str | None]
    rewards: Sequence[float | None]
    groups: Sequence[str | None]
    steps: Sequence[int | None]
    microbatches: Sequence[str | None]
    losses: Sequence[float | None]

    @property
    def labels(self) -> tuple[Sequence[Any], ...]:
        return self.ids, self.prompts, self.rewards, self.groups, self.steps, self.microbatches, self.losses


@dataclass
class Counts:
    """What is said about a file in its notes."""

    rounded: int = 0
    repaired: int = 0
    empty: int = 0
    by_id: int = 0  # sequences whose tokens are shown as ⟨id⟩
    unsampled: int = 0  # sequences in which the sampler gave some of its log-probs and not all
    unused: dict[str, None] = field(default_factory=dict)


class NotPlain(Exception):
    """A columnar reader met what it does not take: the file is read record by record, which explains or accepts it."""


class Columns:
    """The sequences of one file as they come in."""

    def __init__(self, name: str, limits: Limits = UPLOAD) -> None:
        self.name = name
        self.limits = limits
        self.vocabulary = Vocabulary()
        self.counts = Counts()
        self._lengths = Growing(np.int64)
        self._codes = Growing(np.int32)
        self._new, self._old, self._advantages = (Growing(np.float64) for _ in range(3))
        self._mask = Growing(bool)
        self._begun: dict[str, Growing] = {}  # the optional columns that the file has so far
        self._has_advantage = Growing(bool)
        self._labels: tuple[list[Any], ...] = ([], [], [], [], [], [], [])  # in the order of `Row.labels`
        self._records: list[Record] = []  # without their values

    def __len__(self) -> int:
        return len(self._lengths)

    def add(self, row: Row) -> None:
        length = len(row.codes)
        if not length:
            self.counts.empty += 1
            return
        self._check_room(length, length, 1)
        self._lengths.extend(length, 1)
        self._codes.extend(row.codes)
        self._new.extend(row.logprobs)
        self._old.extend(row.old_logprobs)
        self._mask.extend(row.mask)
        self._has_advantage.extend(row.advantages is not None, 1)
        self._advantages.extend(0.0 if row.advantages is None else row.advantages, length)
        self._optional(row, length)
        for labels, label in zip(self._labels, row.labels, strict=True):
            labels.append(label)
        record = row.record
        self._records.append(Record(record.file, record.place, {}, None if record.lines is None else ()))

    def add_block(self, block: Block) -> None:
        size = len(block.codes)
        if not size:
            return
        for given, reward, group in zip(block.has_advantage.tolist(), block.rewards, block.groups, strict=True):
            if not given and (reward is None or group is None):
                raise NotPlain  # at once: a whole file would be read twice before it is refused
        self._check_room(int(block.lengths.max()), size, len(block.lengths))
        self._lengths.extend(block.lengths)
        self._codes.extend(block.codes)
        self._new.extend(block.logprobs)
        self._old.extend(block.old_logprobs)
        self._mask.extend(True if block.mask is None else block.mask, size)
        self._has_advantage.extend(block.has_advantage)
        self._advantages.extend(block.advantages)
        self._optional(block, size)
        for labels, more in zip(self._labels, block.labels, strict=True):
            labels.extend(more)

    def note_unused(self, names: Any) -> None:
        for name in names:
            if name not in ASIDE and len(self.counts.unused) < 9:
                self.counts.unused[name] = None

    def finish(self) -> Rollouts:
        """All of it as Rollouts; advantages that were not given are computed.

        Raises:
            RolloutError: no sequence, or rewards whose spread is not finite.
        """
        ids, prompts, rewards, groups, steps, microbatches, losses = self._labels
        if not ids:
            raise RolloutError(f"{self.name}: there is no sequence with tokens in it; give at least one.")
        lengths = self._lengths.finish()
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        offsets.setflags(write=False)
        computed = self._advantages_from_rewards(offsets, rewards, groups)
        optional = {name: column.finish() for name, column in self._begun.items()}
        return Rollouts(
            name=self.name,
            offsets=offsets,
            tokens=Tokens(self._codes.finish(), self.vocabulary.texts()),
            logprobs=self._new.finish(),
            old_logprobs=self._old.finish(),
            advantages=self._advantages.finish(),
            mask=self._mask.finish(),
            ids=tuple(str(i + 1) if own is None else own for i, own in enumerate(ids)),
            prompts=tuple(prompts),
            rewards=tuple(rewards),
            groups=tuple(groups),
            steps=tuple(steps),
            token_ids=optional.get("token_ids"),
            sampler_logprobs=optional.get("sampler_logprobs"),
            ref_logprobs=optional.get("ref_logprobs"),
            loss_gradients=optional.get("loss_gradients"),
            microbatches=_any(microbatches),
            losses=_any(losses),
            notes=tuple(self._notes(computed)),
        )

    def _check_room(self, longest: int, tokens: int, sequences: int) -> None:
        """Said as soon as it is known, so that a file of any size costs no more memory than one at the limit."""
        if longest > MAX_LENGTH:
            raise RolloutError(
                f"{self.name}: a sequence has {longest:,} tokens; at most {MAX_LENGTH:,} are taken, so split it."
            )
        if len(self._codes) + tokens > self.limits.tokens:
            raise RolloutError(
                f"{self.name}: more than {self.limits.tokens:,} tokens; split the file into smaller ones."
            )
        if len(self._lengths) + sequences > MAX_SEQUENCES:
            raise RolloutError(f"{self.name}: more than {MAX_SEQUENCES:,} sequences; split the file into smaller ones.")

    def _optional(self, values: Row | Block, size: int) -> None:
        before = len(self._codes) - size
        for name, (dtype, none) in _OPTIONAL.items():
            array = getattr(values, name)
            if array is not None and name not in self._begun:
                self._begun[name] = Growing(dtype)
                self._begun[name].extend(none, before)
            if name in self._begun:
                self._begun[name].extend(none if array is None else array, size)

    def _advantages_from_rewards(
        self, offsets: np.ndarray, rewards: list[float | None], groups: list[str | None]
    ) -> int:
        """Fill in the advantages that were not given. Returns for how many sequences."""
        has = self._has_advantage.finish()
        missing = np.flatnonzero(~has).tolist()
        if not missing:
            return 0
        wanted = {groups[i] for i in missing}
        members = [i for i, reward in enumerate(rewards) if reward is not None and groups[i] in wanted]
        values = np.zeros(len(has))
        values[members] = advantages_of([rewards[i] for i in members], [groups[i] for i in members])  # type: ignore[misc]
        for i in np.flatnonzero(~has & ~np.isfinite(values)).tolist():
            self._fail(i, "reward", f"is {rewards[i]:g}", "the spread of its group is not finite")
        flat = self._advantages.finish()
        flat.setflags(write=True)
        lengths = np.diff(offsets)
        fill = np.repeat(~has, lengths)
        flat[fill] = np.repeat(values, lengths)[fill]
        return len(missing)

    def _fail(self, index: int, key: str, says: str, remedy: str) -> None:
        if index >= len(self._records):  # it came in a block: the record-by-record reader knows its place
            raise NotPlain
        self._records[index].fail(key, says, remedy)

    def _notes(self, computed: int) -> list[str]:
        counts, notes = self.counts, []
        repaired = counts.repaired + self.vocabulary.repaired
        if computed:
            notes.append(f"Advantages computed from reward and group; sequences: {computed:,}.")
        if counts.rounded:
            notes.append(f"Log-probs above 0 by at most {ROUNDING:g}, taken as 0: {counts.rounded:,}.")
        if repaired:
            notes.append(f"Texts that held half a character, shown as �: {repaired:,}.")
        if counts.by_id:
            notes.append(IDS_ONLY)
        if counts.unsampled:
            notes.append(f"Sequences without the sampler's log-probs, as it gave only some: {counts.unsampled:,}.")
        if counts.empty:
            notes.append(f"Sequences without tokens, left out: {counts.empty:,}.")
        if counts.unused:
            names = ", ".join(shown(name, 30).strip("'\"") for name in list(counts.unused)[:8])
            notes.append(f"Fields not used: {names}{', …' if len(counts.unused) > 8 else ''}.")
        return notes


def _any(labels: list[Any]) -> tuple[Any, ...]:
    """The labels, or nothing where no sequence has one: a million of None are not kept."""
    return () if all(label is None for label in labels) else tuple(labels)
