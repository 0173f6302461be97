"""The samples that the page offers: frameworks' own functions wrote them, and every reader finds the same in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.formats import FORMATS, recognise
from sapo_viz.rollouts.readers.formats.base import Notes
from sapo_viz.rollouts.readers.formats.pair import OnePolicy
from sapo_viz.rollouts.readers.read import parse_file
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.texts import TextDump
from scripts.format_writers.__main__ import FOLDER
from scripts.format_writers.answers import ANSWERS

SAMPLES = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir())}
WRITERS = json.loads(FOLDER.with_suffix(".json").read_text(encoding="utf-8"))
# Samples that hold something else than the four answers.
OTHERS = {"openai-new.json", "openai-old.json", "nemo-gym-rollout.tokens.jsonl", "rllm-episode.json"}
HALF = {"prime-rl-ce-rank_0.jsonl": {1}, "slime-rollout.pt": {3}}  # answers that are masked out whole
LACKING = {
    "tinker-train_rollout_summaries.jsonl": "tinker",
    "unipo-grpo_metrics.json": "UNIPO",
    "open-instruct-run_metadata.jsonl": "open-instruct",
    "skyrl-eval-aggregated_results.jsonl": "SkyRL",
}


def kind(name: str) -> tuple[str, Any]:
    try:
        found = parse_file(SAMPLES[name], name)
    except RolloutError as error:
        return "no tokens", str(error)
    kinds = {Rollouts: "both policies", OnePolicy: "one policy", TextDump: "texts only"}
    return kinds[type(found)], found


def test_of_every_sample_it_is_known_which_function_of_which_version_wrote_it() -> None:
    assert set(WRITERS) == set(SAMPLES)
    assert all(entry["framework"] and entry["version"] and entry["function"] for entry in WRITERS.values())
    assert all(len(data) < 10_000 for data in SAMPLES.values())


def test_every_format_has_a_sample() -> None:
    known = [recognise(name, data, Notes()) for name, data in SAMPLES.items()]
    assert {item[0].name for item in known if item} >= {f.name for f in FORMATS}


@pytest.mark.parametrize("name", [n for n in SAMPLES if n not in OTHERS and n not in LACKING])
def test_every_reader_finds_the_four_answers_that_its_writer_was_given(name: str) -> None:
    holds, read = kind(name)
    answers = ANSWERS[:3] if "skyrl-global" in name else ANSWERS
    if holds == "texts only":
        assert list(read.completions) == [a.text for a in answers]
        assert all(a.prompt in prompt for a, prompt in zip(answers, read.prompts, strict=True))
        assert [len({read.groups[i], read.groups[i + 1]}) for i in (0, 1, 2)] == [1, 2, 1]
        return
    sequences = read.sequences if holds == "one policy" else [read[i] for i in range(len(read))]
    assert len(sequences) == len(answers)
    for index, (sequence, a) in enumerate(zip(sequences, answers, strict=True)):
        drawn = sequence.mask
        if index in HALF.get(name, ()):
            assert not drawn.any()
            continue
        if sequence.token_ids is None:
            assert tuple(sequence.tokens) == a.tokens
        else:
            assert tuple(sequence.token_ids[drawn]) == a.ids
        sampler = sequence.logprobs if holds == "one policy" else sequence.old_logprobs
        assert sampler[drawn].tolist() == list(a.sampler)
        if holds == "both policies":
            assert sequence.logprobs[drawn].tolist() == list(a.trainer)
        if sequence.advantages is not None:
            assert set(sequence.advantages[drawn].tolist()) == {a.advantage}
    if not name.startswith(("openai", "sglang", "vllm")):  # servers know of no prompts that belong together
        groups = [sequence.group for sequence in sequences]
        assert groups[0] == groups[1] != groups[2]


def test_rewards_are_those_of_the_rows_that_are_there() -> None:
    """Under dynamic sampling `rewards` belong to the batch before it was filtered (nemo_rl/algorithms/grpo.py)."""
    for name in ("nemo-rl-dynamic-train_data_step1.jsonl", "slime-train.pt", "unipo.json"):
        assert list(kind(name)[1].rewards) == [a.reward for a in ANSWERS]
    assert kind("verl-5.jsonl")[1].rewards == tuple(a.reward for a in ANSWERS)  # written as text
    assert kind("ms-swift-nan-completions.jsonl")[1].rewards == (None, 0.0, 1.0, 0.0)
    assert kind("trl-chat-completions_00005.parquet")[1].rewards == (1.5, 0.0, 1.5, 0.0)  # the second of one is NaN


def test_a_tools_tokens_are_shown_and_masked_out() -> None:
    one = kind("nemo-gym-rollout.tokens.jsonl")[1].sequences[0]
    assert one.token_ids.tolist() == [*ANSWERS[0].ids, 91, 92, *ANSWERS[1].ids]
    assert one.mask.tolist() == [True, True, False, False, True, True, True]
    last = kind("open-instruct-run_rollouts_000000.jsonl")[1].sequences[3]
    assert last.token_ids.tolist() == [28, 29] and last.mask.tolist() == [True, False]


def test_images_are_marked_where_they_stood() -> None:
    assert kind("trl-chat-completions_00005.parquet")[1].prompts[0] == "⟨image⟩" + ANSWERS[0].prompt


@pytest.mark.parametrize("name", LACKING)
def test_a_summary_is_recognised_and_says_what_it_lacks(name: str) -> None:
    holds, says = kind(name)
    assert holds == "no tokens" and LACKING[name] in says and "no tokens;" in says
