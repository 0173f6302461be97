"""Shares as a knob moves are those of the analysis, and a match is where two of them are equal."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from sapo_viz import CATALOG, Objective
from sapo_viz.errors import KnobError
from sapo_viz.rollouts.analysis import evidence as evidence_module
from sapo_viz.rollouts.analysis.analyse import analyse
from sapo_viz.rollouts.analysis.evidence import Evidence
from sapo_viz.rollouts.analysis.fit import kept_curve, match
from sapo_viz.rollouts.analysis.gate import argument_of, live_knobs, weights_at, weights_table
from sapo_viz.rollouts.analysis.intervals import clusters
from sapo_viz.rollouts.schema import Rollouts
from scripts.interval_coverage import KINDS, Kind, coverage, drawn
from tests.rollouts.made import rollouts

CALM = rollouts()
WILD = rollouts(logprobs=np.minimum(CALM.old_logprobs + 8 * (CALM.logprobs - CALM.old_logprobs), 0.0))
EVIDENCE = {sign: Evidence(WILD, sign) for sign in (1, -1)}
WITH_KNOB = [(name, sign) for name, cls in CATALOG.items() for sign in (1, -1) if live_knobs(cls, sign)]


def test_what_a_weight_depends_on() -> None:
    kinds = {kind: {n for n, c in CATALOG.items() if argument_of(c()) == kind} for kind in ("sequence", "more")}
    assert kinds == {
        "sequence": {"gspo", "luspo", "gspo_token"},
        "more": {
            "gmpo",
            "dppo_tv",
            "dppo_kl",
            "vespo",
            "topr",
            "drpo",
            "dro",
            "prime_dppo",
            "prime_ipo",
            "maspo",
            "fipo",
        },
    }


def test_live_knobs_are_those_of_the_sign() -> None:
    assert [live_knobs(CATALOG[n], s) for n in ("sapo", "grpo") for s in (1, -1)] == [
        ("tau_pos",), ("tau_neg",), ("eps_high",), ("eps_low",)
    ]  # fmt: skip
    assert (
        live_knobs(CATALOG["dual_clip"], -1) == ("eps_low", "dual_clip") and live_knobs(CATALOG["unclipped"], 1) == ()
    )


@pytest.mark.parametrize("name", [name for name, cls in CATALOG.items() if cls.knobs()])
def test_many_settings_at_once_give_what_one_by_one_gives(name: str) -> None:
    z, cls = np.linspace(-3, 3, 60), CATALOG[name]
    knob = next(iter(cls.knobs()))
    some = [cls.from_knobs({knob: value}) for value in (0.3, 0.7)]
    together = weights_table(some, z, -1)
    assert np.allclose(together, [weights_at(objective, z, -1) for objective in some], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("name", "sign"), WITH_KNOB)
def test_a_curve_has_the_analysis_share(name: str, sign: int) -> None:
    objective = CATALOG[name]()
    knob = live_knobs(CATALOG[name], sign)[0]
    curve = kept_curve(EVIDENCE[sign], name, knob, sign, [getattr(objective, knob)])
    share = analyse(WILD, {name: objective}).share(name, sign)
    assert curve.kept[0] == pytest.approx(share.kept, abs=1e-10) and curve.tokens == share.tokens
    assert curve.low[0] <= curve.kept[0] <= curve.high[0] and not curve.sampled


def test_a_toy_of_the_user_has_a_curve(toy_objective: type[Objective]) -> None:
    curve = kept_curve(WILD, "toy", "kappa", 1)
    share = analyse(WILD, {"toy": toy_objective(kappa=curve.values[-1])}).share("toy", 1)
    assert curve.kept[-1] == pytest.approx(share.kept, abs=1e-10) and (np.diff(curve.kept) < 0).all()


def test_runs_of_tokens_stand_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 200 points for 1,700 tokens the share moves by less than one run's part, 1/200."""
    exact = kept_curve(WILD, "grpo", "eps_high", 1).kept
    monkeypatch.setattr(evidence_module, "_POINTS", 200)
    monkeypatch.setattr(evidence_module, "_CELLS", 50)
    assert np.abs(kept_curve(WILD, "grpo", "eps_high", 1).kept - exact).max() < 1 / 200


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("source", "target"), [("sapo", "grpo"), ("grpo", "sapo"), ("sapo", "erf"), ("grpo", "dppo_tv"), ("gspo", "grpo")]
)
def test_at_the_match_both_keep_the_same(source: str, target: str, sign: int) -> None:
    start = CATALOG[source](eps_low=0.03, eps_high=0.03) if source == "gspo" else CATALOG[source]()
    found = match(EVIDENCE[sign], start, target, sign)
    assert found.found and found.knob is not None, found.sentence
    objective = CATALOG[target].from_knobs({found.knob.name: found.value})
    kept = analyse(WILD, {"a": start, "b": objective})
    one_token = 2 / found.tokens  # a hard switch moves in steps of a token; |A| may be twice the mean
    assert kept.share("a", sign).kept == pytest.approx(kept.share("b", sign).kept, abs=one_token)
    assert found.low <= found.value <= found.high
    assert f"{found.value:.3g}" in found.sentence


def test_there_and_back() -> None:
    there = match(EVIDENCE[-1], CATALOG["sapo"](tau_neg=3.0), "erf", -1)
    back = match(EVIDENCE[-1], CATALOG["erf"](tau=there.value), "sapo", -1)
    assert back.value == pytest.approx(3.0, rel=1e-3)


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[4]], ids=lambda kind: kind.name)
def test_the_interval_covers_the_truth_it_should(kind: Kind) -> None:
    """95 % of 40 draws are 38; 33 or fewer come once in 250 times. Over sequences alone it was 52 % with groups."""
    for name, hits, _, _ in coverage(kind, 40):
        assert hits >= 34, name


def test_prompts_that_differ_widen_the_interval() -> None:
    data = drawn(KINDS[4], 3)
    alone = replace(data, groups=(None,) * len(data))
    grouped, single = (match(each, CATALOG["grpo"](), "sapo", 1) for each in (data, alone))
    assert grouped.value == pytest.approx(single.value) and (grouped.clusters, single.clusters) == (32, 128)
    assert grouped.high - grouped.low > 1.3 * (single.high - single.low)


def test_completions_of_one_prompt_go_together_within_a_step() -> None:
    data = replace(CALM, groups=("a",) * 32 + (None,) * 32, steps=(1,) * 16 + (2,) * 48, prompts=("p",) * 64)
    label, count = clusters(data, np.arange(64))
    assert count == 3 and np.bincount(label).tolist() == [16, 16, 32]


@pytest.mark.parametrize("noise", [0.0, 1e-7])
def test_policies_that_are_the_same_have_nothing_to_match(noise: float) -> None:
    moved = CALM.old_logprobs - noise * np.random.default_rng(0).random(len(CALM.mask))
    found = match(rollouts(logprobs=moved), CATALOG["sapo"](), "grpo", 1)
    assert found.same_policies and found.knob is None and not found.found
    assert "nothing to match: the two policies are the same" in found.sentence


def test_an_interval_that_ends_with_the_knob_is_open() -> None:
    found = match(EVIDENCE[1], CATALOG["sapo"](), "grpo", 1)
    assert found.knob is not None
    assert replace(found, high=found.knob.hi).reach == f"{found.low:.3g} or more"


def test_what_cannot_be_matched_says_why() -> None:
    assert "no knob" in match(WILD, CATALOG["sapo"](), "unclipped", 1).reason_if_none
    assert (
        "no response token"
        in match(rollouts(advantages=-np.abs(CALM.advantages)), CATALOG["sapo"](), "grpo", 1).sentence
    )
    everything = match(CALM, CATALOG["grpo"](), "dual_clip", -1)
    assert "every ε_low from" in everything.reason_if_none and math.isnan(everything.value)


def test_an_edge_that_few_tokens_decide_is_said() -> None:
    assert "Fewer than 5 tokens" in match(CALM, CATALOG["sapo"](), "grpo", 1).sentence


def test_an_advantage_that_is_nothing_beside_another_has_no_share() -> None:
    """1e-300 of 1e300 is no number any more: 0 of 0 was to be its weight."""
    sizes = np.full(len(WILD.mask), 1e300)
    sizes[WILD.offsets[3] :] = 1e-300
    amounts = Evidence(replace(WILD, advantages=sizes), 1).amounts([CATALOG["sapo"]()])
    assert amounts.shape == (3, 1) and np.isfinite(amounts).all()


def test_a_large_file_is_sampled_where_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence_module, "_WHOLE", 1000)
    curve = kept_curve(WILD, "gmpo", "eps_high", 1, [0.1])
    assert curve.sampled and 5 < curve.sequences < 30
    whole: Rollouts = WILD
    assert curve.kept[0] == pytest.approx(
        analyse(whole, {"g": CATALOG["gmpo"](eps_high=0.1)}).share("g", 1).kept, abs=0.2
    )


def test_seeded() -> None:
    assert match(WILD, CATALOG["grpo"](), "sapo", 1) == match(WILD, CATALOG["grpo"](), "sapo", 1)


def test_unknown_names_are_told() -> None:
    with pytest.raises(KnobError, match="no knob 'eps'; it has tau_pos, tau_neg"):
        kept_curve(WILD, "sapo", "eps", 1)
    with pytest.raises(KnobError, match="no objective 'ppo'"):
        match(WILD, CATALOG["sapo"](), "ppo", 1)
