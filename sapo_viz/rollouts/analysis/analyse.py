"""What each objective does to the tokens of a file: token by token, sequence by sequence, and over all of it.

The file goes once through `core.losses.token_view` (see passes.py) and leaves a few sums per sequence; a
token's own numbers are worked out again when its sequence is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from sapo_viz.core.correction import Correction
from sapo_viz.core.objective import LOG_RATIO_LIMIT, Objective
from sapo_viz.rollouts.analysis.histogram import Histogram, What
from sapo_viz.rollouts.analysis.ratios import Ratios
from sapo_viz.rollouts.analysis.token_numbers import TokenNumbers
from sapo_viz.rollouts.analysis.totals import Share, Totals, gathering
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.steps import Steps, finish

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Analysis:
    """A file under some objectives. Everything beyond `totals` is derived on demand, and kept."""

    rollouts: Rollouts
    objectives: Mapping[str, Objective]  # key -> objective; the key is its catalogue name, or the spec it was given by
    totals: Mapping[str, Totals]  # key -> sums by sequence; empty before they are gathered
    ratios: Ratios  # what does not depend on an objective
    correction: Correction | None = None  # w and c are times its weight; None too where the file names no sampler

    @cached_property
    def tokens(self) -> Mapping[str, TokenNumbers]:
        """Objective -> ratio, coefficient and weight of the flat tokens, computed for the slice that is asked for."""
        return {
            key: TokenNumbers(self.rollouts, objective, self.correction) for key, objective in self.objectives.items()
        }

    @property
    def log_s(self) -> np.ndarray:
        """[N] log s_i = mean of z over the sequence's response tokens; 0 without any."""
        return self.ratios.log_s

    @property
    def variance(self) -> np.ndarray:
        """[N] Var_i: variance of z within the sequence (population), the A2 of the paper's analysis."""
        return self.ratios.variance

    @property
    def counts(self) -> np.ndarray:
        """[N] response tokens per sequence."""
        return self.ratios.counts

    def share(self, key: str, sign: int = 0) -> Share:
        """Over the whole file; `sign` 1 or −1 takes only the tokens whose A has that sign."""
        return self.totals[key].share(sign)

    def histogram(self, what: What, bins: int = 60) -> Histogram:
        """As `Ratios.histogram`."""
        return self.ratios.histogram(what, bins)

    @cached_property
    def batch(self) -> pd.DataFrame:
        """One row per objective and sign of A (`all`, `A > 0`, `A < 0`): tokens, kept, clip_fraction, ess."""
        import pandas as pd

        rows = []
        for key in self.objectives:
            for sign, label in ((0, "all"), (1, "A > 0"), (-1, "A < 0")):
                share = self.share(key, sign)
                rows.append({"objective": key, "sign": label, **vars(share)})
        return pd.DataFrame(rows)

    @cached_property
    def sequences(self) -> pd.DataFrame:
        """One row per sequence: what it is, s_i, Var_i, and `kept_<key>`, `dropped_<key>` an objective.

        kept = Σ|A|·w / Σ|A| within the sequence, NaN where every A is 0; dropped = tokens with A ≠ 0, c = 0.
        """
        import pandas as pd

        rollouts = self.rollouts
        frame = {
            "id": list(rollouts.ids),
            "group": list(rollouts.groups),
            "step": pd.array(list(rollouts.steps), dtype="Int64"),
            "reward": np.array([np.nan if reward is None else reward for reward in rollouts.rewards]),
            "advantage": self.ratios.advantage,
            "tokens": self.counts,
            "log_s": self.log_s,
            "s": np.exp(np.clip(self.log_s, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)),
            "variance": self.variance,
        }
        for key, totals in self.totals.items():
            frame[f"kept_{key}"] = totals.kept()
            frame[f"dropped_{key}"] = totals.dropped.sum(1).astype(np.int64)
        return pd.DataFrame(frame)

    def token_table(self, index: int) -> pd.DataFrame:
        """One row per token of sequence `index`: text, log-probs, z, r, A, and w, c of each objective."""
        import pandas as pd

        sequence = self.rollouts[index]
        part = slice(int(self.rollouts.offsets[index]), int(self.rollouts.offsets[index + 1]))
        log_ratio = self.rollouts.log_ratio[part]
        frame: dict[str, Any] = {"position": np.arange(len(sequence)), "token": list(sequence.tokens)}
        if sequence.token_ids is not None:
            frame["token_id"] = sequence.token_ids
        frame |= {
            "mask": sequence.mask.astype(int),
            "logprob": sequence.logprobs,
            "old_logprob": sequence.old_logprobs,
            "log_ratio": np.where(sequence.mask, log_ratio, np.nan),
            "ratio": np.where(sequence.mask, np.exp(np.clip(log_ratio, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)), np.nan),
            "advantage": sequence.advantages,
        }
        for key, numbers in self.tokens.items():
            own = numbers.sequence(index)
            frame[f"weight_{key}"] = np.where(sequence.mask, own.weight, np.nan)
            frame[f"coefficient_{key}"] = np.where(sequence.mask, own.coefficient, np.nan)
        return pd.DataFrame(frame)


def unweighed(
    rollouts: Rollouts,
    objectives: Mapping[str, Objective],
    before: Analysis | None = None,
    correction: Correction | None = None,
) -> Analysis:
    """The file under these objectives before the pass over all tokens: single sequences can be looked at already.

    `before` is another analysis of the same file: what no objective changes is taken from it.
    """
    same = before is not None and before.rollouts is rollouts
    ratios = before.ratios if before and same else Ratios(rollouts)
    return Analysis(rollouts, dict(objectives), {}, ratios, _used(rollouts, correction))


def _used(rollouts: Rollouts, correction: Correction | None) -> Correction | None:
    return None if rollouts.sampler_logprobs is None else correction


def analysing(
    rollouts: Rollouts,
    objectives: Mapping[str, Objective],
    before: Analysis | None = None,
    correction: Correction | None = None,
) -> Steps[Analysis]:
    """`analyse` in steps. `before` is another analysis of the same file: what it has of these objectives is taken."""
    correction = _used(rollouts, correction)
    if before is None or before.rollouts is not rollouts:
        before = unweighed(rollouts, {})
    same = before.correction == correction
    known = {before.objectives[key]: totals for key, totals in before.totals.items() if same}
    missing = {key: objective for key, objective in objectives.items() if objective not in known}
    made = yield from gathering(rollouts, missing, before.ratios.signal, correction)
    totals = {key: made[key] if key in made else known[objective] for key, objective in objectives.items()}
    return Analysis(rollouts, dict(objectives), totals, before.ratios, correction)


def analyse(rollouts: Rollouts, objectives: Mapping[str, Objective], correction: Correction | None = None) -> Analysis:
    """What each objective does to the file; with a correction for the sampler, what both do together."""
    return finish(analysing(rollouts, objectives, correction=correction))
