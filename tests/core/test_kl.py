"""KL estimators far from zero, against the exact sum: near zero a reversed direction cannot be seen."""

from __future__ import annotations

import math

import pytest
import torch

from sapo_viz.core.kl import k1, k2, k3

# p is where samples come from (π_old), q the other one (π_θ).
P = torch.tensor([0.70, 0.20, 0.09, 0.01], dtype=torch.float64)
Q = torch.tensor([0.05, 0.15, 0.30, 0.50], dtype=torch.float64)
Z = (Q / P).log()


def exact(p: torch.Tensor, q: torch.Tensor) -> float:
    """Σ p·log(p/q) in Python floats."""
    return sum(a * math.log(a / b) for a, b in zip(p.tolist(), q.tolist(), strict=True))


def test_the_two_directions_differ_here() -> None:
    """KL(p‖q) = 1.757, KL(q‖p) = 2.142: a reversed estimator is off by a fifth."""
    assert exact(P, Q) == pytest.approx(1.757, abs=5e-4)
    assert exact(Q, P) == pytest.approx(2.142, abs=5e-4)


@pytest.mark.parametrize("estimator", [k1, k3])
def test_k1_and_k3_are_unbiased_for_kl_from_the_sampler(estimator: object) -> None:
    """The expectation over p as an exact sum, Σ p·k(log q/p), is KL(p‖q)."""
    assert (P * estimator(Z)).sum().item() == pytest.approx(exact(P, Q), abs=1e-14)  # type: ignore[operator]


def test_k2_is_half_the_square_and_biased() -> None:
    """Σ p·z²/2 by hand: 0.7·(log 1/14)²/2 + 0.2·(log 0.75)²/2 + 0.09·(log 10/3)²/2 + 0.01·(log 50)²/2 = 2.5879."""
    logs = [math.log(1 / 14), math.log(0.75), math.log(10 / 3), math.log(50)]
    by_hand = sum(p * z * z / 2 for p, z in zip([0.7, 0.2, 0.09, 0.01], logs, strict=True))
    assert (P * k2(Z)).sum().item() == pytest.approx(by_hand, abs=1e-14)
    assert abs(by_hand - exact(P, Q)) > 0.5


def test_k3_is_never_negative_and_k1_may_be() -> None:
    z = torch.tensor([-5.0, -1.0, -0.01, 0.0, 0.01, 1.0, 5.0], dtype=torch.float64)
    assert (k3(z) > 0).tolist() == [True, True, True, False, True, True, True]
    assert (k1(z) < 0).any()


def test_k3_keeps_its_digits_near_zero() -> None:
    """k3(1e-6) = z²/2 + z³/6 = 5.0000017e-13; exp(z) − 1 − z would keep four digits at best."""
    z = torch.tensor(1e-6, dtype=torch.float64)
    assert k3(z).item() == pytest.approx(5.00000166667e-13, rel=1e-9)


def test_as_a_penalty_k1_has_no_gradient_k2s_is_that_of_the_kl_and_k3s_that_of_the_other_direction() -> None:
    """Samples from the trained p, whose probabilities autograd does not see: Σ sg[p]·∇k(log q/p), as exact sums."""
    logits = P.log().requires_grad_()

    def gradient(value: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(value, logits)[0]

    def log_p() -> torch.Tensor:
        return torch.log_softmax(logits, -1)

    forward = gradient((log_p().exp() * (log_p() - Q.log())).sum())
    backward = gradient((Q * (Q.log() - log_p())).sum())
    assert (forward - backward).abs().max() > 0.4
    for estimator, expected in ((k1, torch.zeros(4, dtype=torch.float64)), (k2, forward), (k3, backward)):
        got = gradient((P * estimator(Q.log() - log_p())).sum())
        torch.testing.assert_close(got, expected, atol=1e-14, rtol=0)
