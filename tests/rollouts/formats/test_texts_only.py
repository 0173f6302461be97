"""Logs without log-probs say that two models have to score them, and carry the texts for that."""

from __future__ import annotations

import json

import pytest

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.read import parse_rollouts
from sapo_viz.rollouts.texts import NoLogprobs, TextDump
from tests.rollouts.formats import samples
from tests.rollouts.formats.samples import lines

BOTH = (0.7, -0.7)
NONE = (None, None)
# The file, whose log it is, advantages, steps
DUMPS = {
    "TRL": (samples.trl(), "a TRL completions log", BOTH, 5),
    "verl": (lines(*samples.VERL), "a verl rollout dump", NONE, 5),
    "ms-swift, a row a line": (lines(*samples.SWIFT_ROWS), "an ms-swift completions log", BOTH, 5),
    "ms-swift, a step a line": (lines(samples.SWIFT_TABLE), "an ms-swift completions log", BOTH, 5),
    "ROLL": (lines(samples.ROLL), "a ROLL rollout dump", NONE, 5),
    "slime without log-probs": (samples.slime_rollout(logprobs=False), "a slime rollout dump", NONE, 6),
}


def texts_of(data: bytes, name: str = "x") -> TextDump:
    with pytest.raises(NoLogprobs) as caught:
        parse_rollouts(data, name)
    texts = caught.value.texts
    assert str(caught.value) == (
        f"{name}: this is {texts.format} with {len(texts):,} completions and no log-probs; "
        "let two models score them, on the Tokens page or with `python -m sapo_viz score`."
    )
    return texts


@pytest.mark.parametrize("name", ["rollouts.jsonl", "train_data_step3.jsonl", "model.pt"])
@pytest.mark.parametrize("case", DUMPS)
def test_a_text_log_is_recognised_by_its_content_and_carries_its_texts(case: str, name: str) -> None:
    data, format, advantages, step = DUMPS[case]
    texts = texts_of(data, name)
    assert (texts.name, texts.format) == (name, format)
    assert texts.prompts == ("2+2=", "2+2=") and texts.completions in (("4", "5"), ("4.", "5"))
    assert texts.rewards == (1.0, 0.0) and texts.advantages == advantages and texts.steps == (step, step)
    assert texts.groups[0] == texts.groups[1]


def test_completions_of_another_prompt_or_step_are_another_group() -> None:
    more = lines(*samples.VERL, samples.VERL[0] | {"step": 6}, samples.VERL[0] | {"input": "3+3="})
    assert texts_of(more).groups == ("prompt 1", "prompt 1", "prompt 2", "prompt 3")


def test_with_several_reward_functions_the_reward_is_left_open() -> None:
    assert texts_of(samples.trl(format_reward=[0.5, 0.5])).rewards == NONE


TEXT_FAULTS = {
    "TRL with messages": (
        samples.trl(completion=[[{"role": "assistant", "content": "4"}]] * 2),
        "x, row 1: completion is of the type list<element: struct<role: …; it takes text.",
    ),
    "TRL cut short": (
        samples.trl()[:40] + samples.trl()[60:],
        "x: this Parquet file cannot be read; it may be cut short, so copy or write it again.",
    ),
    "verl score": (lines(samples.VERL[0] | {"score": "high"}), "x, line 1: score is 'high'; it takes a finite number."),
    "verl cut short": (
        lines(*samples.VERL)[:-20],
        "x, line 2: this is not JSON (unterminated string starting at, column 60); check that the file was written to "
        "its end by a JSON library.",
    ),
    "ms-swift prompt": (lines(samples.SWIFT_ROWS[0] | {"prompt": 3}), "x, line 1: prompt is 3; it takes text."),
    "ROLL lengths": (
        lines(samples.ROLL | {"scores": [1.0]}),
        "x, line 1: scores has 1 entries; it takes as many as responses, 2.",
    ),
}


@pytest.mark.parametrize("case", TEXT_FAULTS)
def test_a_broken_log_is_refused_in_one_exact_sentence(case: str) -> None:
    data, sentence = TEXT_FAULTS[case]
    with pytest.raises(RolloutError) as caught:
        parse_rollouts(data, "x")
    assert str(caught.value) == sentence


def test_an_own_file_that_also_has_a_prompt_and_a_completion_is_still_an_own_file() -> None:
    own = {"tokens": ["a"], "logprobs": [-1.0], "old_logprobs": [-1.5], "advantage": 1.0}
    extra = {"prompt": "p", "completion": "c", "gen_step": 1, "input": "p", "output": "c", "score": 1, "step": 2}
    assert len(parse_rollouts(lines(own | extra), "x")) == 1
    columns = {key: [value] for key, value in (own | extra).items()}
    assert len(parse_rollouts(samples.parquet(**columns), "x")) == 1
    assert len(parse_rollouts(json.dumps([own | extra]).encode(), "x")) == 1
