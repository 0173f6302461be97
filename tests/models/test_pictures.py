"""Pictures in prompts: their pixels are the library's, and what is sampled beside them has the library's log-probs."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from sapo_viz.errors import ModelError
from sapo_viz.figures.picture import picture_svg
from sapo_viz.models.pictures import FRAMES, MERGE, PATCH, patches_of, pixels
from sapo_viz.models.policy import Policy, load_policy
from sapo_viz.models.rollout import Rollout, completion_logprobs, decode, sample
from sapo_viz.models.scoring.score import score_texts
from sapo_viz.models.source import locate
from sapo_viz.models.tasks import GRID, occupied

PROMPT = "⟨image 0110 1000 0000 0001⟩?"


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy("grid-start")


def sampled(policy: Policy, prompts: list[str]) -> Rollout:
    rollout = sample(policy, prompts, 3, max_length=20, generator=torch.Generator().manual_seed(0))
    assert rollout is not None
    return rollout


def test_the_patches_are_those_of_the_librarys_processor() -> None:
    """It runs without torchvision; Qwen3-VL's means and deviations are 0.5."""
    half = [0.5] * 3
    processor = Qwen2VLImageProcessorPil(
        patch_size=PATCH,
        merge_size=MERGE,
        temporal_patch_size=FRAMES,
        image_mean=half,
        image_std=half,
        size={"shortest_edge": 32 * 32, "longest_edge": 32 * 32},
    )
    picture = pixels(PROMPT)
    theirs = processor(images=[Image.fromarray(picture)], return_tensors="np")
    assert theirs["image_grid_thw"].tolist() == [[1, 4, 4]]
    assert (theirs["pixel_values"] == patches_of(picture)).all()


def test_the_picture_is_of_the_cells_that_the_prompt_tells() -> None:
    picture = pixels(PROMPT)
    inked = {f"{'abcd'[x]}{y + 1}" for y in range(4) for x in range(4) if picture[8 * y + 4, 8 * x + 4, 0] < 100}
    assert inked == set(occupied(PROMPT) or ()) == {"b1", "c1", "a2", "d4"}
    shown = picture_svg(PROMPT)
    assert shown and shown.count("rgb(37, 82, 148)") == 4 and picture_svg("864+394=") is None


@pytest.mark.parametrize("ending", ["?", "??"])
def test_sampled_tokens_have_the_log_probs_of_the_librarys_own_pass(policy: Policy, ending: str) -> None:
    """Which finds its positions itself. A prompt that is longer by one token leaves the other one padded."""
    rollout = sampled(policy, [PROMPT, PROMPT.replace("?", ending).replace("0001", "1111")])
    again = completion_logprobs(policy, rollout)
    torch.testing.assert_close(again[rollout.mask], rollout.logprobs[rollout.mask], atol=2e-5, rtol=0)
    assert rollout.pictures is not None
    for row in range(len(rollout.ids)):
        there = slice(None) if rollout.prompt_mask is None else rollout.prompt_mask[row].bool()
        before, length = rollout.prompt_ids[row, there], int(rollout.mask[row].sum())
        ids = torch.cat([before, rollout.ids[row, :length]])[None]
        with torch.no_grad():
            logits = policy.model(
                input_ids=ids,
                pixel_values=rollout.pictures.patches[row],
                image_grid_thw=torch.tensor([[1, 4, 4]]),
                mm_token_type_ids=(ids == policy.model.config.image_token_id).int(),
            ).logits[0, len(before) - 1 : -1]
        theirs = torch.log_softmax(logits, -1).gather(-1, rollout.ids[row, :length, None])[:, 0]
        torch.testing.assert_close(rollout.logprobs[row, :length], theirs, atol=2e-5, rtol=0)


def test_another_picture_gives_another_answer(policy: Policy) -> None:
    prompts = GRID.sample_prompts(32, random.Random("seen"))
    greedy = sample(policy, prompts, 1, max_length=GRID.completion_length, greedy=True)
    assert greedy is not None
    right = [GRID.reward(prompt, text) for prompt, text in zip(prompts, decode(policy, greedy), strict=True)]
    assert sum(right) > 16  # 78 % on many (the card)


def test_a_place_that_the_policy_draws_itself_has_no_picture_and_breaks_nothing(policy: Policy) -> None:
    rollout = sampled(policy, [PROMPT])
    ids = rollout.ids.clone()
    ids[:, 1] = policy.model.config.image_token_id
    drawn = completion_logprobs(policy, replace(rollout, ids=ids))
    assert drawn.isfinite().all() and (drawn[:, 1] < -1).all()  # as unlikely as it was, not forbidden


@pytest.mark.parametrize("prompt", ["?", PROMPT + PROMPT])
def test_a_prompt_has_one_picture(policy: Policy, prompt: str) -> None:
    with pytest.raises(ModelError, match="and this policy looks at one; write it as ⟨image 0110 1000 0000 0001⟩"):
        sample(policy, [prompt], 1, max_length=4)


def test_no_text_is_scored_by_it() -> None:
    source = locate("grid-start")
    with pytest.raises(ModelError, match="'grid-start' is a qwen3_vl, which looks at images; .* none is scored"):
        list(score_texts(source, source, ["1+1="], ["2$"]))
