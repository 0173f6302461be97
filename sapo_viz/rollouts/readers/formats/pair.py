"""Files that hold one policy's log-probs: two of them, over the same tokens, make new and old.

An API response or a sampler's dump says what one policy gave to its tokens. `pair` puts a second file
beside it, checks that the tokens are the same, and gives records of our schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.record import Record, shown
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.texts import TextDump, left_out


@dataclass(frozen=True)
class OneSequence:
    """One completion under one policy. Arrays are [T]; `logprobs` may be NaN where `mask` is False."""

    id: str
    tokens: tuple[str, ...]
    logprobs: np.ndarray
    mask: np.ndarray
    token_ids: np.ndarray | None = None
    advantages: np.ndarray | None = None
    ref_logprobs: np.ndarray | None = None
    reward: float | None = None
    group: str | None = None
    prompt: str | None = None
    step: int | None = None


@dataclass(frozen=True)
class OnePolicy:
    """N completions with the log-probs of one policy."""

    name: str  # of the file
    format: str
    sequences: tuple[OneSequence, ...]
    notes: tuple[str, ...] = ()
    texts: TextDump | None = None  # where the file holds these too, so that models can score it instead

    @property
    def lacks(self) -> str:
        """What is missing before ratios can be shown, in a sentence."""
        return (
            f"{self.name}: this is {self.format} with the log-probs of one policy, and a ratio needs two; give the "
            "other policy's file for the same tokens too (`python -m sapo_viz inspect NEW --old OLD`)."
            f"{left_out(self.notes)}"
        )


# What a file may turn out to hold. Whoever can go on from a half or from texts (Tokens page, `score`) matches on it;
# all others ask for `both_policies`.
FileContents = Rollouts | OnePolicy | TextDump


def both_policies(found: FileContents) -> Rollouts:
    """The sequences, or a RolloutError that says what the file lacks."""
    if isinstance(found, Rollouts):
        return found
    raise RolloutError(found.lacks)


def one_of(values: Mapping[str, Any], name: str) -> OneSequence:
    """A record's sequence where its `old_logprobs` are the only ones that the file has."""
    mask = np.asarray(values["mask"]) != 0
    advantage = values.get("advantage")
    return OneSequence(
        id=name,
        tokens=tuple(values["tokens"]),
        logprobs=values["old_logprobs"],
        mask=mask,
        token_ids=values["token_ids"],
        advantages=np.full(len(mask), advantage) if advantage is not None else values.get("advantages"),
        reward=values["reward"],
        group=values["group"],
        prompt=values.get("prompt"),
    )


NO_ADVANTAGES = "Neither file holds advantages or rewards, so A = 1 for every token."


def pair(new: OnePolicy, old: OnePolicy) -> list[Record]:
    """Records with `logprobs` from `new` and `old_logprobs` from `old`, whose tokens are the same.

    Sequences belong together by their names where both files have the same ones, else in file order.
    Advantage, reward, group, prompt and step come from whichever file has them; without any, A = 1.

    Raises:
        RolloutError: they do not hold the same sequences; the first difference is named.
    """
    if len(new.sequences) != len(old.sequences):
        raise RolloutError(
            f"{new.name} has {len(new.sequences):,} sequences and {old.name} {len(old.sequences):,}; "
            "a pair holds the same completions, each scored by its policy."
        )
    partners = _partners(new, old)
    blind = not any(_says_advantage(s) for s in (*new.sequences, *old.sequences))
    return [_record(new, old, number, a, b, blind) for number, (a, b) in enumerate(partners, start=1)]


def without_advantages(records: Sequence[Record]) -> bool:
    """Whether `pair` had to take A = 1."""
    return all(record.values.get("advantage") is not None for record in records)


def _partners(new: OnePolicy, old: OnePolicy) -> list[tuple[OneSequence, OneSequence]]:
    by_id = {sequence.id: sequence for sequence in old.sequences}
    ids = {sequence.id for sequence in new.sequences}
    if len(by_id) == len(old.sequences) == len(ids) and ids == set(by_id):
        return [(sequence, by_id[sequence.id]) for sequence in new.sequences]
    return list(zip(new.sequences, old.sequences, strict=True))


def _says_advantage(sequence: OneSequence) -> bool:
    return sequence.advantages is not None or (sequence.reward is not None and sequence.group is not None)


def _record(new: OnePolicy, old: OnePolicy, number: int, a: OneSequence, b: OneSequence, blind: bool) -> Record:
    _check_same_tokens(new, old, number, a, b)
    mask = a.mask & b.mask
    values: dict[str, Any] = {
        "id": a.id,
        "tokens": list(a.tokens if not _placeholder(a.tokens) else b.tokens),
        "logprobs": np.where(mask, a.logprobs, np.nan),
        "old_logprobs": np.where(mask, b.logprobs, np.nan),
        "mask": mask.astype(np.float64),
    }
    for key in ("token_ids", "reward", "group", "prompt", "step", "advantages", "ref_logprobs"):
        value = getattr(a, key)
        values[key] = getattr(b, key) if value is None else value
    if blind:
        values["advantage"] = 1.0
    return Record(f"{new.name} with {old.name}", f"sequence {number}", values)


def _placeholder(tokens: tuple[str, ...]) -> bool:
    return bool(tokens) and all(token.startswith("⟨") and token.endswith("⟩") for token in tokens)


def _check_same_tokens(new: OnePolicy, old: OnePolicy, number: int, a: OneSequence, b: OneSequence) -> None:
    """Token ids decide where both files have them; else the texts."""
    if a.token_ids is not None and b.token_ids is not None:
        left, right = a.token_ids.tolist(), b.token_ids.tolist()
    else:
        left, right = list(a.tokens), list(b.tokens)
    if left == right:
        return
    both = zip(left, right, strict=False)
    at = next((i for i, (x, y) in enumerate(both) if x != y), min(len(left), len(right)))
    one, other = (shown(side[at]) if at < len(side) else "nothing more" for side in (left, right))
    raise RolloutError(
        f"{new.name} and {old.name}, sequence {number}: token {at + 1:,} is {one} in the first and {other} in the "
        "second; both policies have to score the same tokens, made by the same tokenizer."
    )
