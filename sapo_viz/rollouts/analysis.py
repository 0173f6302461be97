"""What each objective does to the tokens of a file: token by token, sequence by sequence, and over all of it.

The numbers come from `core.losses.token_view`, the same call that training and the curves make. Sequences
go through it padded to [B, T] in chunks of similar length, and come back flat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from sapo_viz.core.lazy import torch
from sapo_viz.core.losses import token_view
from sapo_viz.core.objective import LOG_RATIO_LIMIT, Objective
from sapo_viz.rollouts.schema import Rollouts

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 1 << 18  # padded tokens at a time: 2 MB a tensor, so the peak does not depend on the file


@dataclass(frozen=True)
class TokenNumbers:
    """One objective over a flat set of tokens, all [M] float64. Masked tokens: ratio 1, the rest 0."""

    ratio: np.ndarray  # r, or s at sequence level
    coefficient: np.ndarray  # c: ∂J/∂log π = c·A
    weight: np.ndarray  # w = c / ratio


@dataclass(frozen=True)
class Share:
    """What an objective keeps of the gradient of some tokens.

    tokens          response tokens with A ≠ 0; the others have no gradient to keep
    kept            Σ|A|·w / Σ|A|: the mean gate, the metric `gate_mean`
    clip_fraction   share of these tokens with c = 0, the metric `clip_fraction`
    ess             (Σ c)² / (n·Σ c²): the share of tokens that effectively carries the update; c is the
                    importance weight after the gate, so that for `unclipped` it is the usual ESS of r
    Without such tokens the three are NaN.
    """

    tokens: int
    kept: float
    clip_fraction: float
    ess: float


@dataclass(frozen=True)
class Analysis:
    """A file under some objectives. Everything beyond `tokens` is derived on demand, and kept."""

    rollouts: Rollouts
    objectives: Mapping[str, Objective]  # key -> objective; the key is its catalogue name, or the spec it was given by
    tokens: Mapping[str, TokenNumbers]

    @cached_property
    def log_s(self) -> np.ndarray:
        """[N] log s_i = mean of z over the sequence's response tokens; 0 without any."""
        return self._sums(self.rollouts.log_ratio) / np.maximum(self.counts, 1)

    @cached_property
    def variance(self) -> np.ndarray:
        """[N] Var_i: variance of z within the sequence (population), the A2 of the paper's analysis."""
        with np.errstate(over="ignore", invalid="ignore"):  # log-probs of −1e200 are finite too
            spread = self.rollouts.log_ratio - np.repeat(self.log_s, self.rollouts.lengths)
            return self._sums(np.where(self.rollouts.mask, spread**2, 0.0)) / np.maximum(self.counts, 1)

    @cached_property
    def counts(self) -> np.ndarray:
        """[N] response tokens a sequence."""
        return self._sums(self.rollouts.mask.astype(np.float64)).astype(np.int64)

    def share(self, key: str, sign: int = 0) -> Share:
        """Over the whole file; `sign` 1 or −1 takes only the tokens whose A has that sign."""
        advantages = self.rollouts.advantages
        signal = self.rollouts.mask & (advantages != 0 if sign == 0 else np.sign(advantages) == sign)
        size = np.abs(advantages[signal])
        if not len(size):
            return Share(0, np.nan, np.nan, np.nan)
        numbers = self.tokens[key]
        c = numbers.coefficient[signal]
        # Scaled by its largest: c² overflows for ratios near the ±20 clamp times a large length.
        c_scaled = c / max(float(np.abs(c).max()), 1e-300)
        squares = float((c_scaled**2).sum())
        ess = float(c_scaled.sum()) ** 2 / (len(c) * squares) if squares else 0.0
        size = size / size.max()
        kept = float((size * numbers.weight[signal]).sum() / size.sum())
        return Share(len(c), kept, float((c == 0).mean()), ess)

    @cached_property
    def batch(self) -> pd.DataFrame:
        """One row an objective and sign of A (`all`, `A > 0`, `A < 0`): tokens, kept, clip_fraction, ess."""
        import pandas as pd

        rows = []
        for key in self.objectives:
            for sign, label in ((0, "all"), (1, "A > 0"), (-1, "A < 0")):
                share = self.share(key, sign)
                rows.append({"objective": key, "sign": label, **vars(share)})
        return pd.DataFrame(rows)

    @cached_property
    def sequences(self) -> pd.DataFrame:
        """One row a sequence: what it is, s_i, Var_i, and `kept_<key>`, `dropped_<key>` an objective.

        kept = Σ|A|·w / Σ|A| within the sequence, NaN where every A is 0; dropped = tokens with A ≠ 0, c = 0.
        """
        import pandas as pd

        rollouts = self.rollouts
        size = np.where(rollouts.mask, np.abs(rollouts.advantages), 0.0)
        total = self._sums(size)
        frame = {
            "id": list(rollouts.ids),
            "group": list(rollouts.groups),
            "step": pd.array(list(rollouts.steps), dtype="Int64"),
            "reward": np.array([np.nan if reward is None else reward for reward in rollouts.rewards]),
            "advantage": self._sums(np.where(rollouts.mask, rollouts.advantages, 0.0)) / np.maximum(self.counts, 1),
            "tokens": self.counts,
            "log_s": self.log_s,
            "s": np.exp(np.clip(self.log_s, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)),
            "variance": self.variance,
        }
        for key, numbers in self.tokens.items():
            with np.errstate(over="ignore", invalid="ignore"):
                frame[f"kept_{key}"] = np.where(total > 0, self._sums(size * numbers.weight) / total, np.nan)
            frame[f"dropped_{key}"] = self._sums(((size > 0) & (numbers.coefficient == 0)).astype(float)).astype(int)
        return pd.DataFrame(frame)

    def token_table(self, index: int) -> pd.DataFrame:
        """One row a token of sequence `index`: text, log-probs, z, r, A, and w, c of each objective."""
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
            frame[f"weight_{key}"] = np.where(sequence.mask, numbers.weight[part], np.nan)
            frame[f"coefficient_{key}"] = np.where(sequence.mask, numbers.coefficient[part], np.nan)
        return pd.DataFrame(frame)

    def _sums(self, values: np.ndarray) -> np.ndarray:
        """Sum within each sequence. [M] -> [N]"""
        return np.add.reduceat(values, self.rollouts.offsets[:-1])  # no sequence is empty


def analyse(rollouts: Rollouts, objectives: Mapping[str, Objective]) -> Analysis:
    """Ratio, coefficient and weight of every token of the file under each objective."""
    out = {key: [np.empty(len(rollouts.tokens)) for _ in range(3)] for key in objectives}
    for places, inside, batch in _chunks(rollouts):
        for key, objective in objectives.items():
            view = token_view(objective, *batch)
            for flat, values in zip(out[key], (view.ratio, view.coefficient, view.gate_weight), strict=True):
                flat[places] = values.numpy()[inside] + 0.0  # −0 becomes 0
    for arrays in out.values():
        for array in arrays:
            array.setflags(write=False)
    return Analysis(rollouts, dict(objectives), {key: TokenNumbers(*arrays) for key, arrays in out.items()})


def _chunks(rollouts: Rollouts) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[Any, ...]]]:
    """Sequences of similar length, padded: places in the flat arrays [K], which cells they fill [B, T] bool, tensors.

    The values were checked when the file was read, so `token_view` may take them as they are.
    """
    lengths = rollouts.lengths
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * lengths[order[stop]] <= _CHUNK:
            stop += 1
        rows = order[start:stop]
        steps = np.arange(lengths[rows[-1]])
        inside = steps < lengths[rows, None]
        places = (rollouts.offsets[rows, None] + steps)[inside]

        def pad(values: np.ndarray, inside: np.ndarray = inside, places: np.ndarray = places) -> Any:
            out = np.zeros(inside.shape, dtype=values.dtype)
            out[inside] = values[places]
            return torch.from_numpy(out)

        yield (
            places,
            inside,
            tuple(
                pad(values) for values in (rollouts.logprobs, rollouts.old_logprobs, rollouts.advantages, rollouts.mask)
            ),
        )
        start = stop
