"""Losses and gradients as TRL 1.16.0 and verl 0.9.1 compute them, in float64.

`tests/golden/policy_losses.json` holds their numbers: key = framework:objective:parameters, `loss` is
minimised, `grad` = ∂loss/∂logp_new. The table below says which entry is which objective here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from sapo_viz import make_objective, policy_loss
from sapo_viz.core.objective import AGGREGATIONS, Aggregation
from sapo_viz.errors import TensorError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "policy_losses.json").read_text())
CASES = GOLDEN["cases"]

# TRL agrees to rounding; verl adds 1e-8 to each length, which moves a loss of order 1 by up to 1e-8.
TOLERANCE = {"trl": 1e-13, "verl": 1e-8}


@dataclass(frozen=True)
class Entry:
    """What a golden entry is called here. `aggregation` where the framework's differs from the paper's."""

    objective: str
    knobs: dict[str, float]
    aggregation: Aggregation | None = None


def band(objective: str, low: float, high: float, **more: float) -> Entry:
    return Entry(objective, {"eps_low": low, "eps_high": high, **more})


BANDS = ((0.2, 0.2), (0.2, 0.28), (0.05, 0.1))

ENTRIES: dict[str, Entry] = {
    f"{framework}:sapo:{tau_pos}:{tau_neg}": Entry("sapo", {"tau_pos": tau_pos, "tau_neg": tau_neg})
    for framework in ("trl", "verl")
    for tau_pos, tau_neg in ((1.0, 1.05), (0.5, 3.0), (5.0, 2.0))
}
for low, high in BANDS:
    ENTRIES |= {
        f"trl:grpo:{low}:{high}": band("grpo", low, high),
        f"trl:dapo:{low}:{high}": band("dapo", low, high),
        f"trl:dr_grpo:{low}:{high}": band("dr_grpo", low, high),  # max_length is the batch's T there
        f"trl:gspo:{low}:{high}": band("gspo", low, high),
        f"verl:gspo:{low}:{high}": band("gspo", low, high),
        # verl's "vanilla" is PPO's clip with the second one at c = 3.
        f"verl:vanilla:{low}:{high}": band("dual_clip", low, high, dual_clip=3.0),
        # verl clips at 1 ± ε and was run with its default aggregation; the paper's is token-mean.
        f"verl:cispo:{low}:{high}": Entry("cispo", {"eps_low": low, "eps_high": high}, "seq-mean-token-mean"),
    }
ENTRIES |= {
    "trl:gspo:0.0003:0.0004": band("gspo", 3e-4, 4e-4),
    # TRL's number is the cap itself, with no lower one: eps_high = cap − 1, eps_low = 1.
    "trl:cispo:5.0": band("cispo", 1.0, 4.0),
    "trl:cispo:1.1": band("cispo", 1.0, 1.1 - 1),
}

for low, high in BANDS:
    # verl's divergence threshold travels in the clip parameters; its cap is 20.
    deltas = {"delta_low": low, "delta_high": high, "ratio_cap": 20.0}
    ENTRIES |= {
        f"verl:geo_mean:{low}:{high}": band("gmpo", low, high),
        f"verl:dppo_tv:{low}:{high}": Entry("dppo_tv", deltas),
        f"verl:dppo_kl:{low}:{high}": Entry("dppo_kl", deltas),
    }
ENTRIES |= {
    "trl:vespo": Entry("vespo", {"k_pos": 2.0, "lambda_pos": 3.0, "k_neg": 3.0, "lambda_neg": 2.0}),
    "trl:luspo:0.2:0.2": band("luspo", 0.2, 0.2),
}


def float64(rows: list[list[float]] | list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("key", ENTRIES)
def test_loss_and_gradient_are_the_frameworks(key: str, case: int) -> None:
    data = CASES[case]
    golden = data["refs"][key]
    logprobs = float64(data["logp_new"]).requires_grad_(True)
    mask = float64(data["mask"])

    entry = ENTRIES[key]
    objective = make_objective(entry.objective, entry.knobs)
    old, advantages = float64(data["logp_old"]), float64(data["advantages"])
    out = policy_loss(objective, logprobs, old, advantages, mask, aggregation=entry.aggregation)
    out.loss.backward()

    tolerance = TOLERANCE[key.split(":")[0]]
    assert abs(out.loss.item() - golden["loss"]) < tolerance
    assert logprobs.grad is not None
    assert (logprobs.grad - float64(golden["grad"])).abs().max().item() < tolerance


def test_every_golden_entry_is_covered() -> None:
    for case in CASES:
        assert set(case["refs"]) == set(ENTRIES)


def test_the_golden_parameters_are_those_of_the_table() -> None:
    """The key's numbers and the stored parameters agree, so the table cannot read one for another."""
    names = {"eps_low", "eps_high", "tau_pos", "tau_neg", "dual_clip", "k_pos", "lambda_pos", "k_neg", "lambda_neg"}
    for key, entry in ENTRIES.items():
        stored = CASES[0]["refs"][key]["params"]
        if key.startswith("trl:cispo"):
            assert entry.knobs == {"eps_low": 1.0, "eps_high": stored["eps_high"] - 1}
        elif key.startswith("verl:dppo"):
            assert entry.knobs == {
                "delta_low": stored["eps_low"],
                "delta_high": stored["eps_high"],
                "ratio_cap": 20.0,
            }
        else:
            assert entry.knobs == {name: value for name, value in stored.items() if name in names}


def test_the_golden_batches_reach_both_sides_of_the_band() -> None:
    """Parity says something about clipping only where tokens are clipped."""
    ratios = torch.cat(
        [(float64(c["logp_new"]) - float64(c["logp_old"]))[float64(c["mask"]).bool()].exp() for c in CASES]
    )
    assert ratios.min() < 0.8 and ratios.max() > 3.0


@pytest.mark.parametrize("how", AGGREGATIONS)
def test_an_aggregation_that_is_asked_for_is_that_of_the_objective_that_has_it(how: Aggregation) -> None:
    """GRPO asked for token-mean is DAPO with GRPO's band, and so on: the golden numbers of those hold for it."""
    own = {"seq-mean-token-mean": "grpo", "token-mean": "dapo", "seq-mean-token-sum-norm": "dr_grpo"}.get(how)
    data = CASES[0]
    new, old, mask = float64(data["logp_new"]), float64(data["logp_old"]), float64(data["mask"])
    grpo = make_objective("grpo", {"eps_low": 0.2, "eps_high": 0.28})
    loss = policy_loss(grpo, new, old, float64(data["advantages"]), mask, aggregation=how).loss.item()
    if own:
        assert abs(loss - data["refs"][f"trl:{own}:0.2:0.28"]["loss"]) < TOLERANCE["trl"]
    else:  # sums are the normed sums times the width of the batch
        normed = policy_loss(grpo, new, old, float64(data["advantages"]), mask, aggregation="seq-mean-token-sum-norm")
        assert loss == pytest.approx(normed.loss.item() * new.shape[1], rel=1e-14)


def test_an_aggregation_that_there_is_not_is_named() -> None:
    data = CASES[0]
    batch = (float64(data[name]) for name in ("logp_new", "logp_old", "advantages", "mask"))
    with pytest.raises(TensorError, match=r"aggregation is 'mean'; it takes seq-mean-token-mean or token-mean or"):
        policy_loss(make_objective("sapo"), *batch, aggregation="mean")  # type: ignore[arg-type]
