"""What the exhibits draw is what training gives: each token's weight, and the gradient on every logit."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from sapo_viz import CATALOG, make_objective
from sapo_viz.core.curves import curve
from sapo_viz.core.objective import Objective
from sapo_viz.core.token_view import token_view
from sapo_viz.figures.exhibits.outlier import can_be_shown
from tests.javascript.node import run

RATIOS = [0.3, 0.9, 1.0, 1.02, 1.25, 4.0]
MORE = 2  # tokens at r = 1 without a handle
KNOBS = {"gspo": {"eps_low": 0.4, "eps_high": 0.5}, "gmpo": {"eps_low": 0.2, "eps_high": 0.3}, "sapo": {"tau_neg": 3.0}}

TOKEN_WEIGHTS = """\
import { tokenWeights } from "./exhibits/token_weights.js";
export default ({ objectives, sequence }) => objectives.map((one) => tokenWeights(one, one.knobs, sequence));
"""


def asked(name: str, objective: Objective) -> dict[str, Any]:
    return {
        "name": name,
        "level": objective.ratio_level,
        "knobs": {knob: getattr(objective, knob) for knob in objective.knobs()},
    }


@pytest.mark.parametrize("sign", [1, -1])
def test_every_token_of_the_sequence_weighs_what_it_does_in_training(sign: int) -> None:
    names = [name for name in CATALOG if can_be_shown(name)]
    objectives = [make_objective(name, KNOBS.get(name)) for name in names]
    drawn = run(
        TOKEN_WEIGHTS,
        {
            "objectives": [asked(name, one) for name, one in zip(names, objectives, strict=True)],
            "sequence": {"ratios": RATIOS, "more": MORE, "sign": sign, "old": 0.01},
        },
    )
    z = torch.tensor([RATIOS + [1.0] * MORE], dtype=torch.float64).log()
    old = torch.full_like(z, math.log(0.01))
    mask, advantages = torch.ones_like(z, dtype=torch.bool), torch.full_like(z, sign)
    for name, objective, found in zip(names, objectives, drawn, strict=True):
        view = token_view(objective, old + z, old, advantages, mask)
        browsers = [*found["tokens"], found["filler"]]
        for key, python in [("w", view.gate_weight), ("c", view.coefficient), ("ratio", view.ratio)]:
            got = [token[key] for token in browsers]
            assert got == pytest.approx(python[0, : len(got)].tolist(), rel=1e-9, abs=1e-9), (name, key)


def test_gmpo_drops_the_outlier_alone() -> None:
    """Worked case: log 2.5 = 0.92 is beyond ε_high = 0.4, and the other three keep the mean of the clipped ratios."""
    sequence = {"ratios": [1.02, 1.01, 0.99, 2.5], "more": 0, "sign": 1, "old": 0.1}
    objectives = [asked(name, CATALOG[name]()) for name in ("gmpo", "gspo")]
    gmpo, gspo = run(TOKEN_WEIGHTS, {"objectives": objectives, "sequence": sequence})
    assert (gmpo["alive"], gmpo["kept"]) == (3, pytest.approx(0.75))
    assert gspo["alive"] == 0


LOGITS = """\
import { FORMULAS } from "./formulas.js";
import { logitUpdate, otherTokens, zipfSums } from "./exhibits/logit_update.js";
export default ({ vocabulary, p, zipf, ratio, knobs }) => {
  const others = otherTokens({ p, zipf }, vocabulary, zipfSums(zipf, vocabulary));
  return [1, -1].map((sign) => {
    const weight = FORMULAS.sapo(Math.log(ratio), sign, knobs)[1] / ratio;
    const update = logitUpdate(sign, weight, p, others);
    const each = Array.from({ length: vocabulary - 1 }, (_, k) => update.of(k + 1));
    return { ...update, all: [update.sampled, ...each] };
  });
};
"""


def test_the_logit_gradient_is_autograds() -> None:
    knobs = {"tau_pos": 1.0, "tau_neg": 3.0}
    updates = run(LOGITS, {"vocabulary": 50, "p": 0.2, "zipf": 1.5, "ratio": 2, "knobs": knobs})
    others = torch.arange(1, 50, dtype=torch.float64) ** -1.5
    probabilities = torch.cat([torch.tensor([0.2], dtype=torch.float64), 0.8 * others / others.sum()])
    for sign, update in zip((1, -1), updates, strict=True):
        weight = curve(make_objective("sapo", knobs), torch.tensor([2.0], dtype=torch.float64), sign).weight
        logits = probabilities.log().requires_grad_()
        (logits.log_softmax(0)[0] * sign * weight[0]).backward()
        gradient = logits.grad
        assert gradient is not None
        assert update["all"] == pytest.approx(gradient.tolist(), rel=1e-9)
        assert update["norm"] == pytest.approx(gradient.norm().item(), rel=1e-9)
        assert update["mean"] == pytest.approx(gradient[1:].mean().item(), rel=1e-9)


def test_the_total_on_unsampled_tokens_does_not_depend_on_the_vocabulary() -> None:
    given = {"p": 0.3, "zipf": 1.0, "ratio": 1.2, "knobs": {"tau_pos": 1.0, "tau_neg": 1.05}}
    small, large = (run(LOGITS, given | {"vocabulary": size})[1] for size in (32, 150_000))
    total = 0.7 / math.cosh(1.05 * 0.2 / 2) ** 2  # (1 − π)·sech²(τ(r − 1)/2)
    assert small["others"] == pytest.approx(total) and large["others"] == pytest.approx(total)
    assert small["mean"] / large["mean"] == pytest.approx(149_999 / 31)
