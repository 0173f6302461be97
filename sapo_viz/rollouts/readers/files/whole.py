"""Checks on the arrays of many sequences at once, for the columnar readers.

They say only *that* something is out of the ordinary (`NotPlain`); the file is then read record by record,
which finds the place and the words, or accepts what these do not know. So both ways take the same files.
"""

from __future__ import annotations

import numpy as np

from sapo_viz.rollouts.columns import Counts, NotPlain
from sapo_viz.rollouts.schema import ROUNDING

_WHOLE = 2**53  # beyond it a float64 skips whole numbers


def plain(holds: bool | np.bool_) -> None:
    """NotPlain unless it holds."""
    if not holds:
        raise NotPlain


def checked_mask(values: np.ndarray) -> np.ndarray:
    """[K] bool from 0 and 1."""
    mask = values.astype(bool)
    plain((mask == values).all())
    return mask


def checked_finite(values: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """[K] float64, finite where the mask is on."""
    finite = np.isfinite(values)
    plain(finite.all() if mask is None else (finite | ~mask).all())
    return values


def checked_logprobs(values: np.ndarray, mask: np.ndarray | None, counts: Counts) -> np.ndarray:
    """[K] log-probs: finite and at most 0 where the mask is on; a rounding above 0 is taken as 0 and counted."""
    checked_finite(values, mask)
    with np.errstate(invalid="ignore"):
        above = values > 0
    if mask is not None:
        above &= mask
    if above.any():
        plain(values[above].max() <= ROUNDING)
        counts.rounded += int(np.count_nonzero(above))
        values = np.where(above, 0.0, values)
    return values


def checked_ids(values: np.ndarray) -> np.ndarray:
    """[K] int64 token ids, whole numbers from 0."""
    if not np.issubdtype(values.dtype, np.integer):
        plain((np.isfinite(values) & (values == np.floor(values))).all())
    plain(((values >= 0) & (values < _WHOLE)).all())
    return values.astype(np.int64, copy=False)


def checked_numbers(values: list[float | int | None]) -> list[float | None]:
    """[N] finite numbers or None."""
    out = [None if value is None else float(value) for value in values]
    plain(all(value is None or np.isfinite(value) for value in out))
    return out


def checked_steps(values: list[float | int | None]) -> list[int | None]:
    """[N] whole numbers or None."""
    plain(all(value is None or (value == value // 1 and abs(value) <= _WHOLE) for value in values))
    return [None if value is None else int(value) for value in values]


def checked_labels(values: list[str | int | float | None]) -> list[str | None]:
    """[N] texts, whole numbers as text, or None. pandas writes 3 as 3.0 beside a missing value."""
    plain(all(not isinstance(value, float) or value.is_integer() for value in values))
    return [None if value is None else str(int(value) if isinstance(value, float) else value) for value in values]
