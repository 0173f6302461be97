"""Files with both policies' log-probs give the numbers that stand in samples.py, whatever the file is called."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from sapo_viz.rollouts.readers.read import parse_rollouts
from tests.rollouts.readers.formats import samples
from tests.rollouts.readers.formats.samples import lines

MISLEADING = ("notes.csv", "model.safetensors", "README", "completions.parquet")
ANSWERS = (["⟨21⟩", "⟨22⟩", "⟨23⟩"], ["⟨24⟩", "⟨25⟩"])

# The same two answers in five files: what every one of them has to give.
TWO_ANSWERS = {
    "NeMo-RL": lines(*samples.NEMO),
    "slime train, version 1": samples.slime_train(1),
    "slime train, version 2": samples.slime_train(2),
    "SkyRL, padded left": samples.skyrl("newer"),
    "SkyRL, response padded right": samples.skyrl("older"),
}


@pytest.mark.parametrize("name", MISLEADING)
@pytest.mark.parametrize("case", TWO_ANSWERS)
def test_prompt_and_padding_are_left_out_and_the_trainer_stands_over_the_sampler(case: str, name: str) -> None:
    read = parse_rollouts(TWO_ANSWERS[case], name)
    assert len(read) == 2
    first, second = read[0], read[1]
    assert [list(first.tokens), list(second.tokens)] == list(ANSWERS)
    assert first.token_ids.tolist() == [21, 22, 23] and second.token_ids.tolist() == [24, 25]
    assert first.mask.tolist() == [True, False, True]
    assert first.logprobs[first.mask].tolist() == [-1.0, -0.75]
    assert first.old_logprobs[first.mask].tolist() == [-1.25, -0.5]
    assert second.logprobs.tolist() == [-2.5, -0.125] and second.old_logprobs.tolist() == [-2.0, -0.25]
    assert first.advantages[first.mask].tolist() == [0.5, 0.5] and second.advantages.tolist() == [-0.5, -0.5]
    assert first.group == second.group
    assert any("⟨id⟩" in note for note in read.notes) and any("sampler" in note for note in read.notes)


def test_nemo_rl_gives_rewards_and_takes_a_sample_out_of_the_loss_by_its_mask() -> None:
    read = parse_rollouts(lines(*samples.NEMO), "x")
    assert read.rewards == (1.0, 0.0) and read.ids == ("0", "1")
    assert read[1].mask.tolist() == [False, False]
    assert "Sequences that sample_loss_mask takes out of the loss: 1." in read.notes


def test_older_nemo_rl_is_read_by_places_and_says_so() -> None:
    """The response is where generation_logprobs is not 0, so the tool's output (place 4, 0) is masked out as above."""
    read = parse_rollouts(lines(*samples.NEMO_OLDER), "x")
    first, second = read[0], read[1]
    assert list(first.tokens) == ["⟨#3⟩", "⟨#4⟩", "⟨#5⟩"] and list(second.tokens) == ["⟨#3⟩", "⟨#4⟩"]
    assert first.token_ids is None and first.mask.tolist() == [True, False, True]
    assert first.logprobs[first.mask].tolist() == [-1.0, -0.75]
    assert second.logprobs.tolist() == [-2.5, -0.125] and second.old_logprobs.tolist() == [-2.0, -0.25]
    assert first.advantages.tolist() == [0.5] * 3 and read.rewards == (1.0, 0.0)
    assert first.group == second.group and first.prompt == "2+2="
    assert sum("no token_ids" in note or "no token_loss_mask" in note for note in read.notes) == 2


def test_nemo_rl_without_token_ids_takes_the_mask_that_is_there() -> None:
    bare = [
        {name: value for name, value in row.items() if name not in ("token_ids", "content")} for row in samples.NEMO
    ]
    read = parse_rollouts(lines(*bare), "x")
    assert read[0].mask.tolist() == [True, False, True] and read[0].advantages.tolist() == [0.5] * 3
    assert not any("token_loss_mask" in note for note in read.notes)


def test_older_nemo_rl_without_advantages_takes_them_from_rewards_of_equal_prompts() -> None:
    bare = [{name: value for name, value in row.items() if name != "advantages"} for row in samples.NEMO_OLDER]
    read = parse_rollouts(lines(*bare), "x")
    assert read[0].advantages[0] == pytest.approx(2**-0.5, rel=1e-5) == -read[1].advantages[0]


def test_only_the_first_step_of_prime_rl_is_known_to_be_of_the_same_weights() -> None:
    """docs/algorithms.md: inference at step n has the weights of step max(0, n − 1)."""
    first = samples.PRIME[0] | {"step": 0}
    assert parse_rollouts(lines(first, first), "x").same_weights
    assert any("Step 0" in note for note in parse_rollouts(lines(first), "x").notes)
    for rows in ([samples.PRIME[0]], [first, samples.PRIME[0]]):
        assert not parse_rollouts(lines(*rows), "x").same_weights


def test_formats_that_are_also_written_asynchronously_are_not() -> None:
    assert not any(parse_rollouts(data, "x").same_weights for data in TWO_ANSWERS.values())


def test_prime_rl_masks_out_what_is_null_and_says_how_many() -> None:
    sft = samples.PRIME[0] | {"advantages": [None] * 5}
    read = parse_rollouts(lines(*samples.PRIME, sft), "x")
    assert len(read) == 1
    only = read[0]
    assert list(only.tokens) == ["⟨21⟩", "⟨22⟩", "⟨23⟩"] and only.mask.tolist() == [True, False, True]
    assert only.logprobs[only.mask].tolist() == [-1.0, -0.75]
    assert only.old_logprobs[only.mask].tolist() == [-1.25, -0.5]
    assert (only.id, only.step, only.reward, only.advantages[0]) == ("3", 7, 0.75, 1.5)
    assert "Tokens masked out because a log-prob there is null, NaN or infinite: 1." in read.notes
    assert any("without an advantage" in note and note.endswith(": 1.") for note in read.notes)


def test_slime_names_samples_by_their_index_and_takes_the_step_from_the_rollout() -> None:
    read = parse_rollouts(samples.slime_train(1), "x")
    assert read.ids == ("8", "9") and read.steps == (6, 6) and read.rewards == (1.0, 0.0)


def test_skyrl_groups_by_uid_where_the_dump_has_them() -> None:
    assert parse_rollouts(samples.skyrl(uids=["p", "q"]), "x").groups == ("p", "q")


@pytest.mark.parametrize("indent", [None, 2])
def test_unipo_gives_texts_ids_step_and_group(indent: int | None) -> None:
    read = parse_rollouts(json.dumps(samples.UNIPO, indent=indent).encode(), "rollouts.jsonl")
    only = read[0]
    assert only.tokens == ("The", " 4") and only.token_ids.tolist() == [31, 32]
    assert only.logprobs.tolist() == [-0.25, -0.5] and only.old_logprobs.tolist() == [-0.5, -0.125]
    assert only.ref_logprobs.tolist() == [-0.75, -1.0] and only.advantages.tolist() == [0.35, 0.35]
    assert (only.id, only.prompt, only.reward, only.step) == ("step4_p0_sample0", "Compute 2 + 2.", 0.85, 4)
    assert only.group == "step 4, prompt 1"


def test_unknown_fields_are_not_listed_among_those_not_used() -> None:
    assert not any("not used" in note for note in parse_rollouts(lines(*samples.PRIME), "x").notes)


def changed(item: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (item | changes).items() if value is not ...}


def without_old() -> bytes:
    document = json.loads(json.dumps(samples.UNIPO))
    del document["entries"][0]["prompts"][0]["responses"][0]["tokens"]["old_log_probs"]
    return json.dumps(document).encode()


N, P = samples.NEMO, samples.PRIME
FAULTS = {
    "NeMo-RL, older, lengths": (
        lines(changed(samples.NEMO_OLDER[0], generation_logprobs=[-1.0] * 5)),
        "x, line 1: generation_logprobs has 5 entries; it takes as many as prev_logprobs, 6.",
    ),
    "NeMo-RL lengths": (
        lines(changed(N[1], prev_logprobs=[-1.0] * 5)),
        "x, line 1: prev_logprobs has 5 entries; it takes as many as token_ids, 6.",
    ),
    "NeMo-RL probability": (
        lines(changed(N[0], prev_logprobs=[0.0, 0.0, 0.5, 0.0, -1.0, 0.0])),
        "x, line 1: prev_logprobs[2] is 0.5; a log-probability is at most 0 (natural log, not a probability).",
    ),
    "NeMo-RL input_lengths": (
        lines(changed(N[0], input_lengths=9)),
        "x, line 1: input_lengths is 9; it takes a whole number up to the 6 entries of token_ids.",
    ),
    "prime-rl mask": (
        lines(changed(P[0], loss_mask=[0, 0, 2, 1, 1])),
        "x, line 1: loss_mask[2] is 2; it takes 0 or 1.",
    ),
    "prime-rl text": (
        lines(changed(P[0], inference_logprobs=[0, 0, "high", -2, -3])),
        "x, line 1: inference_logprobs[2] is 'high'; it takes a number.",
    ),
    "UNIPO of REINFORCE": (
        without_old(),
        "x, line 1, entries[0], prompts[0], responses[0], tokens: old_log_probs is missing, as it is for REINFORCE; a "
        "ratio needs it beside log_probs.",
    ),
    "slime on an early pipeline stage": (
        samples.slime_train(log_probs=None, rollout_log_probs=None),
        "x: this slime train dump has no log_probs; only ranks of the last pipeline stage save them, so take one of "
        "their files.",
    ),
    "slime with context parallelism": (
        samples.slime_train(log_probs=[samples.torch.tensor([-1.0, -2.0])] * 2),
        "x, sample 1: log_probs has 2 entries for a response of 3 tokens, as with context parallelism; save it with a "
        "slime that puts the parts together (format_version 2).",
    ),
    "slime cut short": (
        samples.slime_train()[:-40],
        "x: this torch file is cut short or damaged; copy or write it again.",
    ),
    "SkyRL without advantages": (
        samples.skyrl(advantages=None),
        "x: advantages is missing; dump the batch after its advantages are computed.",
    ),
    "SkyRL shapes": (
        samples.skyrl(loss_mask=samples.torch.ones(2, 2)),
        "x: loss_mask has the shape (2, 2); it takes that of response_mask, (2, 3).",
    ),
    "SkyRL with ids that are none": (
        samples.skyrl(sequences=samples.torch.full((2, 5), float("nan"))),
        "x: sequences holds float32; it takes token ids, whole numbers.",
    ),
    "SkyRL cut short": (
        samples.skyrl()[:-40],
        "x: this Python pickle is cut short or damaged; copy or write the file again.",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_broken_file_is_refused_in_one_exact_sentence(case: str) -> None:
    from sapo_viz.errors import RolloutError

    data, sentence = FAULTS[case]
    with pytest.raises(RolloutError) as caught:
        parse_rollouts(data, "x")
    assert str(caught.value) == sentence


def test_every_mask_off_leaves_the_tokens_there() -> None:
    read = parse_rollouts(lines(changed(N[0], token_loss_mask=[0] * 6)), "x")
    assert read.lengths.tolist() == [5] and not read.mask.any() and np.isfinite(read.log_ratio).all()


def test_slimes_rewards_are_those_before_its_normalisation_where_a_sample_has_its_place() -> None:
    """slime/ray/rollout.py: `rewards` go through `_post_process_rewards`; `raw_reward` does not and is every rank's."""
    whole = {"raw_reward": [7.0, 1.0, 8.0, 0.0], "partition": [1, 3]}
    assert parse_rollouts(samples.slime_train(1, **whole), "x").rewards == (1.0, 0.0)
    unplaced = parse_rollouts(samples.slime_train(1, raw_reward=[7.0, 1.0, 8.0, 0.0]), "x")
    assert unplaced.rewards == (0.5, -0.5) and any("normalisation" in note for note in unplaced.notes)
