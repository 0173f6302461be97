"""Losses and gradients as the sources' own functions compute them, in float64 (`scripts/make_golden.py`).

`tests/golden/frameworks.json` holds their numbers; its keys are framework:function:parameters:aggregation, its batches
those of policy_losses.json. The table says which entry is which objective here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sapo_viz import make_objective, policy_loss
from sapo_viz.core.objective import AGGREGATIONS, Aggregation

FOLDER = Path(__file__).parents[1] / "golden"
CASES = json.loads((FOLDER / "policy_losses.json").read_text())["cases"]
GOLDEN = json.loads((FOLDER / "frameworks.json").read_text())

EXACT = 1e-12
COUNTS = 1e-7  # verl adds 1e-8 to a sequence's length, Trinity to the number of tokens


@dataclass(frozen=True)
class Entry:
    objective: str
    knobs: dict[str, float] = field(default_factory=dict)
    aggregation: Aggregation = "token-mean"
    tolerance: float = EXACT
    same_value: bool = True  # else the gradient alone is compared
    one_token_each: bool = False  # every token as a sequence of its own


BAND = {"eps_low": 0.2, "eps_high": 0.28}
ENTRIES: dict[str, Entry] = {
    "verl:sapo:1.0:1.05:token-mean": Entry("sapo", aggregation="seq-mean-token-mean", tolerance=COUNTS),
    "verl:clip_cov:1.0:0.1:5.0:token-mean": Entry(
        "clip_cov", BAND | {"share": 1.0, "bound_low": 0.1, "bound_high": 5.0}
    ),
    "aspo:0.2:0.2:3.0:token-mean": Entry("aspo", tolerance=COUNTS, same_value=False),
    "unirl:spo:0.2:token-mean": Entry("cfpo", {"eps": 0.2}),
    "ms-swift:fipo:0.2:0.28:32.0:0.2:4.0:token-mean": Entry("fipo"),
    "trinity:topr:token-mean": Entry("topr", tolerance=COUNTS, one_token_each=True),
}
for how in AGGREGATIONS:
    ENTRIES |= {
        f"verl:gpg::{how}": Entry("gpg", {}, how, COUNTS),
        f"verl:gspo:0.2:0.28:{how}": Entry("gspo_token", BAND, how, COUNTS),
        f"verl:cispo:0.2:0.28:{how}": Entry("cispo", BAND, how, COUNTS),
    }
    ENTRIES |= {f"verl:dro:{beta}:{how}": Entry("dro", {"beta": beta}, how, COUNTS) for beta in (0.1, 1.0)}
for share in (2e-4, 0.2):
    ENTRIES[f"verl:kl_cov:{share}:1.0:token-mean"] = Entry("kl_cov", {"share": share, "beta": 1.0})
for tau in (1e-3, 0.5):
    mask = {"delta_low": 0.2, "delta_high": 0.1, "kl_tau": tau}
    ENTRIES[f"prime-rl:default:0.2:0.1:{tau}:token-mean"] = Entry("prime_dppo", mask)
    ENTRIES[f"prime-rl:ipo:0.1:{tau}:token-mean"] = Entry("prime_ipo", {"delta": 0.1, "kl_tau": tau})
for n, m in ((1, 2), (2, 1)):
    ENTRIES[f"dgpo:0.2:0.28:{n}:{m}:token-mean"] = Entry("dgpo", BAND | {"n": n, "m": m})
for sigma, alpha, beta in ((1.0, 0.3, 0.03), (0.1, 0.5, 0.2)):
    knobs = {"sigma": sigma, "alpha": alpha, "beta": beta}
    ENTRIES[f"maspo:{sigma}:{alpha}:{beta}:token-mean"] = Entry("maspo", knobs)
for budget in (0.04, 0.3):
    knobs = {"budget": budget, "eps_low": 0.05, "eps_high": 0.05}
    ENTRIES[f"m2po:{budget}:0.05:0.05:token-mean"] = Entry("m2po", knobs, tolerance=COUNTS)
for eps in (12.5, 0.2):
    ENTRIES[f"unirl:drpo:{eps}:token-mean"] = Entry("drpo", {"eps": eps})


def rows(case: dict, name: str) -> Tensor:
    return torch.tensor(case[name], dtype=torch.float64)


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("key", ENTRIES)
def test_loss_and_gradient_are_the_sources(key: str, case: int) -> None:
    entry, data, golden = ENTRIES[key], CASES[case], GOLDEN["refs"][key][case]
    leaf, old, mask = rows(data, "logp_new").requires_grad_(True), rows(data, "logp_old"), rows(data, "mask")
    new, advantages = leaf, rows(data, "advantages")
    if entry.one_token_each:
        there = mask.bool()
        new, old, advantages = leaf[there][:, None], old[there][:, None], advantages[:, None].expand_as(leaf)[there]
        mask = torch.ones_like(old)
    objective = make_objective(entry.objective, entry.knobs)
    out = policy_loss(objective, new, old, advantages, mask, aggregation=entry.aggregation)
    out.loss.backward()
    assert leaf.grad is not None
    expected = torch.tensor(golden["grad"], dtype=torch.float64)
    assert expected.abs().max() > 1e-3, "an empty comparison"
    assert (leaf.grad - expected).abs().max().item() < entry.tolerance
    if entry.same_value:
        assert abs(out.loss.item() - golden["loss"]) < entry.tolerance


def test_every_golden_entry_is_covered() -> None:
    assert set(GOLDEN["refs"]) == set(ENTRIES)
