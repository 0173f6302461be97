"""The audit of a framework's loss: what TRL's own trainer wrote, healthy and with a fault each, and faults made here.

`recorded/` holds two steps of four runs of TRL 1.16.0, written by recorder/tests/faulty.py in .venv-trl, and one step
of two runs of verl 0.9.1 (the losses of its workers), written by recorder/tests/test_verl.py.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sapo_viz import CATALOG, policy_loss
from sapo_viz.cli import main
from sapo_viz.core.correction import Correction
from sapo_viz.rollouts.audit.audit import audit
from sapo_viz.rollouts.audit.claim import Claim
from sapo_viz.rollouts.joined import joined
from sapo_viz.rollouts.readers.read import read_rollouts
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.vocabulary import Tokens
from sapo_viz.runs.folder.claims import claim_beside

RECORDED = Path(__file__).parent / "recorded"
SAPO = Claim.of(CATALOG["sapo"](tau_pos=1.0, tau_neg=2.0), "TRL's `sapo`")


def recorded(kind: str) -> tuple[Rollouts, Claim]:
    files = sorted((RECORDED / kind / "tokens").glob("*.parquet"))
    claim = claim_beside(files[0])
    assert claim is not None and claim == claim_beside(files[0].parent) == claim_beside(RECORDED / kind)
    return joined(kind, [read_rollouts(file) for file in files]), claim


def test_a_healthy_run_of_trl_matches() -> None:
    found = audit(*recorded("healthy"))
    assert found.status == "matches" and found.off < 1e-6 and found.loss_off < 1e-6
    assert found.sentence.startswith("The loss matches TRL's `sapo` (τ₊ = 1, τ₋ = 2)")
    assert found.parts == 2 and not found.on_policy


@pytest.mark.parametrize(
    ("kind", "fault", "says"),
    [
        ("temperature", "tau pos", "the temperature of positive tokens is used for negative ones"),
        ("advantages", "advantages missing", "the advantages are missing"),
        ("mask", "mask shifted", "the mask is shifted by one: the first token of an answer gets no gradient"),
    ],
)
def test_a_fault_planted_in_trls_trainer_is_named(kind: str, fault: str, says: str) -> None:
    found = audit(*recorded(kind))
    assert (found.status, found.faults) == ("fault", (fault,))
    assert says in found.sentence and found.off < 1e-6 and found.off_as_claimed > 0.01


@pytest.mark.parametrize("kind", ["verl-sapo", "verl-gspo"])
def test_verls_losses_match_with_its_correction_and_its_kl(kind: str) -> None:
    """ρ of each token masked outside 0.7 to 1.5; k3 averaged over tokens, as verl's SAPO itself is not."""
    rollouts, claim = recorded(kind)
    assert claim.correction == Correction("token", "mask", 0.7, 1.5) and claim.kl == 0.125
    found = audit(rollouts, claim)
    assert (found.status, found.parts) == ("matches", 2) and found.off < 1e-6 and found.loss_off < 1e-6
    for lacking in (replace(claim, correction=None), replace(claim, kl=0.0)):
        assert audit(rollouts, lacking).off_as_claimed > 0.01


def test_losses_alone_tell_as_well_where_there_are_a_few() -> None:
    """Nothing but the scalar of each micro-batch: enough for one fault, not for more."""
    for kind, status in (("healthy", "matches"), ("temperature", "fault"), ("advantages", "fault")):
        rollouts, claim = recorded(kind)
        found = audit(replace(rollouts, loss_gradients=None), claim)
        assert found.status == status and np.isnan(found.off)


# -- faults made here: three micro-batches of answers of 2 to 9 tokens ----------------------------------------------

LENGTHS = [[9, 2, 5, 7], [3, 3, 9, 4], [8, 9, 9, 6]]


def made(claim: Claim, seed: int = 0, spread: float = 0.4, scale: float = 1.0, **wrong: Any) -> Rollouts:
    """Tokens with the gradients and losses of a framework that computes `claim`, or something that is `wrong`."""
    draw = torch.Generator().manual_seed(seed)
    flat: dict[str, list[np.ndarray]] = {}
    names, losses = [], []
    for part in range(3):
        lengths = torch.tensor(LENGTHS[part])
        mask = torch.arange(9) < lengths[:, None]
        old = (-torch.rand(4, 9, generator=draw, dtype=torch.float64) * 3 - 0.3) * mask
        new = ((old + torch.randn(4, 9, generator=draw, dtype=torch.float64) * spread).clamp(max=-0.01)) * mask
        sampler = (old + torch.randn(4, 9, generator=draw, dtype=torch.float64) * 0.5).clamp(max=-0.01) * mask
        advantages = torch.tensor([1.5, -0.5, 0.7, -1.2], dtype=torch.float64)
        taken = mask if "mask" not in wrong else wrong["mask"](mask)
        leaf = new.clone().requires_grad_()
        loss = policy_loss(
            claim.objective, leaf, leaf.detach() if wrong.get("old") else old,
            advantages.sign().abs() if wrong.get("ones") else advantages, taken,
            aggregation=claim.aggregation, correction=claim.correction,
            sampler_logprobs=None if claim.correction is None else sampler,
        ).loss * scale  # fmt: skip
        loss.backward()
        assert leaf.grad is not None
        columns = {"logprobs": new, "old_logprobs": old, "loss_gradients": leaf.grad, "sampler_logprobs": sampler}
        columns["advantages"] = advantages[:, None].expand(4, 9)
        for name, values in columns.items():
            flat.setdefault(name, []).extend(values[mask].numpy()[None])
        names += [f"1-0-{part}"] * 4
        losses += [float(loss.detach())] * 4
    size = sum(map(len, flat["logprobs"]))
    return Rollouts(
        name="made", offsets=np.concatenate([[0], np.cumsum(np.ravel(LENGTHS))]),
        tokens=Tokens(np.zeros(size, np.int32), ("a",)), mask=np.ones(size, bool),
        ids=tuple(map(str, range(12))), prompts=(None,) * 12, rewards=(None,) * 12, groups=(None,) * 12,
        steps=(1,) * 12, microbatches=tuple(names), losses=tuple(losses),
        **{name: np.concatenate(values) for name, values in flat.items()},
    )  # fmt: skip


def averaged(aggregation: Any, objective: Any = SAPO.objective, correction: Correction | None = None) -> Claim:
    return Claim("a `loss`", objective, objective.ratio_level, aggregation, correction)


@pytest.mark.parametrize("name", ["sapo", "grpo", "gspo", "cispo", "dual_clip", "gmpo"])
def test_each_objective_matches_itself(name: str) -> None:
    claim = Claim.of(CATALOG[name]())
    assert audit(made(claim), claim).status == "matches"


@pytest.mark.parametrize("aggregation", ["token-mean", "seq-mean-token-sum"])
def test_the_wrong_average_is_named(aggregation: Any) -> None:
    found = audit(made(averaged(aggregation)), averaged("seq-mean-token-mean"))
    assert found.faults == (f"aggregation {aggregation}",) and "aggregation is over token" in found.sentence


def test_accumulation_divides_and_is_said() -> None:
    found = audit(made(SAPO, scale=0.25), SAPO)
    assert found.status == "matches" and "0.25 times ours" in " ".join(found.notes)


def test_a_loss_with_the_wrong_sign_is_no_match() -> None:
    found = audit(made(SAPO, scale=-1.0), SAPO)
    assert (found.status, found.faults) == ("fault", ("sign",))


def test_an_old_policy_that_is_not_used_is_named() -> None:
    assert audit(made(SAPO, old=True), SAPO).faults == ("old ignored",)


def test_a_knob_that_acts_as_another_value_is_named_with_it() -> None:
    found = audit(made(Claim.of(CATALOG["sapo"](tau_pos=1.0, tau_neg=3.7))), SAPO)
    assert found.faults == ("knob tau_neg",) and "τ₋ acts as 3.7 and is said to be 2" in found.sentence
    found = audit(made(Claim.of(CATALOG["grpo"](eps_low=0.2, eps_high=0.28))), Claim.of(CATALOG["grpo"]()))
    assert found.faults == ("knob eps_high",)


def test_another_objective_is_named() -> None:
    found = audit(made(Claim.of(CATALOG["grpo"]())), SAPO)
    assert found.status == "fault" and found.faults[0].startswith("is ") and "gradient of" in found.sentence


def test_a_missing_correction_is_named() -> None:
    mask = Correction("sequence-sum", "mask", 0.0, 3.0)
    claim = averaged("seq-mean-token-mean", correction=mask)
    assert audit(made(claim), claim).status == "matches"
    assert audit(made(averaged("seq-mean-token-mean")), claim).faults == ("correction missing",)


def test_two_faults_at_once_are_both_named() -> None:
    found = audit(made(averaged("token-mean"), ones=True), SAPO)
    assert set(found.faults) == {"advantages missing", "aggregation token-mean"}


def test_what_no_known_fault_explains_is_said_to_be_unexplained() -> None:
    rollouts = made(SAPO)
    noise = np.random.default_rng(0).normal(size=len(rollouts.logprobs))
    rollouts.loss_gradients[:] *= 1 + 0.5 * noise  # type: ignore[index]
    found = audit(rollouts, SAPO)
    assert found.status == "unexplained" and "no fault that is known here" in found.sentence


def test_ratios_of_one_are_said_loudly() -> None:
    found = audit(made(SAPO, spread=0.0), SAPO)
    assert found.status == "matches" and found.on_policy
    assert "SAPO, GRPO and GSPO then have the same gradient" in found.notes[0]


def test_without_a_claim_the_catalogue_is_searched() -> None:
    found = audit(made(Claim.of(CATALOG["gspo"]())), None)
    assert found.status == "matches" and found.claim == "GSPO"


def test_a_file_without_such_numbers_has_nothing_to_audit() -> None:
    from sapo_viz.paths import ASSETS

    assert audit(read_rollouts(ASSETS / "samples" / "outlier.jsonl"), SAPO).status == "nothing"


def test_the_report_says_it(tmp_path: Path) -> None:
    file, report = RECORDED / "mask" / "tokens" / "step-00004.rank-0.parquet", tmp_path / "report.html"
    assert main(["inspect", str(file), "--quick", "--html", str(report)]) == 0
    assert "the mask is shifted by one" in report.read_text(encoding="utf-8")


def test_the_command_says_it_and_exits_with_1_where_it_does_not_match(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(RECORDED / "healthy")]) == 0
    assert "The loss matches TRL's `sapo`" in capsys.readouterr().out
    assert main(["audit", str(RECORDED / "advantages"), "--step", "4", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["faults"] == ["advantages missing"]
    assert main(["audit", str(RECORDED / "healthy"), "--objective", "sapo:tau_neg=1"]) == 1
    assert main(["audit", str(RECORDED / "healthy"), "--step", "3"]) == 2
    assert "--step is 3" in capsys.readouterr().err
    assert main(["audit", str(RECORDED)]) == 2
    file = RECORDED / "mask" / "tokens" / "step-00004.rank-0.parquet"
    assert main(["inspect", str(file), "--quick"]) == 0
    assert "the mask is shifted by one" in capsys.readouterr().out
    assert main(["audit", str(file), "--step", "4"]) == 2
    assert "is a file; name the folder" in capsys.readouterr().err
    assert main(["audit", str(file), "--objective", "sapo,grpo"]) == 2
    assert "'sapo,grpo'; a loss is held against one objective" in capsys.readouterr().err
