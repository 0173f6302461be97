"""The four made-up answers to two prompts that every writer is given, so that every reader has to find the same."""

from __future__ import annotations

from dataclasses import dataclass

STEP = 5


@dataclass(frozen=True)
class Answer:
    """One completion. `sampler` and `trainer` are its log-probs under the two, a token each."""

    prompt: str
    prompt_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    sampler: tuple[float, ...]
    trainer: tuple[float, ...]
    reward: float
    advantage: float

    @property
    def text(self) -> str:
        return "".join(self.tokens)

    @property
    def messages(self) -> list[dict[str, str]]:
        return [{"role": "user", "content": self.prompt}]


_FIRST, _SECOND = ("What is 2 + 2?", (11, 12, 13)), ("And 3 + 4?", (14, 15))
# Sums of powers of two: what float32 keeps exactly is equal in every file.
ANSWERS = (
    Answer(*_FIRST, ("4", "."), (21, 22), (-0.5, -0.25), (-0.625, -0.375), 1.0, 0.75),
    Answer(*_FIRST, ("It", " is", " 5"), (23, 24, 25), (-0.5, -1.0, -2.0), (-0.625, -1.125, -2.125), 0.0, -0.75),
    Answer(*_SECOND, ("7", "!"), (26, 27), (-0.125, -0.25), (-0.25, -0.375), 1.0, 0.75),
    Answer(*_SECOND, ("8",), (28,), (-3.0,), (-3.125,), 0.0, -0.75),
)
GROUPS = (ANSWERS[:2], ANSWERS[2:])


def padded(rows: list[list[float]], filler: float = 0.0) -> list[list[float]]:
    """Rows of one length, padded on the right."""
    width = max(map(len, rows))
    return [[*row, *[filler] * (width - len(row))] for row in rows]
