"""A folder of a framework's own dumps as a log: what the tokens of each step come to, read apart, a step once.

A dump says neither the objective nor the optimiser, so there are no gates, losses or gradients: those of any objective
stand on the Tokens page. Texts without log-probs have a reward alone. A step's files may be as large as an upload; a
larger step has no point on the curves, which is said, and its tokens alone.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sapo_viz.core.objective import LOG_RATIO_LIMIT
from sapo_viz.errors import RolloutError, RunError, SapoVizError
from sapo_viz.rollouts.analysis.facts import gather, numbers_of
from sapo_viz.rollouts.apart.asking import Given, reading_apart
from sapo_viz.rollouts.joined import joined
from sapo_viz.rollouts.readers.formats.pair import OnePolicy
from sapo_viz.rollouts.schema import UPLOAD, Rollouts
from sapo_viz.rollouts.steps import finish
from sapo_viz.rollouts.texts import TextDump
from sapo_viz.runs.folder.dumped import dumped_tokens
from sapo_viz.runs.folder.recording import StepTokens

_SETTLED = 5.0  # seconds since a file has changed: what is younger may only be half written
_AT_ONCE = 2.0  # seconds of reading in one look; other logs wait meanwhile
_LONGEST = 300.0  # seconds that a file may take: the other logs wait meanwhile
_TRIES = 3  # steps in vain, before any can be read: these are other files with such names
_log = logging.getLogger(__name__)


class DumpedSteps:
    """The steps of the dumps in `name` below `root`, from the one after `after` on."""

    title = "dumps"

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self.after, self.behind = -1, False
        self._vain: int | None = 0  # steps; None once one could be read

    def news(self) -> Iterator[tuple[int, dict[str, float]]]:
        until, self.behind = time.monotonic() + _AT_ONCE, False
        for step, kept in dumped_tokens(self.root, self.name).items():
            if step <= self.after:
                continue
            states = [path.stat() for path in kept.files]
            if time.time() - max(state.st_mtime for state in states) < _SETTLED:
                return
            self.after = step
            if sum(state.st_size for state in states) > UPLOAD.bytes:
                yield step, {}
                continue
            try:
                values = step_metrics(kept)
            except SapoVizError as error:
                _log.info("%s, step %d is left out: %s", self.name, step, error)
                self._vain = None if self._vain is None else self._vain + 1
                if self._vain == _TRIES:
                    raise RunError(f"{self.name}: the first {_TRIES} steps cannot be read. {error}") from None
                continue
            self._vain = None
            yield step, values
            if time.monotonic() > until:
                self.behind = True
                return


def step_metrics(kept: StepTokens) -> dict[str, float]:
    """What the files of a step come to, under the metrics' names (runs/metrics.py).

    Raises:
        RolloutError: one of them cannot be read, or not in time.
    """
    try:
        parts = [finish(reading_apart([Given.of_path(path, path.name)]), _LONGEST) for path in kept.files]
    except TimeoutError as error:
        raise RolloutError(f"step {kept.step}: a file of it was {error}.") from None
    both = [part for part in parts if isinstance(part, Rollouts)]
    if both:
        return _of_tokens(joined(f"step {kept.step}", both) if len(both) > 1 else both[0])
    texts = [part.texts if isinstance(part, OnePolicy) else part for part in parts]
    return _of_texts([part for part in texts if isinstance(part, TextDump)])


def _of_tokens(rollouts: Rollouts) -> dict[str, float]:
    facts = gather(rollouts)
    values = {"signal": float((facts.size > 0).mean()), "length": float(facts.counts.mean())}
    values |= _of_rewards(rollouts.rewards, rollouts.groups)
    if rollouts.same_weights or not len(facts.sample):  # what the sampler's arithmetic differs by is no update
        return values
    z = np.clip(facts.sample[:, 0], -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    largest = float(rollouts.log_ratio[rollouts.mask].max())
    low, median, high = np.exp(np.quantile(z, (0.01, 0.5, 0.99)))
    return values | {
        "kl_old": facts.k3 / facts.tokens,
        "kl_old_k1": -float(facts.sum_z.sum()) / facts.tokens,
        "ratio_p01": float(low),
        "ratio_p50": float(median),
        "ratio_p99": float(high),
        "ratio_max": float(np.exp(min(largest, LOG_RATIO_LIMIT))),
        "log_ratio_max": float(facts.max_z.max()),
    }


def _of_texts(parts: Sequence[TextDump]) -> dict[str, float]:
    return _of_rewards(
        [reward for part in parts for reward in part.rewards], [group for part in parts for group in part.groups]
    )


def _of_rewards(rewards: Sequence[float | None], groups: Sequence[str | None]) -> dict[str, float]:
    known = numbers_of(tuple(rewards))
    known = known[np.isfinite(known)]
    values = {"reward": float(known.mean())} if known.size else {}
    alike: dict[str, list[float]] = defaultdict(list)
    for reward, group in zip(rewards, groups, strict=True):
        if reward is not None and group is not None:
            alike[group].append(reward)
    several = [same for same in alike.values() if len(same) > 1]
    if several:
        values["dead_groups"] = sum(min(same) == max(same) for same in several) / len(several)
    return values
