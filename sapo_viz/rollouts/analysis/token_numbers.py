"""Token by token under one objective, worked out when somebody looks: nobody looks at ten million tokens at once."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from sapo_viz.core.correction import Correction
from sapo_viz.core.objective import Objective
from sapo_viz.rollouts.analysis.passes import chunks, one_thread
from sapo_viz.rollouts.schema import Rollouts

_KEPT = 500_000  # tokens whose numbers stay in memory, 12 MB; the last sequence stays whatever its length


@dataclass(frozen=True)
class Numbers:
    """Of some tokens in file order, each [K] float64 and read-only. Masked tokens: ratio 1, the rest 0."""

    ratio: np.ndarray  # r, or s at sequence level
    coefficient: np.ndarray  # c: ∂J/∂log π = c·A
    weight: np.ndarray  # w = c / ratio


class TokenNumbers:
    """One objective over the flat tokens of a file: `ratio`, `coefficient`, `weight`, each indexed like [M].

    A slice is computed from the sequences that it touches; a single sequence's numbers are kept for a while.
    """

    def __init__(self, rollouts: Rollouts, objective: Objective, correction: Correction | None = None) -> None:
        self._rollouts, self._objective, self._correction = rollouts, objective, correction
        self._kept: OrderedDict[int, Numbers] = OrderedDict()
        self.ratio = Column(self, "ratio")
        self.coefficient = Column(self, "coefficient")
        self.weight = Column(self, "weight")

    def sequence(self, index: int) -> Numbers:
        """The numbers of one sequence, [T]."""
        kept = self._kept
        found = kept.pop(index, None)
        kept[index] = found = self._compute(np.array([index])) if found is None else found
        while len(kept) > 1 and sum(len(numbers.weight) for numbers in kept.values()) > _KEPT:
            kept.popitem(last=False)
        return found

    def between(self, start: int, stop: int) -> Numbers:
        """The numbers of the tokens start:stop of the flat arrays."""
        offsets = self._rollouts.offsets
        first = int(np.searchsorted(offsets, start, "right")) - 1
        last = int(np.searchsorted(offsets, stop, "left"))
        numbers = self.sequence(first) if last - first == 1 else self._compute(np.arange(first, last))
        part = slice(start - int(offsets[first]), stop - int(offsets[first]))
        return Numbers(numbers.ratio[part], numbers.coefficient[part], numbers.weight[part])

    def _compute(self, rows: np.ndarray) -> Numbers:
        """Of neighbouring sequences."""
        offsets = self._rollouts.offsets
        first = int(offsets[rows[0]])
        ratio, coefficient, weight = (np.empty(int(offsets[rows[-1] + 1]) - first) for _ in range(3))
        with one_thread():
            for chunk in chunks(self._rollouts, rows):
                view = chunk.view(self._objective, self._correction)
                places = chunk.places - first
                for flat, values in ((ratio, view.ratio), (coefficient, view.coefficient), (weight, view.gate_weight)):
                    flat[places] = values.numpy()[chunk.inside] + 0.0  # −0 becomes 0
        for flat in (ratio, coefficient, weight):
            flat.setflags(write=False)
        return Numbers(ratio, coefficient, weight)


class Column:
    """One of the three numbers of every token, [M]. `[:]` or `np.asarray` work out all of them."""

    def __init__(self, numbers: TokenNumbers, name: str) -> None:
        self._numbers, self._name = numbers, name

    def __len__(self) -> int:
        return len(self._numbers._rollouts.tokens)

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> np.ndarray: ...
    def __getitem__(self, index: int | slice) -> float | np.ndarray:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise IndexError("the numbers of tokens are taken in slices of step 1.")
            return getattr(self._numbers.between(start, stop), self._name) if start < stop else np.empty(0)
        place = range(len(self))[index]
        return float(getattr(self._numbers.between(place, place + 1), self._name)[0])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)

    def tolist(self) -> list[float]:
        values: list[float] = self[:].tolist()
        return values
