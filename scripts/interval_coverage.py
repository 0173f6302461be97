"""How often the 95 % intervals of `match` hold the truth: `python -m scripts.interval_coverage [--draws 400]`.

Files are drawn whose truth is known from 16,000 sequences of 8,000 prompts of the same kind. z is normal with a
standard deviation that is the same everywhere, one of each sequence's own, or one of each prompt's own with a shift
of it all.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sapo_viz.core.objective import CATALOG
from sapo_viz.rollouts.analysis.evidence import Evidence
from sapo_viz.rollouts.analysis.fit import match
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.vocabulary import Tokens

DRAWS = 400
GROUP, LENGTH = 8, 60


@dataclass(frozen=True)
class Kind:
    """How z spreads: standard deviation, and in logs that of a sequence's and of a prompt's own factor."""

    name: str
    groups: int
    spread: float = 0.15
    of_sequence: float = 0.0
    of_prompt: float = 0.0
    shift: float = 0.0  # of a prompt's mean z, in standard deviations
    with_groups: bool = True


KINDS = (
    Kind("independent sequences, no groups", 16, with_groups=False),
    Kind("independent sequences, in groups", 32),
    Kind("sequences differ, no groups", 32, of_sequence=0.5, with_groups=False),
    Kind("prompts differ", 32, of_prompt=0.5),
    Kind("prompts differ strongly", 32, of_prompt=0.7, shift=0.7),
    Kind("prompts differ strongly, 16 of them", 16, of_prompt=0.7, shift=0.7),
    Kind("prompts differ strongly, 64 of them", 64, of_prompt=0.7, shift=0.7),
)
PAIRS = (("grpo", "sapo"), ("sapo", "grpo"))


def drawn(kind: Kind, seed: int, groups: int = 0, group: int = GROUP) -> Rollouts:
    """A file of this kind, A = ±1 by turns."""
    rng = np.random.default_rng(seed)
    groups = groups or kind.groups
    count = groups * group
    scale = np.exp(kind.of_sequence * rng.standard_normal(count))
    scale *= np.repeat(np.exp(kind.of_prompt * rng.standard_normal(groups)), group)
    shift = kind.shift * np.repeat(rng.standard_normal(groups), group)
    z = kind.spread * scale[:, None] * (rng.standard_normal((count, LENGTH)) + shift[:, None])
    old = np.full(z.size, -30.0)
    return Rollouts(
        name="drawn",
        offsets=np.arange(count + 1) * LENGTH,
        tokens=Tokens(np.zeros(z.size, np.int32), ("x",)),
        logprobs=old + np.clip(z.ravel(), -5, 5),
        old_logprobs=old,
        advantages=np.repeat(np.where(np.arange(count) % 2, 1.0, -1.0), LENGTH),
        mask=np.ones(z.size, bool),
        ids=tuple(map(str, range(count))),
        prompts=(None,) * count,
        rewards=(None,) * count,
        groups=tuple(str(i // group) if kind.with_groups else None for i in range(count)),
        steps=(None,) * count,
    )


def coverage(kind: Kind, draws: int) -> Iterator[tuple[str, int, float, float]]:
    """(pair, hits, the truth, the middle width over it; infinite: mostly open)."""
    large = Evidence(drawn(kind, 10**6, 8_000, 2), 1)
    truth = {pair: match(large, CATALOG[pair[0]](), pair[1], 1).value for pair in PAIRS}
    hits = dict.fromkeys(PAIRS, 0)
    widths: dict[tuple[str, str], list[float]] = {pair: [] for pair in PAIRS}
    for seed in range(draws):
        data = Evidence(drawn(kind, seed), 1)
        for pair in PAIRS:
            found = match(data, CATALOG[pair[0]](), pair[1], 1)
            hits[pair] += bool(found.low <= truth[pair] <= found.high)
            ends = found.knob is not None and found.low > found.knob.lo and found.high < found.knob.hi
            widths[pair].append((found.high - found.low) / truth[pair] if ends else np.inf)
    for pair in PAIRS:
        yield f"{pair[1]} for {pair[0]}", hits[pair], truth[pair], float(np.median(widths[pair]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--kind", type=int)
    args = parser.parse_args()
    for kind in KINDS if args.kind is None else KINDS[args.kind : args.kind + 1]:
        for name, hits, truth, width in coverage(kind, args.draws):
            print(
                f"{kind.name:38} {name:14} truth {truth:7.3g}  covered {hits / args.draws:6.1%}  width {width:6.1%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
