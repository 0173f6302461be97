"""Batches for the core's tests, and every objective that is in the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from sapo_viz import CATALOG, Objective


@dataclass(frozen=True)
class Batch:
    """Log-probs [B, T], advantages [B], mask [B, T] (bool)."""

    logprobs: Tensor
    old_logprobs: Tensor
    advantages: Tensor
    mask: Tensor

    def grad_leaf(self) -> Tensor:
        return self.logprobs.clone().requires_grad_(True)


def make_batch(seed: int = 0, *, batch: int = 5, length: int = 8, spread: float = 0.5) -> Batch:
    """Random, unequal lengths, both signs of A, ratios on both sides of every usual band."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    old = -3 - normal(batch, length).abs()
    advantages = normal(batch)
    lengths = torch.randint(1, length + 1, (batch,), generator=generator)
    lengths[0] = length
    mask = torch.arange(length) < lengths[:, None]
    return Batch(old + spread * normal(batch, length), old, advantages, mask)


@pytest.fixture
def batch() -> Batch:
    return make_batch()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `objective` runs for each one in the catalogue: a new one is tested by being there."""
    if "objective" in metafunc.fixturenames:
        metafunc.parametrize("objective", [cls() for cls in CATALOG.values()], ids=list(CATALOG))


@pytest.fixture
def gradient_of() -> Any:
    """(objective, batch, **more) -> ∂(−loss)/∂logprobs, what training adds to each log-prob. [B, T]"""
    from sapo_viz import policy_loss

    def gradient(objective: Objective, batch: Batch, **more: Any) -> Tensor:
        leaf = batch.grad_leaf()
        out = policy_loss(objective, leaf, batch.old_logprobs, batch.advantages, batch.mask, **more)
        out.loss.backward()
        assert leaf.grad is not None
        return -leaf.grad

    return gradient


@pytest.fixture
def batches() -> list[Batch]:
    """Near the old policy, at usual distance, far away, and so near that GSPO's band (4e-4) is straddled."""
    return [make_batch(seed, spread=spread) for seed, spread in enumerate((0.05, 0.5, 2.0, 5e-4))]
