"""Far from the old policy, in low precision, in odd shapes: finite, and right.

"Right" is the closed form of ∂J/∂log π (DESIGN's table) in Python floats, at the clamped log-ratio:
a ratio is held within e^±20, as verl does, and outside that range it gets no gradient.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from sapo_viz import CATALOG, Objective, make_objective, policy_loss
from sapo_viz.core.objective import LOG_RATIO_LIMIT

LOG_RATIOS = [0.0] + [sign * z for z in (0.1, 0.25, 1.0, 3.0, 15.0, 19.5, 25.0, 88.8, 700.0) for sign in (1, -1)]


def sech2(x: float) -> float:
    return 4 * math.exp(-2 * abs(x)) / (1 + math.exp(-2 * abs(x))) ** 2


def inside_band(r: float, a: float, low: float, high: float) -> bool:
    return not (a > 0 and r > 1 + high) and not (a < 0 and r < 1 - low)


def cut(z: float) -> float:
    """What the clamp leaves of a gradient that flows through z."""
    return 1.0 if abs(z) <= LOG_RATIO_LIMIT else 0.0


def dppo(r: float, a: float, z: float, divergence: Callable[[float, float], float]) -> float:
    """The rows below put the likelier of both policies at log-prob −1."""
    old, new = (math.exp(-1 - z), math.exp(-1)) if z > 0 else (math.exp(-1), math.exp(-1 + z))
    harmful = (a > 0 and z > 0) or (a < 0 and z < 0)
    return 0.0 if harmful and divergence(new, old) > 0.2 else min(r, 20.0)


def binary_kl(new: float, old: float) -> float:
    mine = old * math.log(old / new) if old > 0 and new > 0 else (math.inf if old > 0 else 0.0)
    return mine + (1 - old) * math.log((1 - old) / (1 - new))


def vespo(a: float, z: float) -> float:
    k, decay = (2.0, 3.0) if a > 0 else (3.0, 2.0)
    log_w = max(-20.0, min(20.0, 3 * z))  # W multiplies the row's three tokens
    return math.exp(k * log_w - decay * math.expm1(log_w))


def old_probability(z: float) -> float:
    """Of the rows below."""
    return math.exp(-1 - z) if z > 0 else math.exp(-1)


def dgpo(r: float, a: float) -> float:
    return r * (min(1.0, r / 0.8) if a < 0 else min(1.0, 1.28 / r) ** 0.5)


def maspo(r: float, a: float, z: float) -> float:
    width = min(old_probability(z) ** -0.3, 10.0) * (1 + 0.03 * a if a > 0 else 1 / (1 - 0.03 * a))
    harmful = (a > 0 and r > 1) or (a < 0 and r < 1)
    return r * (math.exp(-((r - 1) ** 2) / (2 * width**2)) if harmful else 1.0)


def moved(r: float, z: float) -> float:
    """How far the token's probability did."""
    return old_probability(z) * math.expm1(max(-20.0, min(20.0, z)) if abs(z) <= 20 else z)


def prime(r: float, a: float, z: float, harmful: bool) -> float:
    return cut(z) * ((0.0 if harmful else r) - 2 * 1e-3 * z / a)


def fipo(r: float, a: float, z: float) -> list[float]:
    """The first of the row's three tokens has two after it, the last none."""
    z, gamma = max(-20.0, min(20.0, z)), 2 ** (-1 / 32)
    sums = [z * (1 + gamma + gamma**2), z * (1 + gamma), z]
    boost = [min(max(math.exp(total), 1.0), 1.2) for total in sums]
    if a < 0 and r > 4:
        boost = [min(factor, 1.0) for factor in boost]
    return [factor * r * inside_band(r, a, 0.2, 0.28) for factor in boost]


def kl_cov(r: float, a: float, z: float) -> list[float]:
    """Three equal tokens have covariance 0, so the first is the one that is pulled back, with β = 1."""
    pull = 0.0 if z == 0 else math.copysign(1.0, z) / a
    return [cut(z) * (r - pull), cut(z) * r, cut(z) * r]


# c(r, A, z) of DESIGN's table with the default knobs. GSPO: all tokens of the test's row share z, so s = r.
COEFFICIENT: dict[str, Callable[[float, float, float], float | list[float]]] = {
    "sapo": lambda r, a, z: cut(z) * r * sech2((1.0 if a > 0 else 1.05) * (r - 1) / 2),
    "grpo": lambda r, a, z: cut(z) * r * inside_band(r, a, 0.2, 0.2),
    "gspo": lambda r, a, z: cut(z) * r * inside_band(r, a, 3e-4, 4e-4),
    "dapo": lambda r, a, z: cut(z) * r * inside_band(r, a, 0.2, 0.28),
    "dr_grpo": lambda r, a, z: cut(z) * r * inside_band(r, a, 0.2, 0.2),
    "dual_clip": lambda r, a, z: cut(z) * r * (inside_band(r, a, 0.2, 0.2) and not (a < 0 and r > 3)),
    "cispo": lambda r, a, z: min(r, 5.0),  # the ratio is a number there: clamped, never cut
    "unclipped": lambda r, a, z: cut(z) * r,
    "luspo": lambda r, a, z: cut(z) * r * inside_band(r, a, 3e-4, 4e-4),
    "gmpo": lambda r, a, z: r * (z <= 0.4 if a > 0 else z >= -0.4) * cut(z),
    "dppo_tv": lambda r, a, z: dppo(r, a, z, lambda new, old: abs(new - old)),
    "dppo_kl": lambda r, a, z: dppo(r, a, z, binary_kl),
    "vespo": lambda r, a, z: vespo(a, z),
    "erf": lambda r, a, z: cut(z) * r * math.exp(-50 * (r - 1) ** 2),
    "arctan": lambda r, a, z: cut(z) * r / (1 + 100 * (r - 1) ** 2),
    "softsign": lambda r, a, z: cut(z) * r * (1 + 100 * (r - 1) ** 2) ** -1.5,
    "gspo_token": lambda r, a, z: r * inside_band(r, a, 3e-4, 4e-4),  # s is stopped: clamped, never cut
    "dgpo": lambda r, a, z: cut(z) * dgpo(r, a),
    "maspo": lambda r, a, z: cut(z) * maspo(r, a, z),
    "pspo": lambda r, a, z: cut(z) * 0.9 * r,
    "cfpo": lambda r, a, z: cut(z) * r * (1 - a * (r - 1) / 0.2),
    "drpo": lambda r, a, z: cut(z) * r * (1 - a * old_probability(z) * (r - 1) / 12.5),
    "dro": lambda r, a, z: 1 - cut(z) * 0.1 * z / a,
    "prime_dppo": lambda r, a, z: prime(r, a, z, moved(r, z) > 0.2 if a > 0 else moved(r, z) < -0.2),
    "prime_ipo": lambda r, a, z: prime(r, a, z, abs(moved(r, z)) > 0.1),
    "gpg": lambda r, a, z: 1.0,
    "topr": lambda r, a, z: 1.0 if a > 0 else math.exp(max(-20.0, min(0.0, 3 * z))),  # W multiplies three tokens
    "icepop": lambda r, a, z: r * (0.5 <= r <= 5.0),
    "aspo": lambda r, a, z: min(1 / r, 3.0) * (r <= 1.2) if a > 0 else min(r, 3.0) * (r >= 0.8),
    "fipo": lambda r, a, z: [cut(z) * c for c in fipo(r, a, z)],
    "m2po": lambda r, a, z: cut(z) * r * inside_band(r, a, 0.3, 0.5),  # three equal tokens: its floors, or no band
    "clip_cov": lambda r, a, z: cut(z) * r * inside_band(r, a, 0.2, 0.2),  # three equal tokens have covariance 0
    "kl_cov": lambda r, a, z: kl_cov(r, a, z),
}


def test_every_objective_has_its_closed_form_here() -> None:
    assert set(COEFFICIENT) == set(CATALOG)


def row(z: float, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Three tokens that share the log-ratio z, with log-probs ≤ 0. [1, 3]"""
    new, old = (-1.0, -1.0 - z) if z > 0 else (-1.0 + z, -1.0)
    return torch.full((1, 3), new, dtype=dtype), torch.full((1, 3), old, dtype=dtype)


@pytest.mark.parametrize("name", COEFFICIENT)
def test_coefficient_is_the_closed_form_from_near_to_700_away(name: str) -> None:
    for z, advantage in itertools.product(LOG_RATIOS, (1.0, -1.0)):
        new, old = row(z, torch.float64)
        out = policy_loss(make_objective(name), new.requires_grad_(True), old, torch.tensor([advantage]).double())
        exact = (new[0, 0] - old[0, 0]).item()  # 1 + z − 1 in floats
        expected = COEFFICIENT[name](math.exp(max(-20.0, min(20.0, exact))), advantage, exact)
        got = out.tokens.coefficient[0]
        # float64 loses 1e-16·e^20 where σ saturates, which is 1e-8 of r = 5e8; elsewhere it is rounding.
        each = expected if isinstance(expected, list) else [expected] * 3
        assert got.tolist() == pytest.approx(each, rel=1e-12, abs=1e-13), (z, advantage)
        assert math.isfinite(out.loss.item()), (z, advantage)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_loss_gradient_weights_and_metrics_are_finite(objective: Objective, dtype: torch.dtype) -> None:
    for z, advantage in itertools.product(LOG_RATIOS, (1.0, -1.0, 0.0)):
        here = z, advantage
        new, old = row(z, dtype)
        new.requires_grad_(True)
        out = policy_loss(objective, new, old, torch.tensor([advantage], dtype=dtype))
        out.loss.backward()
        assert new.grad is not None and new.grad.dtype == dtype, here
        # A gradient of e^20 is 5e8, past float16's 65504: the loss itself is float32 and stays finite.
        assert torch.isfinite(new.grad).all() or dtype == torch.float16, here
        assert math.isfinite(out.loss.item()), here
        assert all(torch.isfinite(value).all() for value in (out.tokens.ratio, out.tokens.gate_weight)), here
        assert all(math.isfinite(value) for value in out.metrics.values()), here


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_low_precision_is_worked_in_float32_and_exact_for_what_it_holds(
    objective: Objective, batch: Any, dtype: torch.dtype
) -> None:
    """The same numbers, rounded to the low precision first, give float64's loss to float32 rounding."""
    new, old, advantages = (x.to(dtype) for x in (batch.logprobs, batch.old_logprobs, batch.advantages))
    low = policy_loss(objective, new, old, advantages, batch.mask)
    high = policy_loss(objective, new.double(), old.double(), advantages.double(), batch.mask)
    assert low.loss.dtype == torch.float32 and high.loss.dtype == torch.float64
    assert low.loss.item() == pytest.approx(high.loss.item(), rel=1e-5, abs=1e-6)
    assert (low.tokens.gate_weight.double() - high.tokens.gate_weight).abs().max().item() < 1e-5


def test_one_token_rows_and_masked_rows_count_as_they_should(objective: Objective, batch: Any) -> None:
    """A row of one token among masked rows is the batch: the others do not count."""
    mask = torch.zeros_like(batch.mask)
    mask[2, 4] = True
    among = policy_loss(objective, batch.logprobs, batch.old_logprobs, batch.advantages, mask, max_length=4).loss
    alone = policy_loss(
        objective,
        batch.logprobs[2:3, 4:5],
        batch.old_logprobs[2:3, 4:5],
        batch.advantages[2:3],
        max_length=4,
    ).loss
    assert among.item() == alone.item()


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (0, 0)])
def test_an_empty_batch_has_loss_0(objective: Objective, shape: tuple[int, int]) -> None:
    empty = torch.zeros(shape, requires_grad=True)
    out = policy_loss(objective, empty, empty.detach(), torch.zeros(shape[0]))
    out.loss.backward()
    assert out.loss.item() == 0.0 and out.metrics["gate_mean"] == 1.0


def test_kl_to_old_counts_a_forbidden_token_in_full() -> None:
    """One token 700 nats down: r − 1 − log r = e^−700 − 1 + 700 = 699, not what the clamped ratio would give."""
    new, old = row(-700.0, torch.float64)
    out = policy_loss(make_objective("sapo"), new, old, torch.ones(1).double())
    assert out.metrics["kl_old"] == pytest.approx(699.0, abs=1e-9)


@pytest.mark.parametrize("name", ["dppo_tv", "dppo_kl"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_a_token_that_was_certain_is_cut_once_it_has_moved(name: str, dtype: torch.dtype) -> None:
    """π_old = 1 (a log-prob of exactly 0 is common in real files), π_θ = 1/e, A < 0: both divergences are above
    δ = 0.2 (|1/e − 1| = 0.63; KL = 1·log(1/(1/e)) + 0 = 1). With π_θ = π_old = 1 nothing has moved."""
    old = torch.zeros(1, 2, dtype=dtype)
    new = torch.tensor([[-1.0, 0.0]], dtype=dtype)
    weight = policy_loss(make_objective(name), new, old, torch.tensor([-1.0], dtype=dtype)).tokens.gate_weight
    assert weight.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("name", ["grpo", "gspo", "dapo", "dr_grpo", "luspo"])
@pytest.mark.parametrize(("log_ratio", "advantage"), [(19.9, 1.0), (3.0, 1.0), (-19.9, -1.0), (-7.0, -1.0)])
def test_a_clip_that_is_switched_off_clips_nothing(name: str, log_ratio: float, advantage: float) -> None:
    """ε_low = 1 and ε_high = 5e8 are "off": c = r on the harmful side too, up to the bound of all ratios."""
    batch = row(log_ratio, torch.float64)
    advantages = torch.tensor([advantage], dtype=torch.float64)
    tokens = policy_loss(CATALOG[name](eps_low=1.0, eps_high=5e8), *batch, advantages).tokens
    torch.testing.assert_close(tokens.gate_weight, torch.ones_like(tokens.gate_weight), atol=1e-12, rtol=0)
