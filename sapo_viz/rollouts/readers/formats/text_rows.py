"""Completions of a log without log-probs, gathered into the `TextDump` that two models score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.formats.base import Groups, Notes
from sapo_viz.rollouts.readers.formats.messages import CHAT
from sapo_viz.rollouts.readers.formats.pair import OnePolicy, OneSequence
from sapo_viz.rollouts.texts import TextDump

UNREWARDED = "Completions without a reward (null or NaN: not rewarded)"
WITHOUT = "Completions without log-probs, left out"


@dataclass(frozen=True)
class Text:
    """One completion."""

    prompt: str
    completion: str
    reward: float | None = None
    step: int | None = None
    advantage: float | None = None
    group: Any = None  # what its prompt's completions at this step share; None: the prompt itself


def dump(file: str, title: str, texts: Iterable[Text], notes: Notes) -> TextDump:
    """All of them.

    Raises:
        RolloutError: there is none.
    """
    rows = list(texts)
    unrewarded = sum(row.reward is None for row in rows)
    notes.count(UNREWARDED, unrewarded if unrewarded < len(rows) else 0)
    if not rows:
        why = " ".join(note for note in notes.sentences() if note != CHAT).removesuffix(".")
        raise RolloutError(
            f"{file}: this is {title}, and there is no completion with a text in it{f' ({why})' if why else ''}; "
            "give at least one."
        )
    groups = Groups()
    said = tuple(note for note in notes.sentences() if note != CHAT)
    return TextDump(
        name=file,
        format=title,
        prompts=tuple(row.prompt for row in rows),
        completions=tuple(row.completion for row in rows),
        rewards=tuple(row.reward for row in rows),
        groups=tuple(groups.of((row.step, row.prompt if row.group is None else (row.group,))) for row in rows),
        steps=tuple(row.step for row in rows),
        advantages=tuple(row.advantage for row in rows),
        notes=said,
        chat=len(said) < len(notes.sentences()),
    )


def contents(file: str, title: str, found: Iterable[Text | OneSequence], notes: Notes) -> OnePolicy | TextDump:
    """One policy's log-probs where any completion has them, else texts."""
    rows = list(found)
    sequences = tuple(row for row in rows if isinstance(row, OneSequence))
    if not sequences:
        return dump(file, title, (row for row in rows if isinstance(row, Text)), notes)
    notes.count(WITHOUT, len(rows) - len(sequences))
    return OnePolicy(file, title, sequences, notes.sentences())
