"""What real logs hold beside the plain case: NaN, null, numbers as text, batches of one, single failed lines."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.readers.formats.base import SKIPPED
from sapo_viz.rollouts.readers.formats.pair import OnePolicy
from sapo_viz.rollouts.readers.read import parse_file, parse_rollouts
from sapo_viz.rollouts.texts import TextDump
from tests.rollouts.readers.formats import samples
from tests.rollouts.readers.formats.samples import lines

NAN = float("nan")
NEMO = {name: [value] if name != "idx" else value for name, value in samples.NEMO[0].items()}


def texts_of(*rows: dict[str, Any]) -> TextDump:
    found = parse_file(lines(*rows), "x")
    assert isinstance(found, TextDump)
    return found


def policy_of(*rows: dict[str, Any]) -> OnePolicy:
    found = parse_file(lines(*rows), "x")
    assert isinstance(found, OnePolicy)
    return found


def test_a_batch_of_one_is_the_sample_in_it_and_of_two_both() -> None:
    plain, one = parse_rollouts(lines(samples.NEMO[0]), "x")[0], parse_rollouts(lines(NEMO), "x")[0]
    assert one.logprobs.tolist()[0] == plain.logprobs.tolist()[0] and one.token_ids.tolist() == plain.token_ids.tolist()
    assert (one.reward, one.mask.tolist(), one.group) == (plain.reward, plain.mask.tolist(), plain.group)
    two = {name: value * 2 if isinstance(value, list) else value for name, value in NEMO.items()}
    assert len(parse_rollouts(lines(two), "x")) == 2


def test_log_probs_that_a_run_did_not_compute_leave_one_policy() -> None:
    """nemo_rl/algorithms/grpo.py puts zeros for prev_logprobs with force_on_policy_ratio; SkyRL's are null."""
    one = policy_of(NEMO | {"prev_logprobs": [[0.0] * 6]})
    assert one.sequences[0].logprobs[one.sequences[0].mask].tolist() == [-1.25, -0.5]
    assert one.sequences[0].reward == 1.0 and any("placeholder" in note for note in one.notes)
    found = parse_file(samples.skyrl(action_log_probs=None), "x")
    assert isinstance(found, OnePolicy)
    assert found.sequences[1].logprobs.tolist() == [-2.0, -0.25]


def test_a_failed_line_among_good_ones_is_left_out_and_said() -> None:
    read = parse_rollouts(lines(NEMO, NEMO | {"prev_logprobs": [[0.0]]}, NEMO), "x")
    assert len(read) == 2
    said = next(note for note in read.notes if note.startswith(SKIPPED))
    assert ": 1; the first is x, line 2: prev_logprobs has 1 entries" in said


def test_a_failed_sample_in_a_line_of_many_is_left_out_alone() -> None:
    texts = texts_of(samples.ROLL | {"scores": ["high", 0.0]})
    assert texts.completions == ("5",) and any(note.startswith(SKIPPED) for note in texts.notes)


def test_where_every_line_is_wrong_the_first_says_why() -> None:
    with pytest.raises(RolloutError, match=r"line 1: prev_logprobs has 1 entries"):
        parse_rollouts(lines(NEMO | {"prev_logprobs": [[0.0]]}, NEMO | {"prev_logprobs": [[0.0]]}), "x")


def test_a_log_that_is_being_written_is_read_up_to_its_last_whole_line() -> None:
    data = lines(samples.VERL[0]) + b'{"input": "2+2=", "outp'
    found = parse_file(data, "x")
    assert isinstance(found, TextDump)
    assert found.completions == ("4",)


def test_a_file_whose_first_line_is_a_failed_request_is_still_recognised() -> None:
    failed = {"id": "1", "custom_id": "a", "response": None, "error": {"code": "x"}}
    refused = {"id": "2", "custom_id": "b", "response": {"status_code": 500, "body": {"error": {}}}, "error": None}
    good = {"id": "3", "custom_id": "c", "response": {"body": samples.chat(-0.5, -1.0, -0.25)}}
    one = policy_of(failed, refused, good)
    assert [s.group for s in one.sequences] == ["c"] and "Requests that failed, left out: 2." in one.notes
    assert one.lacks.endswith(" Requests that failed, left out: 2.")


@pytest.mark.parametrize(
    ("score", "reward"),
    [
        ("1.0", 1.0), (True, 1.0), ("False", 0.0), ("tensor(0.5000)", 0.5), ([0.25], 0.25),
        (NAN, None), (None, None), ("nan", None),
    ],
)  # fmt: skip
def test_a_reward_is_the_number_that_it_says_or_none(score: Any, reward: float | None) -> None:
    assert texts_of(samples.VERL[0] | {"score": score}, samples.VERL[1]).rewards == (reward, 0.0)


@pytest.mark.parametrize(
    ("reward", "is_number"),
    [
        ({"score": 0.5, "format": 1.0}, 0.5), ({"accuracy": 1.0}, 1.0), ({"a": 1.0, "b": 0.0}, None), ([], None),
        ([[1]], 1.0),
    ],
)  # fmt: skip
def test_of_rewards_under_names_the_one_called_score_is_taken_or_the_only_one(reward: Any, is_number: Any) -> None:
    rows = [samples.VERL[0] | {"score": reward}, samples.VERL[1]]
    assert texts_of(*rows).rewards == (is_number, 0.0)


def test_a_reward_a_token_is_summed_and_flags_count_as_numbers() -> None:
    rows = [{"input_prompt": "2+2=", "output_response": "4", "score": score} for score in ([False, True], [], [0.5])]
    assert texts_of(*rows).rewards == (1.0, None, 0.5)


@pytest.mark.parametrize(
    "line", [b"Traceback (most recent call last)", b"\x00\x00\x00", b"null", b'{"error": "timeout"}']
)
@pytest.mark.parametrize("at", [0, 1])
def test_lines_that_failed_stand_before_and_between_good_ones(line: bytes, at: int) -> None:
    good = lines(samples.VERL[0], samples.VERL[1]).splitlines()
    found = parse_file(b"\n".join([*good[:at], line, *good[at:]]) + b"\n", "x")
    assert isinstance(found, TextDump)
    assert found.completions == ("4", "5") and any(note.startswith(f"{SKIPPED}: 1") for note in found.notes)


def test_a_batch_whose_first_twenty_requests_failed_is_still_recognised() -> None:
    failed = {"id": "1", "custom_id": "a", "response": None, "error": {"code": "x"}}
    good = {"id": "3", "custom_id": "c", "response": {"body": samples.chat(-0.5, -1.0, -0.25)}}
    assert "Requests that failed, left out: 20." in policy_of(*[failed] * 20, good).notes


def test_a_batch_of_one_is_taken_out_of_its_lists_whoever_wrote_it() -> None:
    def batch(row: dict[str, Any]) -> dict[str, Any]:
        return {name: [value] for name, value in row.items()}

    assert texts_of(*map(batch, samples.VERL)).completions == ("4", "5")
    assert texts_of(*map(batch, samples.SWIFT_ROWS)).rewards == texts_of(*samples.SWIFT_ROWS).rewards
    assert len(parse_rollouts(lines(*map(batch, samples.PRIME)), "x")) == len(samples.PRIME)


def test_numbers_that_a_reward_function_logged_beside_it_are_no_reward() -> None:
    """TRL's log_extra stands between the rewards and the advantage (trl/trainer/grpo_trainer.py, `log`)."""
    columns = {
        "step": [1] * 4, "prompt": ["p", "p", "q", "q"], "completion": ["a", "b", "c", "d"],
        "correct": [1.0, 0.0, 0.0, 1.0], "format": [0.5, NAN, 0.5, 0.5], "length": [3, 9, 2, 2], "seen": [True] * 4,
        "advantage": [0.7, -0.7, -0.7, 0.7],
    }  # fmt: skip
    found = parse_file(samples.parquet(**columns), "x")
    assert isinstance(found, TextDump)
    assert found.rewards == (1.5, 0.0, 0.5, 1.5)
    assert any("columns correct, format;" in note for note in found.notes)


def test_an_answer_after_a_tools_call_is_taken_and_the_call_stands_with_the_prompt() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "add", "arguments": "{}"}}]}
    told = [call, {"role": "tool", "content": "4"}, {"role": "assistant", "content": "It is 4."}]
    plain = [{"role": "assistant", "content": "4"}]
    rows = [
        {"example_id": 1, "prompt": [{"role": "user", "content": "2+2?"}], "completion": completion, "reward": 1.0}
        for completion in (told, plain, [call])
    ]
    texts = texts_of(*rows)
    assert texts.completions == ("It is 4.", "4")
    assert texts.prompts[0] == "user: 2+2?\n\nassistant: ⟨call 'add'⟩\n\ntool: 4" and texts.prompts[1] == "2+2?"
    assert texts.groups[0] == texts.groups[1]


def test_a_slime_dump_may_hold_images_and_sets_and_nothing_but_removed_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    home = ModuleType("PIL.Image")
    home.Image = type("Image", (), {"__module__": "PIL.Image"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "PIL", ModuleType("PIL"))
    monkeypatch.setitem(sys.modules, "PIL.Image", home)
    rows = [
        {
            "group_index": 0, "index": n, "prompt": "p", "tokens": [1, 2], "response": "a", "response_length": 1,
            "rollout_log_probs": [-0.5], "reward": {"score": 1.0}, "remove_sample": True, "metadata": {"seen": {1, 2}},
            "multimodal_inputs": {"images": [home.Image()]},
        }
        for n in range(2)
    ]  # fmt: skip
    one = parse_file(samples.saved({"rollout_id": 1, "samples": rows}), "x")
    assert isinstance(one, OnePolicy)
    assert [s.reward for s in one.sequences] == [1.0, 1.0] and not any(s.mask.any() for s in one.sequences)


def test_a_slime_train_dump_without_advantages_has_those_of_its_rewards() -> None:
    read = parse_rollouts(samples.slime_train(advantages=None), "x")
    assert len(read) == 2


def test_groups_of_verl_go_by_the_samples_name_where_it_is_there() -> None:
    rows = [samples.VERL[0] | {"uid": uid} for uid in ("8f_0_0", "8f_1_0", "9c_0_0")]
    labels = texts_of(*rows).groups
    assert labels[0] == labels[1] != labels[2]


def test_the_tokens_own_entry_among_prompt_logprobs_is_the_one_beyond_the_favourites() -> None:
    """vllm/logprobs.py: k favourites have the ranks 1 to k; a token that is none of them adds an entry of its own."""
    favourite, own = (
        {"logprob": -0.1, "rank": 1, "decoded_token": "F"},
        {"logprob": -2.0, "rank": 2, "decoded_token": "o"},
    )
    both = {"5": favourite, "7": own}
    alone = {"8": favourite}
    response = {"choices": [{"index": 0, "text": "", "logprobs": None, "prompt_logprobs": [None, both, alone]}]}
    assert [s.token_ids.tolist() for s in policy_of(response).sequences] == [[7, 8]]  # type: ignore[union-attr]
    named = {"choices": [response["choices"][0] | {"prompt_token_ids": [1, 5, 8]}]}
    assert [s.token_ids.tolist() for s in policy_of(named).sequences] == [[5, 8]]  # type: ignore[union-attr]


def test_a_graph_of_messages_gives_a_sequence_a_leaf_and_trains_a_shared_answer_once() -> None:
    """prime_rl/orchestrator/trajectories.py, `iter_trainable_branches`."""

    def node(parent: int | None, role: str, ids: list[int], drawn: list[float]) -> dict[str, Any]:
        first = len(ids) - len(drawn)
        message = {"role": role, "content": "x"}
        mask = [False] * first + [True] * len(drawn)
        return {
            "parent": parent,
            "message": message,
            "sampled": bool(drawn),
            "token_ids": ids,
            "mask": mask,
            "logprobs": drawn,
        }

    nodes = [
        node(None, "user", [1, 2], []),
        node(0, "assistant", [9, 3], [-0.5]),
        node(1, "tool", [7, 7], []),
        node(2, "assistant", [9, 4], [-0.75]),
        node(1, "assistant", [9, 5], [-0.25]),
    ]
    task = {"type": "T", "data": {"idx": 0}}
    trace = {"id": "t", "ok": True, "rewards": {"a": {"score": 0.5, "weight": 2.0}, "b": None}, "nodes": nodes}
    failed = {"id": "e", "task": task, "ok": False, "traces": []}
    one = policy_of({"id": "d", "task": task, "ok": True, "traces": [trace]}, failed)
    first, second = one.sequences
    assert first.token_ids.tolist() == [3, 7, 7, 9, 4]  # type: ignore[union-attr]
    assert first.mask.tolist() == [True, False, False, False, True]
    assert second.token_ids.tolist() == [5] and second.reward == 1.0  # type: ignore[union-attr]
    assert "Episodes or traces that failed, left out: 1." in one.notes


def test_a_message_between_two_answers_of_a_trajectory_is_shown_and_masked_out() -> None:
    def choice(text: str, logprob: float) -> dict[str, Any]:
        content = [{"token": text, "logprob": logprob}]
        return {
            "finish_reason": "stop",
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "logprobs": {"content": content},
        }

    told = [{"role": "user", "content": "q"}, choice("a", -0.5), {"role": "tool", "content": "4"}, choice("b", -0.75)]
    (only,) = policy_of({"trajectories": [{"reward": 1.0, "messages_and_choices": told}]}).sequences
    assert only.tokens == ("a", "4", "b") and only.mask.tolist() == [True, False, True] and only.prompt == "q"
    asked = [{"request": {"messages": told[:1]}, "response": {"choices": [told[1]]}}]
    asked.append({"request": {"messages": [told[0], told[1]["message"], told[2]]}, "response": {"choices": [told[3]]}})  # type: ignore[dict-item]
    (same,) = policy_of({"messages_and_choices": [], "reward": 1.0, "exchanges": {"chat_completions": asked}}).sequences
    assert same.tokens == only.tokens and same.mask.tolist() == only.mask.tolist()


def test_verls_table_of_validation_has_its_samples_side_by_side() -> None:
    columns = ["step", "input_1", "output_1", "score_1", "input_2", "output_2", "score_2"]
    texts = texts_of({"columns": columns, "data": [[7, "p", "a", 1.0, "q", "b", 0.0]]})
    assert texts.completions == ("a", "b") and texts.rewards == (1.0, 0.0) and texts.steps == (7, 7)


def test_another_table_is_refused_by_its_columns() -> None:
    with pytest.raises(RolloutError, match=r"Weights & Biases table with the columns loss, step;"):
        parse_rollouts(json.dumps({"columns": ["loss", "step"], "data": [[1, 2]]}).encode(), "x")


def request_output(**changes: Any) -> dict[str, Any]:
    """One request of two samples, its log-probs as objects; the token's own entry stands beside the favourite."""

    def completion(index: int, token: int, text: str, logprob: float) -> dict[str, Any]:
        own, favourite = (
            {"logprob": x, "rank": r, "decoded_token": t} for x, r, t in ((logprob, 2, text), (-0.1, 1, "F"))
        )
        return {"index": index, "text": text, "token_ids": [token], "logprobs": [{"99": favourite, str(token): own}]}

    outputs = [completion(0, 4, "4", -0.5), completion(1, 5, "5'", -2.0)]
    row = {"request_id": "r", "prompt": "2+2=", "prompt_token_ids": [1, 2], "prompt_logprobs": None, "outputs": outputs}
    return row | changes


def test_of_vllms_outputs_each_tokens_own_entry_is_taken_however_it_was_written() -> None:
    printed = request_output()
    for output in printed["outputs"]:
        output["logprobs"] = [
            {
                key: f"Logprob(logprob={e['logprob']}, rank=1, decoded_token={e['decoded_token']!r})"
                for key, e in at.items()
            }
            for at in output["logprobs"]
        ]
    for row in (request_output(), printed):
        one = policy_of(row)
        assert [(s.tokens, s.logprobs.tolist(), s.group, s.prompt) for s in one.sequences] == [
            (("4",), [-0.5], "r", "2+2="), (("5'",), [-2.0], "r", "2+2="),
        ]  # fmt: skip


def test_vllms_outputs_may_be_of_a_text_that_was_scored_or_without_log_probs() -> None:
    bare = [output | {"logprobs": None} for output in request_output()["outputs"]]
    assert texts_of(request_output(outputs=bare)).completions == ("4", "5'")
    own = {"logprob": -3.0, "rank": 9, "decoded_token": "2"}
    scored = request_output(outputs=bare, prompt_logprobs=[None, {"7": own | {"logprob": -0.2, "rank": 1}, "2": own}])
    assert [s.logprobs.tolist() for s in policy_of(scored).sequences] == [[-3.0]]


def test_an_output_with_fewer_log_probs_than_tokens_is_left_out_and_said() -> None:
    row = request_output()
    row["outputs"][0]["token_ids"] = [4, 4]
    one = policy_of(row)
    assert len(one.sequences) == 1 and "logprobs has 1 entries; it takes as many as token_ids, 2" in one.notes[-1]


def test_an_sglang_response_without_log_probs_is_refused_and_an_aborted_one_is_counted() -> None:
    def response(**info: Any) -> dict[str, Any]:
        return {"text": "ab", "output_ids": [4, 5], "meta_info": {"id": "x", "input_token_logprobs": [], **info}}

    good = response(completion_tokens=2, output_token_logprobs=[[-0.5, 4, None], [-0.25, 5, None]])
    one = policy_of(good, response(completion_tokens=0, output_token_logprobs=[]))
    assert len(one.sequences) == 1 and one.notes[-1].endswith("as where a request was aborted, left out: 1.")
    with pytest.raises(RolloutError, match=r"output_token_logprobs is missing; ask SGLang for it"):
        policy_of(response(completion_tokens=2))


def test_an_entry_of_prompt_logprobs_may_be_a_number() -> None:
    response = {"choices": [{"logprobs": None, "prompt_logprobs": [None, {"7": -2.0}]}]}
    assert policy_of(response).sequences[0].logprobs.tolist() == [-2.0]


def test_masks_of_an_atropos_group_may_be_0_and_1() -> None:
    group = {"tokens": [[5, 6, 7]], "masks": [[0, 1, 1]], "scores": [1.0], "inference_logprobs": [[1.0, -0.5, -0.25]]}
    assert policy_of(group).sequences[0].tokens == ("⟨6⟩", "⟨7⟩")


def test_prime_rls_advantage_may_be_one_number_and_without_one_a_sequence_is_left_out() -> None:
    row = samples.PRIME[0]
    read = parse_rollouts(lines(row | {"advantages": 0.5}, row | {"advantages": None}), "x")
    assert len(read) == 1 and set(read.advantages[read.mask]) == {0.5}


def test_tokens_of_a_logging_board_may_be_ids() -> None:
    row = {
        "prompt": "p",
        "response": "r",
        "response_tokens": [7, 8],
        "logprobs": [-0.5, -1.0],
        "reward": 1.0,
        "step": 1,
    }
    assert policy_of(row).sequences[0].tokens == ("⟨7⟩", "⟨8⟩")


def test_batches_in_batches_and_lists_of_groups_are_taken_apart() -> None:
    """Whoever gathers rows puts a list per prompt around them, an object per group, or one batch into another."""
    row = samples.NEMO[0]
    twice = {name: [[value] * 2] * 2 for name, value in row.items()}
    for gathered, count in (
        (twice, 4),
        ({"data": [twice]}, 4),
        ([[row, row], [row]], 3),
        ({"data": [[row, row], [row]]}, 3),
        ({"groups": [{"rollouts": [row, row]}, {"rollouts": [row]}]}, 3),
        ({"run": {"data": [row, row]}}, 2),
    ):
        read = parse_rollouts(json.dumps(gathered).encode(), "x.json")
        assert len(read) == count and np.allclose(read.logprobs[:2], parse_rollouts(lines(row), "x").logprobs[:2])
