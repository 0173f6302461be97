"""Files with one policy's log-probs say so, and two of them make a ratio when their tokens are the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.formats import read_pair
from sapo_viz.rollouts.readers.formats.pair import OnePolicy
from sapo_viz.rollouts.readers.read import parse_file, parse_rollouts
from tests.rollouts.readers.formats import samples
from tests.rollouts.readers.formats.samples import chat, completion, lines


def as_json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


@pytest.mark.parametrize(
    "data",
    [
        as_json(chat(-0.5, -1.0, -0.25)),
        as_json([chat(-0.5, -1.0, -0.25)]),
        lines(chat(-0.5, -1.0, -0.25), chat(-0.5, -1.0, -0.25)),
        lines(completion(-0.5, -1.0, -0.25)),
        lines({"id": "batch_1", "custom_id": "a", "response": {"body": chat(-0.5, -1.0, -0.25)}}),
    ],
    ids=["chat", "list", "lines", "completions", "batch API"],
)
def test_one_response_file_says_that_a_ratio_needs_two(data: bytes) -> None:
    found = parse_file(data, "new.csv")
    assert isinstance(found, OnePolicy)
    assert found.lacks == (
        "new.csv: this is an OpenAI-style response with the log-probs of one policy, and a ratio needs two; give the "
        "other policy's file for the same tokens too (`python -m sapo_viz inspect NEW --old OLD`)."
    )
    first = found.sequences[0]
    assert first.tokens == ("Hel", "lo", "!") and first.logprobs.tolist() == [-0.5, -1.0, -0.25]


def test_a_pair_of_responses_makes_new_and_old_with_sentinels_masked_out() -> None:
    new, old = as_json(chat(-0.5, -9999.0, -0.25)), as_json(completion(None, -1.0, -0.75))
    read = read_pair(new, "new", old, "old")
    only = read[0]
    assert only.tokens == ("Hel", "lo", "!") and only.mask.tolist() == [False, False, True]
    assert (only.logprobs[2], only.old_logprobs[2]) == (-0.25, -0.75)
    assert (
        only.advantages[2] == 1.0
        and "Neither file holds advantages or rewards, so A = 1 for every token." in read.notes
    )
    assert "Tokens masked out because their log-prob is null or the sentinel −9999: 1." in read.notes


def test_vllm_token_ids_are_read_as_ids() -> None:
    texts = ("token_id:31", "token_id:32", "token_id:33")
    read = read_pair(lines(chat(-1, -2, -3, texts=texts)), "new", lines(completion(-2, -2, -2, texts=texts)), "old")
    assert read[0].token_ids.tolist() == [31, 32, 33] and list(read[0].tokens) == ["⟨31⟩", "⟨32⟩", "⟨33⟩"]


def test_a_slime_train_file_and_its_rollout_file_are_a_pair_by_sample_index() -> None:
    columns = samples.slime_columns()
    turned = {k: v[::-1] if isinstance(v, list) and k != "num_microbatches" else v for k, v in columns.items()}
    train = samples.slime_train(**(turned | {"rollout_log_probs": None}))
    read = read_pair(train, "train", samples.slime_rollout(), "rollout")
    assert read.ids == ("9", "8")
    assert read[0].logprobs.tolist() == [-2.5, -0.125] and read[0].old_logprobs.tolist() == [-2.0, -0.25]
    assert read[0].advantages.tolist() == [-0.5, -0.5] and read.prompts == ("2+2=", "2+2=")


@pytest.mark.parametrize(
    "data",
    [samples.slime_rollout(), samples.slime_train(rollout_log_probs=None), samples.skyrl(rollout_logprobs=None)],
    ids=["slime rollout", "slime train", "SkyRL"],
)
def test_a_dump_of_one_policy_says_so(data: bytes) -> None:
    with pytest.raises(RolloutError, match=r"one policy, and a ratio needs two"):
        parse_rollouts(data, "x")


PAIR_FAULTS = {
    "other tokens": (
        as_json(chat(-1, -1, -1)),
        as_json(chat(-1, -1, -1, texts=("Hel", "p", "!"))),
        "new and old, sequence 1: token 2 is 'lo' in the first and 'p' in the second; both policies have to score the "
        "same tokens, made by the same tokenizer.",
    ),
    "one is longer": (
        as_json(chat(-1, -1, -1)),
        as_json(chat(-1, -1, texts=("Hel", "lo"))),
        "new and old, sequence 1: token 3 is '!' in the first and nothing more in the second; both policies have to "
        "score the same tokens, made by the same tokenizer.",
    ),
    "one has more": (
        lines(chat(-1, -1, -1), chat(-1, -1, -1)),
        lines(chat(-1, -1, -1)),
        "new has 2 sequences and old 1; a pair holds the same completions, each scored by its policy.",
    ),
    "no log-probs asked for": (
        lines(chat(-1, -1, -1)),
        lines({"choices": [{"index": 0, "logprobs": None}]}),
        "old, line 1, choices[0]: logprobs is null; ask the server for them (logprobs=true, or logprobs=1 for "
        "completions).",
    ),
    "both policies": (
        lines(*samples.NEMO),
        lines(chat(-1, -1, -1)),
        "new: this file holds both policies already; open it alone, without a second.",
    ),
    "texts": (
        lines(chat(-1, -1, -1)),
        lines(*samples.VERL),
        "old: this is a verl rollout dump without log-probs; a pair needs files with one policy's log-probs each, as a "
        "server's responses or a slime rollout dump.",
    ),
    "something else": (
        lines(chat(-1, -1, -1)),
        b"a,b\n1,2\n",
        "old: this is none of the known files with one policy's log-probs; a pair needs files with one policy's "
        "log-probs each, as a server's responses or a slime rollout dump.",
    ),
    "a positive log-prob": (
        lines(chat(-1, 2.0, -1)),
        lines(chat(-1, -1, -1)),
        "new with old, sequence 1: logprobs[1] is 2; a log-probability is at most 0 (natural log, not a probability).",
    ),
}


@pytest.mark.parametrize("case", PAIR_FAULTS)
def test_two_files_that_are_no_pair_are_refused_in_one_exact_sentence(case: str) -> None:
    new, old, sentence = PAIR_FAULTS[case]
    with pytest.raises(RolloutError) as caught:
        read_pair(new, "new", old, "old")
    assert str(caught.value) == sentence
