"""Text sought in the sequences of a file that are not the one on the screen: how often, in how many, where next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sapo_viz.rollouts.schema import Rollouts

MOST_TOKENS = 2_000_000  # looked through at a time: half a second; the nearest sequences come first


@dataclass(frozen=True)
class Elsewhere:
    """`hits` in `sequences` others; the nearest with one `before` and `after` (index, from 0; in a circle).

    `whole` is False where the file is so large that not all of it was looked through.
    """

    hits: int
    sequences: int
    before: int | None
    after: int | None
    whole: bool


def elsewhere(rollouts: Rollouts, index: int, text: str) -> Elsewhere:
    """Where `text` stands outside sequence `index`, whatever the case of its letters. "" stands nowhere."""
    sought = text.lower()
    total = len(rollouts)
    if not sought:
        return Elsewhere(0, 0, None, None, True)
    order = sorted((k for k in range(total) if k != index), key=lambda k: min((k - index) % total, (index - k) % total))
    sizes = np.cumsum(rollouts.lengths[order]) if order else np.zeros(0)
    near = order[: int(np.searchsorted(sizes, MOST_TOKENS, side="right"))]
    found = {}
    for k in near:
        part = slice(int(rollouts.offsets[k]), int(rollouts.offsets[k + 1]))
        if times := "".join(rollouts.tokens[part]).lower().count(sought):
            found[k] = times
    return Elsewhere(
        hits=sum(found.values()),
        sequences=len(found),
        before=min(found, key=lambda k: (index - k) % total, default=None),
        after=min(found, key=lambda k: (k - index) % total, default=None),
        whole=len(near) == len(order),
    )
