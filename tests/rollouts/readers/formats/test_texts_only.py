"""Logs without log-probs say that two models have to score them, and carry the texts for that."""

from __future__ import annotations

import json

import pytest

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.read import parse_file, parse_rollouts
from sapo_viz.rollouts.texts import TextDump, left_out
from tests.rollouts.readers.formats import samples
from tests.rollouts.readers.formats.samples import lines

BOTH = (0.7, -0.7)
NONE = (None, None)
# The file, whose log it is, advantages, steps
DUMPS = {
    "TRL": (samples.trl(), "a TRL completions log", BOTH, 5),
    "TRL, messages": (samples.chat_trl(), "a TRL completions log", BOTH, 5),
    "verl": (lines(*samples.VERL), "a verl rollout dump", NONE, 5),
    "ms-swift, a row per line": (lines(*samples.SWIFT_ROWS), "an ms-swift completions log", BOTH, 5),
    "ms-swift, a step a line": (lines(samples.SWIFT_TABLE), "an ms-swift completions log", BOTH, 5),
    "ROLL": (lines(samples.ROLL), "a ROLL rollout dump", NONE, 5),
    "slime without log-probs": (samples.slime_rollout(logprobs=False), "a slime rollout dump", NONE, 6),
}


def texts_of(data: bytes, name: str = "x") -> TextDump:
    texts = parse_file(data, name)
    assert isinstance(texts, TextDump)
    assert texts.lacks == (
        f"{name}: this is {texts.format} with {len(texts):,} completions and no log-probs; "
        f"let two models score them, on the Tokens page or with `python -m sapo_viz score`.{left_out(texts.notes)}"
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


def test_with_several_reward_functions_the_reward_is_the_sum_of_those_that_gave_one() -> None:
    """trl/trainer/grpo_trainer.py: a function that returns None leaves NaN, and the sum over functions is a nansum."""
    texts = texts_of(samples.trl(advantage=None, format_reward=[0.5, None]))
    assert texts.rewards == (1.5, 0.0) and any(
        "sum of the columns accuracy_reward, format_reward;" in note for note in texts.notes
    )


def test_one_chat_message_is_taken_as_its_text_and_asks_for_the_chat_template() -> None:
    texts = texts_of(samples.chat_trl())
    assert texts.chat and not texts.notes
    assert not texts_of(samples.trl()).chat


def test_several_messages_are_written_out_with_their_roles() -> None:
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2="}]
    texts = texts_of(samples.chat_trl(prompt=[asked, asked]))
    assert texts.prompts[0] == "system: Be brief.\n\nuser: 2+2=" and not texts.chat
    assert any("several messages" in note and note.endswith(": 2.") for note in texts.notes)


def test_of_a_run_with_tools_the_first_answer_is_taken_and_a_bare_call_left_out() -> None:
    call = [{"type": "function", "function": {"name": "add", "arguments": "{}"}}]
    told = [{"role": "assistant", "content": "Let me add."}, {"role": "tool", "content": "4"}]
    silent = [{"role": "assistant", "content": None, "tool_calls": call}, {"role": "tool", "content": "4"}]
    texts = texts_of(samples.chat_trl(completion=[told, silent]))
    assert texts.completions == ("Let me add.",) and texts.rewards == (1.0,) and texts.advantages == (0.7,)
    assert sum(note.endswith(": 1.") for note in texts.notes) == 2


def test_blocks_of_text_are_joined_and_images_marked() -> None:
    blocks = [{"type": "image", "text": None}, {"type": "text", "text": "2+"}, {"type": "text", "text": "2="}]
    texts = texts_of(samples.chat_trl(prompt=[[{"role": "user", "content": blocks}]] * 2))
    assert texts.prompts == ("⟨image⟩2+2=", "⟨image⟩2+2=")
    assert any("⟨image⟩" in note and note.endswith(": 2.") for note in texts.notes)


TEXT_FAULTS = {
    "TRL, lists without roles": (
        samples.trl(completion=[[{"text": "4"}]] * 2),
        "x, row 1: completion has no message with the role assistant; it takes the policy's answer.",
    ),
    "TRL, no answer": (
        samples.chat_trl(completion=[[{"role": "tool", "content": "4"}]] * 2),
        "x, row 1: completion has no message with the role assistant; it takes the policy's answer.",
    ),
    "TRL, content": (
        samples.chat_trl(completion=[[{"role": "assistant", "content": 4}]] * 2),
        "x, row 1, completion[0]: content is 4; it takes text, or a list of blocks with a type.",
    ),
    "TRL, tool calls only": (
        samples.chat_trl(completion=[[{"role": "assistant", "content": None}]] * 2),
        "x: this is a TRL completions log, and there is no completion with a text in it (Completions whose "
        "answers have no text, as a tool call has none, left out: 2); give at least one.",
    ),
    "TRL cut short": (
        samples.trl()[:40] + samples.trl()[60:],
        "x: this Parquet file cannot be read; it may be cut short, so copy or write it again.",
    ),
    "verl score": (lines(samples.VERL[0] | {"score": "high"}), "x, line 1: score is 'high'; it takes a finite number."),
    "verl cut short": (
        lines(samples.VERL[0])[:-20] + b"}",
        "x, line 1: this is not JSON (unterminated string starting at, column 60); check that the file was written to "
        "its end by a JSON library.",
    ),
    "ms-swift prompt": (
        lines(samples.SWIFT_ROWS[0] | {"prompt": 3}),
        "x, line 1: prompt is 3; it takes text or messages with role and content.",
    ),
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
