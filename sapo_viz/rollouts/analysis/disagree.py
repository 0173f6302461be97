"""Where the objectives disagree most: the way into a file of a million tokens.

Of a sequence: the largest share kept by one of them minus the smallest, kept = Σ|A|·w / Σ|A|. Of a token:
|A|·(largest c − smallest c) over the mean |A| of the file's tokens with A ≠ 0, so that 1 is the whole gradient of
an average token on-policy. c, not w: it is what the gradient is multiplied by. Aggregation is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sapo_viz.core.correction import Correction
from sapo_viz.core.objective import Objective
from sapo_viz.rollouts.analysis.passes import chunks, in_turn, one_thread, spans
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.steps import Steps, finish

if TYPE_CHECKING:
    import pandas as pd

    from sapo_viz.rollouts.analysis.analyse import Analysis


def sequences_apart(analysis: Analysis, k: int = 20) -> pd.DataFrame:
    """The k sequences with the largest spread, largest first.

    Columns: sequence (its place in the file), id, tokens, advantage, s, variance, spread, most and least (the
    objectives that keep most and least), and `kept_<key>` of each. Sequences without a gradient have no spread.
    """
    keys = list(analysis.objectives)
    columns = [f"kept_{key}" for key in keys]
    frame = analysis.sequences
    kept = frame[columns].to_numpy(dtype=float)
    defined = np.isfinite(kept).all(axis=1)
    spread = np.where(defined, kept.max(axis=1) - kept.min(axis=1), -1.0)
    index = top(spread, k)
    index = index[spread[index] > 0]
    out = frame.iloc[index][["id", "tokens", "advantage", "s", "variance", *columns]].reset_index(drop=True)
    out.insert(0, "sequence", index)
    out.insert(6, "spread", spread[index])
    out.insert(7, "most", [keys[i] for i in kept[index].argmax(axis=1)])
    out.insert(8, "least", [keys[i] for i in kept[index].argmin(axis=1)])
    return out


def tokens_apart(
    rollouts: Rollouts, objectives: Mapping[str, Objective], k: int = 50, correction: Correction | None = None
) -> pd.DataFrame:
    """The k response tokens with the largest difference, largest first.

    Columns: sequence, position (from 0), token, log_ratio, advantage, difference, most, least, and `c_<key>` of
    each. One pass over the tokens that have a gradient, in chunks: memory depends on k, not on the file.
    """
    return finish(comparing(rollouts, objectives, k, correction))


def comparing(
    rollouts: Rollouts, objectives: Mapping[str, Objective], k: int = 50, correction: Correction | None = None
) -> Steps[pd.DataFrame]:
    """`tokens_apart` in steps."""
    import pandas as pd

    keys = list(objectives)
    scale, with_signal = _signal(rollouts)
    best = np.zeros(0)
    places = np.zeros(0, np.int64)
    coefficients = np.zeros((len(keys), 0))
    done, total = 0, int(rollouts.lengths[with_signal].sum())
    for chunk in chunks(rollouts, with_signal):
        with in_turn(rollouts), one_thread():
            views = [chunk.view(objective, correction) for objective in objectives.values()]
        c = np.stack([view.coefficient.numpy()[chunk.inside] for view in views])
        difference = (c.max(axis=0) - c.min(axis=0)) * np.abs(chunk.advantages[chunk.inside] / scale)
        floor = best.min() if len(best) >= k else 0.0
        over = np.flatnonzero(difference > floor)
        over = over[top(difference[over], k)]
        best = np.concatenate((best, difference[over]))
        places = np.concatenate((places, chunk.places[over]))
        coefficients = np.concatenate((coefficients, c[:, over]), axis=1)
        keep = top(best, k)
        best, places, coefficients = best[keep], places[keep], coefficients[:, keep]
        done += len(chunk.places)
        yield done / total
    sequence = np.searchsorted(rollouts.offsets, places, "right") - 1
    frame = {
        "sequence": sequence,
        "position": places - rollouts.offsets[sequence],
        "token": [rollouts.tokens[int(place)] for place in places],
        "log_ratio": rollouts.logprobs[places] - rollouts.old_logprobs[places],
        "advantage": rollouts.advantages[places],
        "difference": best,
        "most": [keys[i] for i in coefficients.argmax(axis=0)] if len(places) else [],
        "least": [keys[i] for i in coefficients.argmin(axis=0)] if len(places) else [],
    }
    return pd.DataFrame(frame | {f"c_{key}": coefficients[row] + 0.0 for row, key in enumerate(keys)})


def top(values: np.ndarray, k: int) -> np.ndarray:
    """Places of the k largest values, largest first, the earlier one of equals first; no full sort. [n] -> [≤ k]"""
    if len(values) > k > 0:
        floor = np.partition(values, len(values) - k)[len(values) - k]
        above, ties = np.flatnonzero(values > floor), np.flatnonzero(values == floor)
        chosen = np.concatenate((above, ties[: k - len(above)]))
    else:
        chosen = np.arange(len(values))[: max(k, 0)]
    return chosen[np.lexsort((chosen, -values[chosen]))]


def _signal(rollouts: Rollouts) -> tuple[float, np.ndarray]:
    """Mean |A| of the response tokens with A ≠ 0 (1 if there are none), and the sequences that have such tokens."""
    largest, rows_with = 0.0, []
    total, count = 0.0, 0
    for rows, part in spans(rollouts):
        size = np.where(rollouts.mask[part], np.abs(rollouts.advantages[part]), 0.0)
        top_here = float(size.max())
        if top_here > largest:  # sums are kept relative to the largest: |A| may be 1e300
            total, largest = total * (largest / top_here), top_here
        if largest:
            total += float((size / largest).sum())
        count += int(np.count_nonzero(size))
        starts = rollouts.offsets[rows] - part.start
        rows_with.append(np.flatnonzero(np.maximum.reduceat(size, starts)) + rows.start)
    return (total / count * largest if count else 1.0), np.concatenate(rows_with)
