"""What the analysis says, against numbers worked out by hand and against the training loss itself."""

from __future__ import annotations

import json
import math
from threading import BoundedSemaphore
from typing import Any

import numpy as np
import pytest
import torch

from sapo_viz import CATALOG, Objective, policy_loss
from sapo_viz.rollouts.analysis import passes
from sapo_viz.rollouts.analysis.analyse import analyse
from sapo_viz.rollouts.readers.read import parse_rollouts
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.write import FORMATS, write_rollouts
from tests.rollouts.conftest import WORKED_RATIOS, jsonl, sequence

ALL = {name: cls() for name, cls in CATALOG.items()}


def worked(**changes: Any) -> Rollouts:
    return parse_rollouts(jsonl(sequence(**changes)), "worked.jsonl")


def test_the_worked_case() -> None:
    """s = (1.02·1.01·0.99·2.5)^(1/4) = 1.2636; w = sech²((r−1)/2): 0.9999, 0.99998, 0.99998, sech²(.75) = .5966."""
    result = analyse(worked(), {"sapo": CATALOG["sapo"](), "gspo": CATALOG["gspo"]()})
    assert (
        math.exp(result.log_s[0]) == pytest.approx(math.prod(WORKED_RATIOS) ** 0.25) == pytest.approx(1.2636, abs=1e-4)
    )
    assert result.tokens["gspo"].weight.tolist() == [0, 0, 0, 0]
    weight = result.tokens["sapo"].weight[:]
    assert (weight[:3] > 0.999).all() and weight[3] == pytest.approx(1 / math.cosh(0.75) ** 2) == pytest.approx(
        0.6, abs=0.004
    )
    row = result.sequences.iloc[0]
    assert row["dropped_gspo"] == 4 and row["dropped_sapo"] == 0
    assert row["kept_sapo"] == pytest.approx(weight.mean())
    z = np.log(WORKED_RATIOS)
    assert row["variance"] == pytest.approx(z.var())


def test_ess_of_the_unclipped_objective_is_that_of_the_ratios() -> None:
    r = np.array(WORKED_RATIOS)
    share = analyse(worked(), {"unclipped": CATALOG["unclipped"]()}).share("unclipped")
    assert share.ess == pytest.approx(r.sum() ** 2 / (4 * (r**2).sum()))
    assert (share.kept, share.clip_fraction, share.tokens) == (pytest.approx(1.0), 0.0, 4)


def test_shares_are_split_by_the_sign_of_the_advantage() -> None:
    """GRPO cuts r = 2.5 for A > 0 only: 3 of 4 kept there, all kept for A < 0; with |A| = 1 and 2: (3 + 8)/12."""
    rollouts = parse_rollouts(jsonl(sequence(), sequence(advantage=-2.0), sequence(advantage=0.0)), "x")
    result = analyse(rollouts, {"grpo": CATALOG["grpo"]()})
    assert result.share("grpo", 1).kept == pytest.approx(3 / 4)
    assert result.share("grpo", -1).kept == pytest.approx(1.0)
    assert result.share("grpo").kept == pytest.approx(11 / 12)
    assert result.share("grpo").tokens == 8


def test_where_every_advantage_is_zero_a_share_is_not_a_number() -> None:
    result = analyse(worked(advantage=0.0), ALL)
    assert math.isnan(result.share("sapo").kept) and result.sequences["kept_sapo"].isna().all()


@pytest.mark.parametrize("name", CATALOG)
def test_the_numbers_are_those_of_policy_loss(name: str, mixed: Rollouts) -> None:
    """Sequence by sequence, unpadded, through the public function: the same ratio, c, w, and metrics."""
    objective: Objective = CATALOG[name]()
    if objective.reads_batch and not objective.within_sequence:
        pytest.skip("shown of a file as if the batch left every token alone")
    result = analyse(mixed, {name: objective})
    for index in range(len(mixed)):
        own = mixed[index]
        batch = [torch.tensor(values)[None] for values in (own.logprobs, own.old_logprobs, own.advantages, own.mask)]
        out = policy_loss(objective, *batch)
        part = slice(mixed.offsets[index], mixed.offsets[index + 1])
        for flat, expected in (
            (result.tokens[name].ratio, out.tokens.ratio),
            (result.tokens[name].coefficient, out.tokens.coefficient),
            (result.tokens[name].weight, out.tokens.gate_weight),
        ):
            np.testing.assert_allclose(flat[part], expected[0].numpy(), rtol=1e-12)
        if own.advantages[own.mask].any():
            one = analyse(mixed.select(index), {name: objective}).share(name)
            assert one.kept == pytest.approx(out.metrics["gate_mean"], rel=1e-12)
            assert one.clip_fraction == pytest.approx(out.metrics["clip_fraction"])
            assert result.sequences[f"kept_{name}"][index] == pytest.approx(one.kept)


def test_order_and_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    items = []
    for number, length in enumerate(rng.integers(1, 60, size=30)):
        old = -rng.exponential(1.0, length)
        new = np.minimum(old + rng.normal(0, 0.3, length), 0)
        tokens = [f"t{i}" for i in range(length)]
        items.append(
            {"id": number, "tokens": tokens, "logprobs": new.tolist(), "old_logprobs": old.tolist()}
            | {"reward": float(number % 3), "group": number // 6}
        )
    forward = analyse(parse_rollouts(jsonl(*items), "x"), ALL)
    shuffled = [items[i] for i in rng.permutation(30)]
    monkeypatch.setattr(passes, "CHUNK", 64)
    other = analyse(parse_rollouts(jsonl(*shuffled), "x"), ALL)
    a, b = (result.sequences.set_index("id").sort_index() for result in (forward, other))
    for column in a.select_dtypes("number"):
        np.testing.assert_allclose(a[column], b[column].astype(float), rtol=1e-9, atol=1e-12)
    numbers = ["tokens", "kept", "clip_fraction", "ess"]
    np.testing.assert_allclose(forward.batch[numbers], other.batch[numbers], rtol=1e-9, atol=1e-12)


def test_a_large_file_waits_for_its_turn_and_a_small_one_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    file = parse_rollouts(jsonl(sequence()), "x")
    monkeypatch.setattr(passes, "_turns", turns := BoundedSemaphore(1))
    with passes.in_turn(file):
        assert turns.acquire(blocking=False), "no more than a chunk"
        analyse(file, ALL)  # it would wait for ever
    turns.release()
    monkeypatch.setattr(passes, "CHUNK", 1)
    with passes.in_turn(file):
        assert not turns.acquire(blocking=False)
    assert turns.acquire(blocking=False), "given back"


@pytest.mark.parametrize("format", FORMATS)
def test_all_formats_carry_the_same_sequences_and_analysis(format: str, mixed: Rollouts) -> None:
    again = parse_rollouts(write_rollouts(mixed, format), "again")
    assert again.tokens == mixed.tokens and again.ids == mixed.ids
    assert again.groups == mixed.groups and again.rewards == mixed.rewards and again.steps == mixed.steps
    for name in ("logprobs", "old_logprobs", "advantages", "mask", "token_ids", "sampler_logprobs", "ref_logprobs"):
        np.testing.assert_array_equal(getattr(again, name), getattr(mixed, name))
    before, after = analyse(mixed, ALL), analyse(again, ALL)
    assert before.batch.equals(after.batch)
    assert before.sequences.drop(columns="step").equals(after.sequences.drop(columns="step"))


def test_what_lies_under_the_mask_is_not_read() -> None:
    plain = analyse(worked(mask=[1, 1, 0, 1]), ALL)
    odd = worked(mask=[1, 1, 0, 1], logprobs=[math.log(r) - 2 if r != 0.99 else None for r in WORKED_RATIOS])
    for key in ALL:
        np.testing.assert_array_equal(analyse(odd, ALL).tokens[key].weight, plain.tokens[key].weight)
    assert plain.sequences["tokens"][0] == 3


def test_huge_but_finite_numbers_stay_numbers() -> None:
    result = analyse(worked(logprobs=[-1e300, -700.0, -0.0, -1e-300], advantage=1e300), ALL)
    for numbers in result.tokens.values():
        assert np.isfinite(numbers.weight).all() and np.isfinite(numbers.coefficient).all()
    assert all(np.isfinite(result.share(key).kept) for key in ALL)


def test_rounding_above_zero_is_taken_as_zero_and_said() -> None:
    rollouts = worked(logprobs=[0.0009, -1.0, -1.0, -1.0])
    assert rollouts.logprobs[0] == 0 and any("taken as 0: 1" in note for note in rollouts.notes)


def test_advantages_come_from_reward_and_group() -> None:
    """R = 1, 0: mean 1/2, sample std 1/√2, A = ±(1/2)/(1/√2 + 1e-6) ≈ ±0.7071."""
    items = [sequence(advantage=None, reward=r, group=g) for r, g in ((1, "a"), (0, "a"), (5, "b"))]
    rollouts = parse_rollouts(jsonl(*items), "x")
    assert rollouts.advantages[::4].tolist() == pytest.approx([0.70710578, -0.70710578, 0.0], abs=1e-7)


def test_half_characters_and_other_fields_are_said() -> None:
    data = json.dumps([sequence(tokens=["\ud83d", "a", "b", "\ud83d\ude00"], extra=1)]).encode()
    rollouts = parse_rollouts(data, "x.json")
    assert rollouts.tokens[0] == "�" and rollouts.tokens[3] == "😀"
    assert any("half a character" in note for note in rollouts.notes) and any(
        "extra" in note for note in rollouts.notes
    )


def test_one_object_alone_and_a_byte_order_mark_are_read() -> None:
    for data in (json.dumps(sequence(), indent=1).encode(), b"\xef\xbb\xbf" + jsonl(sequence())):
        assert len(parse_rollouts(data, "x")) == 1


def test_values_are_frozen(mixed: Rollouts) -> None:
    for array in (mixed.logprobs, mixed[0].logprobs, analyse(mixed, ALL).tokens["sapo"].weight[:]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
