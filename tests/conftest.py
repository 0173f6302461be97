"""Fixtures for the whole suite."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from sapo_viz.core.knobs import knob
from sapo_viz.core.lazy import torch
from sapo_viz.core.objective import CATALOG, Objective, register

if TYPE_CHECKING:
    from torch import Tensor


# As many test processes as processors: threads of one would take them from another, and wait for them turning.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def toy_objective() -> Iterator[type[Objective]]:
    """An objective that nobody ships, in the catalogue for one test: it must appear on every surface.

    J = A·tanh(κ(r−1))/κ, so c = r·(1 − tanh²(κ(r−1))): a soft gate, and w(1) = 1 as for all of them.
    """

    @register
    @dataclass(frozen=True)
    class Toy(Objective):
        name = "toy"
        label = "Toy gate"
        family = "soft gate"
        paper = "0000.00000"
        formula = r"\tfrac1\kappa\tanh\big(\kappa(r-1)\big)A"
        idea = "A gate that exists in the tests only."

        kappa: float = knob(2.0, lo=0.1, hi=9.0, symbol="κ", latex=r"\kappa", help="Steepness of the toy gate.")

        def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
            return torch.tanh(self.kappa * torch.expm1(log_ratio)) / self.kappa * advantages

    try:
        yield Toy
    finally:
        del CATALOG["toy"]
