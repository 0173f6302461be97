"""Each rule speaks on data that has its fault, and on the calm data it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapo_viz import CATALOG
from sapo_viz.rollouts.analysis.facts import gather
from sapo_viz.rollouts.analysis.groups import recomputed
from sapo_viz.rollouts.analysis.over_steps import ORDERS, as_clear
from sapo_viz.rollouts.findings.causes import mean_k3, temperature
from sapo_viz.rollouts.findings.document import document
from sapo_viz.rollouts.findings.judge import all_rules, findings
from sapo_viz.rollouts.findings.rule import SEVERITIES, Finding
from sapo_viz.rollouts.readers.read import parse_rollouts, read_rollouts
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.vocabulary import Tokens
from tests.rollouts.findings.healthy import KINDS, healthy
from tests.rollouts.made import rollouts, tempered

ROOT = Path(__file__).parents[3]
WIDE = {"gspo": CATALOG["gspo"](eps_low=0.01, eps_high=0.01)}  # fits the calm data: nothing is shut out, nor idle


def said(data: Rollouts) -> dict[str, Finding]:
    return {finding.id: finding for finding in findings(data, WIDE)}


CALM = rollouts()
Z = CALM.logprobs - CALM.old_logprobs
N, M = len(CALM), len(CALM.mask)
RNG = np.random.default_rng(5)


def changed(values: np.ndarray, places: Any, new: Any) -> np.ndarray:
    out = np.array(values)
    out[places] = new
    return out


def sentinels() -> Rollouts:
    return rollouts(old_logprobs=changed(CALM.old_logprobs, slice(100, 110), -9999.0))


def zero_fillers() -> Rollouts:
    surprising = np.flatnonzero(CALM.old_logprobs < -0.5)[:20]
    return rollouts(logprobs=changed(CALM.logprobs, surprising, 0.0))


def constant_logprobs() -> Rollouts:
    part = slice(CALM.offsets[3], CALM.offsets[4])
    return rollouts(old_logprobs=changed(CALM.old_logprobs, part, -0.7))


def masked_out() -> Rollouts:
    return rollouts(mask=changed(CALM.mask, slice(CALM.offsets[5], CALM.offsets[6]), False))


def length_cap() -> Rollouts:
    """Twelve of 64 sequences stop at 80 tokens."""
    lengths = np.array([80] * 12 + RNG.integers(30, 79, 52).tolist())
    total = int(lengths.sum())
    old = -RNG.exponential(1.0, total)
    return rollouts(
        offsets=np.concatenate(([0], np.cumsum(lengths))),
        tokens=Tokens(np.zeros(total, np.int32), ("x",)),
        logprobs=old * 1.001,
        old_logprobs=old,
        advantages=np.repeat(np.where(np.arange(64) % 2, 1.0, -1.0), lengths),
        mask=np.ones(total, bool),
    )


def copies() -> Rollouts:
    """Sequence 9 of group 1 is that of group 0, written again."""
    equal = CALM.lengths.min()
    first = slice(CALM.offsets[0], CALM.offsets[0] + equal)
    again = slice(CALM.offsets[9], CALM.offsets[9] + equal)
    mask = np.ones(M, bool)
    for start, stop, part in ((CALM.offsets[0], CALM.offsets[1], first), (CALM.offsets[9], CALM.offsets[10], again)):
        mask[start:stop] = False
        mask[part] = True
    return rollouts(mask=mask, old_logprobs=changed(CALM.old_logprobs, again, CALM.old_logprobs[first]))


def bf16() -> Rollouts:
    def rounded(values: np.ndarray) -> np.ndarray:
        bits = values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
        return bits.view(np.float32).astype(np.float64)

    return rollouts(logprobs=rounded(CALM.logprobs), old_logprobs=rounded(CALM.old_logprobs))


def dead_groups() -> Rollouts:
    """Group 2 all wrong, group 5 all right."""
    rewards = np.array(CALM.rewards)
    rewards[16:24], rewards[40:48] = 0.0, 1.0
    return graded(rewards=tuple(rewards.tolist()))


def graded(**changes: Any) -> Rollouts:
    """With the advantages that follow from these rewards and groups."""
    data = rollouts(**changes)
    return replace(data, advantages=np.repeat(recomputed(data)[1]["std"], data.lengths))


def engine_noise() -> Rollouts:
    """Log-normal noise with E[r] = 1, the same whatever A is."""
    noise = 0.16 * RNG.standard_normal(M) - 0.0128
    return rollouts(old_logprobs=CALM.old_logprobs - 1.0, logprobs=CALM.old_logprobs - 1.0 + noise)


def heavy_tail() -> Rollouts:
    big = {n: np.tile(getattr(CALM, n), 4) for n in ("old_logprobs", "advantages", "mask")}
    total = len(big["mask"])
    z = 0.001 * RNG.standard_normal(total)
    z[RNG.choice(total, total // 400, replace=False)] = 1.0
    many = {n: getattr(CALM, n) * 4 for n in ("ids", "prompts", "rewards", "groups", "steps")}
    offsets = np.concatenate(([0], np.cumsum(np.tile(CALM.lengths, 4))))
    old = big.pop("old_logprobs") - 1.0
    tokens = Tokens(np.zeros(total, np.int32), ("x",))
    return rollouts(offsets=offsets, tokens=tokens, old_logprobs=old, logprobs=old + z, **big, **many)


def few_tokens() -> Rollouts:
    places = np.flatnonzero(CALM.advantages < 0)[::300]
    old = changed(CALM.old_logprobs, places, -8.0)
    return rollouts(old_logprobs=old, logprobs=changed(CALM.logprobs, places, -0.5))


def outside_the_band() -> Rollouts:
    """Every sequence 0.05 beyond 1 on its harmful side."""
    old = CALM.old_logprobs - 1.0
    return rollouts(old_logprobs=old, logprobs=old + 0.05 * np.sign(CALM.advantages))


def shift() -> Rollouts:
    """In every second sequence the trainer's log-probs lie a token later."""
    new = np.array(CALM.logprobs)
    for i in range(0, N, 2):
        part = slice(CALM.offsets[i], CALM.offsets[i + 1])
        new[part] = np.roll(new[part], 1)
    return rollouts(logprobs=new)


def truncated(kept: float) -> Rollouts:
    """A sampler that drew from the likeliest tokens holding `kept` of the mass, and scaled them up (top-p)."""
    full = tempered(1.0, words=60, top_p=kept)
    return full


def stale() -> Rollouts:
    """The trainer took π_old anew; the sampler's own log-probs say that it had other weights."""
    noise = 0.16 * RNG.standard_normal(M) - 0.0128
    return rollouts(sampler_logprobs=CALM.old_logprobs + noise)


def summed() -> Rollouts:
    """A small push for each whole sequence, either way, whatever A is: 60 tokens of 0.03 make a ratio of 6."""
    push = np.repeat(RNG.permutation(np.repeat([0.03, -0.03], N // 2)), CALM.lengths)
    old = CALM.old_logprobs - 1.0
    return rollouts(old_logprobs=old, logprobs=old + push)


def interleaved() -> Rollouts:
    """Advantages of completions 8 apart, as after `repeat` in place of `repeat_interleave`."""
    rewards = np.array(CALM.rewards).reshape(8, 8)
    a = (rewards - rewards.mean(0)) / (rewards.std(0, ddof=1) + 1e-6)
    return rollouts(advantages=np.repeat(a.ravel(), CALM.lengths))


def over_steps(**changes: Any) -> Rollouts:
    return rollouts(steps=tuple(i // 8 for i in range(N)), groups=tuple(str(i // 2) for i in range(N)), **changes)


STEP = np.repeat(np.arange(N) // 8, CALM.lengths)


def shrinking() -> Rollouts:
    """Answers of step s keep 2^−s/2 of their tokens."""
    place = np.arange(M) - np.repeat(CALM.offsets[:-1], CALM.lengths)
    return over_steps(mask=place < np.repeat(CALM.lengths, CALM.lengths) * 0.7**STEP)


def falling() -> Rollouts:
    factor = 0.6**STEP
    return over_steps(old_logprobs=CALM.old_logprobs * factor, logprobs=CALM.old_logprobs * factor + Z * factor)


def growing() -> Rollouts:
    old = CALM.old_logprobs - 1.0
    return over_steps(old_logprobs=old, logprobs=old + 0.02 * (1 + 2 * STEP) * RNG.standard_normal(M))


def drifting_sampler() -> Rollouts:
    """0.03 nats a token between sampler and trainer: nothing for a token, a ratio of 3 after 37 of them."""
    return rollouts(sampler_logprobs=np.minimum(CALM.old_logprobs - 0.03, 0.0))


def told(mask: bool = False) -> Rollouts:
    """In every fourth sequence tokens 10 to 19 stand between a tool's tags, each tag in three tokens."""
    words = ("w", "<", "tool_response", ">", "</", " and", "tool")
    codes, allowed = np.zeros(M, np.int32), np.ones(M, bool)
    for start in CALM.offsets[:-1:4]:
        codes[start + 7 : start + 10], codes[start + 20 : start + 23] = (1, 2, 3), (4, 2, 3)
        allowed[start + 10 : start + 20] = not mask
    return rollouts(tokens=Tokens(codes, words), mask=allowed)


def split() -> Rollouts:
    """Groups are halves of a prompt's completions, and advantages were taken within them."""
    return graded(prompts=tuple(f"p{i // 8}" for i in range(N)), groups=tuple(str(i // 4) for i in range(N)))


def padded() -> Rollouts:
    """The last six tokens of every fourth sequence are one special token."""
    codes = np.zeros(M, np.int32)
    codes[::2] = 1
    for end in CALM.offsets[1::4]:
        codes[end - 6 : end] = 2
    return rollouts(tokens=Tokens(codes, ("a", "b", "<pad>")))


FAULTS: dict[str, tuple[str, Callable[[], Rollouts]]] = {
    "sentinels": ("problem", sentinels),
    "zero_fillers": ("problem", zero_fillers),
    "constant_logprobs": ("problem", constant_logprobs),
    "masked_out": ("warning", masked_out),
    "padding": ("problem", padded),
    "tool_tokens": ("problem", told),
    "length_cap": ("warning", length_cap),
    "copies": ("warning", copies),
    "bf16": ("warning", bf16),
    "no_signal": ("problem", lambda: rollouts(advantages=np.zeros(M))),
    "dead_groups": ("note", dead_groups),
    "single_completions": ("problem", lambda: graded(groups=CALM.ids)),
    "split_groups": ("warning", split),
    "reward_sign": ("problem", lambda: rollouts(rewards=tuple(1 - r for r in CALM.rewards))),  # type: ignore[operator]
    "one_sign": ("warning", lambda: rollouts(advantages=np.abs(CALM.advantages))),
    "advantage_scale": ("warning", lambda: rollouts(advantages=CALM.advantages * 40)),
    "on_policy": ("note", lambda: rollouts(logprobs=CALM.old_logprobs)),
    "scaled": ("problem", lambda: rollouts(old_logprobs=CALM.old_logprobs / np.log(10))),
    "temperature": ("problem", lambda: tempered(0.8, of_new=True)),
    "engine_mismatch": ("warning", engine_noise),
    "sampler_not_old": ("warning", lambda: rollouts(old_logprobs=CALM.old_logprobs - 0.05, logprobs=CALM.logprobs)),
    "wrong_way": ("problem", lambda: rollouts(logprobs=CALM.old_logprobs, old_logprobs=CALM.logprobs)),
    "moved_far": ("problem", lambda: rollouts(logprobs=np.minimum(CALM.old_logprobs + 60 * Z, 0))),
    "heavy_tail": ("warning", heavy_tail),
    "few_tokens": ("problem", few_tokens),
    "beyond_clamp": ("problem", lambda: rollouts(logprobs=changed(CALM.logprobs, 7, -30.0))),
    "gspo_band": ("warning", outside_the_band),
    "shifted": ("problem", shift),
    "truncated_sampling": ("problem", lambda: truncated(0.9)),
    "stale_sampler": ("warning", stale),
    "answers_dropped": ("problem", drifting_sampler),
    "sequence_sum": ("note", summed),
    "advantage_recipe": ("warning", interleaved),
    "entropy_falls": ("warning", falling),
    "length_drifts": ("warning", shrinking),
    "mismatch_grows": ("problem", growing),
}


def test_a_limit_that_the_run_tells_needs_no_pile_to_be_seen() -> None:
    file = length_cap()
    told = {
        one.id: one for one in findings(replace(file, mask=file.mask & (RNG.random(len(file.mask)) < 0.99)), cap=72)
    }
    assert "reach the run's limit of 72 tokens" in told["length_cap"].number
    assert "length_cap" not in {one.id for one in findings(rollouts(), cap=10_000)}


def test_every_rule_has_a_fault_here() -> None:
    assert set(FAULTS) == set(all_rules())


def test_calm_data_gets_no_finding() -> None:
    assert said(CALM) == {}


@pytest.mark.parametrize("rule", FAULTS)
def test_a_rule_speaks_where_its_fault_is(rule: str) -> None:
    severity, fault = FAULTS[rule]
    found = said(fault())
    assert rule in found, f"it said {list(found)}"
    finding = found[rule]
    assert finding.severity == severity
    assert finding.number and finding.rule == all_rules()[rule].threshold and finding.remedy
    assert all(0 <= index < len(fault()) for index in finding.where)


@pytest.mark.parametrize(
    ("rule", "where"),
    [("sentinels", 1), ("constant_logprobs", 3), ("masked_out", 5), ("copies", 9), ("beyond_clamp", 0)],
)
def test_a_finding_names_the_sequence_to_open(rule: str, where: int) -> None:
    assert where in said(FAULTS[rule][1]())[rule].where


def test_advantages_that_were_shuffled_are_told_from_those_turned_round() -> None:
    shuffled = np.repeat(np.random.default_rng(0).permutation(CALM.advantages[CALM.offsets[:-1]]), CALM.lengths)
    finding = said(rollouts(advantages=shuffled))["reward_sign"]
    assert finding.severity == "warning" and "little to do" in finding.title


def test_a_completion_alone_is_no_fault_where_its_advantage_was_taken_against_others() -> None:
    """verl gives one alone its reward; TRL 0. The calm run's own advantages are neither."""
    own = np.repeat(np.array(CALM.rewards, float), CALM.lengths)
    assert said(rollouts(groups=CALM.ids, advantages=own))["single_completions"].severity == "problem"
    assert said(rollouts(groups=CALM.ids))["single_completions"].severity == "note"


def test_outliers_among_sure_tokens_are_no_shift() -> None:
    """The last token but one of each sequence fell far, and the last is as rare: a lag of one takes the one to the
    other, and has nothing to compare that one with. A shift would part other tokens too."""
    old, new = np.full(M, -1e-3), np.full(M, -1e-3)
    last = CALM.offsets[1:] - 1
    old[last - 1], new[last - 1] = -4.0, -0.5
    old[last], new[last] = -4.0, -4.0
    assert "shifted" not in said(rollouts(old_logprobs=old, logprobs=new))


def test_a_tail_that_carries_the_gradient_is_one_finding_and_the_tail_a_note() -> None:
    """Four times the calm run, one token in 300 with a ratio of e^7.5."""
    found = said(few_tokens())
    assert found["few_tokens"].severity == "problem"
    assert "heavy_tail" not in found or found["heavy_tail"].severity == "note"


def test_advantages_turned_round_are_seen_in_sixteen_completions() -> None:
    few = np.repeat(np.arange(N) < 16, CALM.lengths)
    turned = said(rollouts(mask=few, rewards=tuple(1 - r for r in CALM.rewards)))  # type: ignore[operator]
    assert turned["reward_sign"].severity == "problem" and "reward_sign" not in said(rollouts(mask=few))


def test_prompts_of_one_order_are_as_clear_as_few_others() -> None:
    """Eight prompts in a rising line: of 8! orders one rises as clearly, of 2,000 drawn ones 1 at most. Six can be put
    into 720 orders, so that 2,000 hold about three that do as well; all orders are alike where the prompts are."""
    rows = rollouts(steps=tuple(i // 8 for i in range(N)), groups=tuple(str(i // 8) for i in range(N)))
    rising = np.repeat(np.arange(8) + 1.0, 8)
    ones = np.ones(N)
    assert as_clear(rows, rising, ones, 1) == 1 and as_clear(rows, rising, ones, -1) > 0.99 * ORDERS
    assert as_clear(rows, ones, ones, 1) == ORDERS
    six = np.where(np.arange(N) < 48, ones, 0.0)
    assert 2 <= as_clear(rows, rising * six, six, 1) <= 8


def test_problems_come_first() -> None:
    found = findings(sentinels()) + findings(dead_groups())
    assert [f.severity for f in findings(few_tokens())] == sorted(
        (f.severity for f in findings(few_tokens())), key=list(SEVERITIES).index
    )
    assert found[0].severity == "problem"


@pytest.mark.parametrize(
    ("alpha", "of_new"),
    [(0.6, True), (0.6, False), (0.8, True), (0.8, False), (0.9, True), (0.9, False)]
    + [(1.25, True), (1.25, False), (1.5, False)],
)
def test_a_temperature_is_seen_and_estimated(alpha: float, of_new: bool) -> None:
    """Simulated softmax contexts; the estimate's error is a bound that this very test states."""
    seen = temperature(gather(tempered(alpha, of_new=of_new)))
    assert seen is not None and seen.alpha == pytest.approx(alpha, abs=0.06)


@pytest.mark.parametrize(("kept", "severity"), [(0.9, "problem"), (0.95, "warning"), (0.99, "warning")])
def test_truncated_sampling_is_named_alone(kept: float, severity: str) -> None:
    """E[π_θ/π_old] over what a truncated sampler draws is the kept mass itself."""
    found = said(truncated(kept))
    assert found["truncated_sampling"].severity == severity
    assert not {"temperature", "zero_fillers", "moved_far", "engine_mismatch", "sampler_not_old"} & set(found)


def test_a_shift_is_named_alone_with_its_size_and_place() -> None:
    found = said(shift())
    assert "one token later" in found["shifted"].number and "32 of 64 sequences" in found["shifted"].number
    assert not {"temperature", "moved_far", "engine_mismatch", "few_tokens"} & set(found)


def test_without_signs_of_an_update_the_learning_rate_is_not_accused() -> None:
    """The same large differences, with A and against nothing: only the first is an update."""
    turned = np.where(np.repeat(np.arange(N) % 2 == 0, CALM.lengths), 60 * Z, -60 * Z)
    assert "moved_far" in said(rollouts(logprobs=np.minimum(CALM.old_logprobs + 60 * Z, 0)))
    found = said(rollouts(logprobs=np.minimum(CALM.old_logprobs + turned, 0)))
    assert "moved_far" not in found and "engine_mismatch" in found


def test_eight_sequences_tell_an_update_from_a_mismatch_and_fewer_only_that_the_policies_are_far_apart() -> None:
    against = np.where(np.repeat(np.arange(N) % 2 == 0, CALM.lengths), 30 * Z, -30 * Z)
    for sequences, causes in ((8, ("moved_far", "engine_mismatch")), (3, ("moved_far", "moved_far"))):
        few = np.arange(M) < CALM.offsets[sequences]
        assert not {"moved_far", "engine_mismatch"} & set(said(rollouts(mask=few)))
        for z, cause in zip((30 * Z, against), causes, strict=True):
            found = said(rollouts(mask=few, logprobs=np.minimum(CALM.old_logprobs + z, -1e-4)))
            assert {"moved_far", "engine_mismatch"} & set(found) == {cause}


def test_twelve_sequences_that_all_move_against_their_advantages_are_enough() -> None:
    small = healthy(KINDS[0], 1, prompts=4, group=4)
    assert "wrong_way" not in said(small)
    assert "wrong_way" in said(replace(small, logprobs=small.old_logprobs, old_logprobs=small.logprobs))


def test_a_band_is_judged_only_where_it_is_asked_about() -> None:
    assert "gspo_band" not in {f.id for f in findings(outside_the_band(), {"sapo": CATALOG["sapo"]()})}


def test_fillers_at_the_last_token_are_placed_there() -> None:
    last = changed(CALM.old_logprobs, CALM.offsets[1:] - 1, 0.0)
    new = changed(CALM.logprobs, CALM.offsets[1:] - 1, -0.8)
    assert "all the last token" in said(rollouts(old_logprobs=last, logprobs=new))["zero_fillers"].number


def test_a_change_names_its_step() -> None:
    """From step 1 on each k3 is nine times that of step 0 or more."""
    assert "from step 1 on" in said(growing())["mismatch_grows"].number


def test_dead_groups_come_with_the_forecast_for_prompts_alike() -> None:
    """p = .25, G = 2: p² + (1 − p)² = .625; .25^8 + .75^8 = .1001 and .75^9 = .0751, so that 9 leave a tenth."""
    rewards = tuple(float(i % 4 == 0) for i in range(N))
    number = said(graded(groups=tuple(str(i // 2) for i in range(N)), rewards=rewards))["dead_groups"].number
    assert "= 62 %" in number and "G = 9 would leave a tenth" in number


@pytest.mark.parametrize(("shut", "eps"), [("narrow", 3e-4), ("wide", 0.5)])
def test_a_band_is_too_narrow_or_too_wide(shut: str, eps: float) -> None:
    found = findings(CALM, {"gspo": CATALOG["gspo"](eps_low=eps, eps_high=eps)})
    assert [f.title for f in found] == [f"GSPO's band is too {shut} for these s_i"]


def test_no_temperature_is_seen_where_there_is_none() -> None:
    assert temperature(gather(tempered(1.0))) is None
    assert temperature(gather(CALM)) is None


def test_k3_is_the_mean_over_tokens() -> None:
    assert mean_k3(gather(CALM)) == pytest.approx(float((np.exp(Z) - 1 - Z).mean()))


def test_a_sentinel_does_not_drown_the_other_numbers() -> None:
    assert mean_k3(gather(sentinels())) == pytest.approx(mean_k3(gather(CALM)), rel=0.05)


def test_known_equal_weights_make_any_difference_a_mismatch() -> None:
    """An update on the same numbers is not called one; told that there was none, it is."""
    data = rollouts(logprobs=np.minimum(CALM.old_logprobs + 4 * Z, 0))
    assert "engine_mismatch" not in said(data) and "engine_mismatch" in said(replace(data, same_weights=True))


def test_dead_groups_are_counted_by_their_reward() -> None:
    number = said(dead_groups())["dead_groups"].number
    assert "2 of 8 groups" in number and "lowest reward (0): 1" in number and "highest (1): 1" in number


@pytest.mark.parametrize("name", ["addition-step12.jsonl", "outlier.jsonl"])
def test_the_bundled_samples_raise_no_false_problem(name: str) -> None:
    """The calm run has none. In the outlier run one step threw the policy far (k3 = 0.5) and not along A, as other
    weights would: the file cannot tell the two apart, and the finding says so."""
    found = findings(read_rollouts(ROOT / "assets" / "samples" / name))
    problems = {finding.id for finding in found if finding.severity == "problem"}
    assert problems == (set() if name.startswith("addition") else {"engine_mismatch"})


def test_docs_findings_is_that_of_the_rules() -> None:
    text = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    assert text == document(), "stale: python -m sapo_viz.rollouts.findings.document > docs/findings.md"
    assert all(rule.threshold in text and rule.reason in text and rule.remedy in text for rule in all_rules().values())


def test_a_tools_output_is_found_between_tags_of_several_tokens_and_left_alone_where_it_is_masked() -> None:
    found = said(told())["tool_tokens"]
    assert found.number.startswith("160 tokens in 16 of 64 sequences, 0 masked out") and found.where[0] % 4 == 0
    assert "tool_tokens" not in said(told(mask=True))


def test_groups_that_stand_apart_are_those_of_two_epochs_and_a_split_that_advantages_ignore_is_a_note() -> None:
    twice = tuple(f"p{i // 8 % 4}" for i in range(N))
    assert "split_groups" not in said(rollouts(prompts=twice))
    halves = rollouts(prompts=tuple(f"p{i // 8}" for i in range(N)), groups=tuple(str(i // 4) for i in range(N)))
    assert said(halves)["split_groups"].severity == "note"


def test_an_update_beside_a_mismatch_is_not_what_the_ratios_are_laid_to() -> None:
    """Log-probs exchanged within a sequence leave Σ A·z as it was: surely above 0, and no part of what z is."""
    new = np.array(CALM.logprobs)
    for i in range(0, N, 3):
        part = slice(CALM.offsets[i], CALM.offsets[i + 1])
        new[part] = np.random.default_rng(i).permutation(new[part])
    found = said(rollouts(logprobs=new))
    assert "moved_far" not in found and found["engine_mismatch"].severity == "problem"


@pytest.mark.parametrize("old", [0.0, -1.0, -1e-300])
@pytest.mark.parametrize("advantage", [1.0, 1e6])
def test_a_file_in_which_every_log_prob_is_filled_in_is_judged(old: float, advantage: float) -> None:
    """Nothing of it is left to take quantiles of, or a mean |A|."""
    row = {"tokens": ["a"] * 2000, "logprobs": [-1.0] * 2000, "old_logprobs": [old] * 2000, "advantage": advantage}
    found = findings(parse_rollouts((json.dumps(row) + "\n").encode() * 2, "x"), {"sapo": CATALOG["sapo"]()})
    assert found and all(np.isfinite(finding.value) for finding in found)
