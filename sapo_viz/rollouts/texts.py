"""Prompts and completions without log-probs, as most frameworks log them: what a scorer takes.

Two models have to score such a file before anything can be shown of it; page and command go on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TextDump:
    """N completions. Every tuple has N entries; what a file does not hold is None in each place."""

    name: str  # of the file
    format: str  # of which framework's log it is
    prompts: tuple[str, ...]
    completions: tuple[str, ...]
    rewards: tuple[float | None, ...]
    groups: tuple[str, ...]  # completions of one prompt at one step
    steps: tuple[int | None, ...]
    advantages: tuple[float | None, ...]
    notes: tuple[str, ...] = ()
    chat: bool = False  # the prompts are messages, which the models' chat templates are to be put around

    def __len__(self) -> int:
        return len(self.completions)

    @property
    def lacks(self) -> str:
        """What is missing before ratios can be shown, in a sentence."""
        return (
            f"{self.name}: this is {self.format} with {len(self):,} completions and no log-probs; "
            f"let two models score them, on the Tokens page or with `python -m sapo_viz score`.{left_out(self.notes)}"
        )


def left_out(notes: Sequence[str]) -> str:
    """What a message about a file adds on what was left out of it: counts, without the reasons."""
    counts = [note.split("; the first is")[0].removesuffix(".") for note in notes if "left out" in note.lower()]
    return "".join(f" {count}." for count in counts)
