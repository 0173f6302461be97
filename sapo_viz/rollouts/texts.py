"""Prompts and completions without log-probs, as most frameworks log them: what a scorer takes.

Two models have to score such a file before anything can be shown of it. Reading it raises
`NoLogprobs`, which says so and carries the texts, so that page and command can go on from there.
"""

from __future__ import annotations

from dataclasses import dataclass

from sapo_viz.errors import RolloutError


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


class NoLogprobs(RolloutError):
    """A file that holds texts only. `texts` is what it holds."""

    def __init__(self, texts: TextDump) -> None:
        self.texts = texts
        super().__init__(
            f"{texts.name}: this is {texts.format} with {len(texts):,} completions and no log-probs; "
            "let two models score them, on the Tokens page or with `python -m sapo_viz score`."
        )
