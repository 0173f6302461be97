"""A recorder's token files: what it writes without a tokenizer, and where the engine gave not all log-probs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.findings.judge import findings
from sapo_viz.rollouts.readers.read import read_rollouts
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.vocabulary import IDS_ONLY
from tests.recorder.recording import Letters, batch, load_recorder


def written(folder: Path, format: str, tokenizer: Any = None, **more: Any) -> Rollouts:
    """One step as the recorder's own functions write it; JSONL is what it falls back to without pyarrow."""
    recorder = load_recorder()
    rows = recorder.token_rows([batch(recorder, 1, **more)], 7, 0, 64, recorder.Texts(tokenizer))
    if format == "parquet":
        return read_rollouts(recorder.write_tokens(folder / "step", rows))
    path = folder / "step.jsonl"
    path.write_text("".join(json.dumps(recorder._rounded(row)) + "\n" for row in rows), encoding="utf-8")
    return read_rollouts(path)


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_nothing_that_the_recorder_writes_is_called_unused(tmp_path: Path, format: str) -> None:
    rollouts = written(tmp_path, format, Letters())
    assert rollouts.notes == () and rollouts.sampler_logprobs is not None
    assert rollouts[1].sampler_logprobs == pytest.approx(rollouts[1].old_logprobs + 0.25, abs=1e-6)


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_ids_without_texts_are_read_and_shown_as_ids(tmp_path: Path, format: str) -> None:
    rollouts = written(tmp_path, format)
    assert rollouts.notes == (IDS_ONLY,)
    assert list(rollouts[1].tokens) == ["⟨9⟩", "⟨10⟩", "⟨11⟩", "⟨12⟩"]
    assert rollouts.token_ids is not None and rollouts[1].token_ids.tolist() == [9, 10, 11, 12]  # type: ignore[union-attr]


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_a_sequence_of_which_the_engine_gave_only_some_log_probs_counts_as_without(tmp_path: Path, format: str) -> None:
    """The recorder writes null for them; whole sequences without are usual, where engines are mixed."""
    sampler = batch(load_recorder(), 1).sampler_logprobs.clone()
    sampler[0, 3] = float("nan")
    sampler[3] = float("nan")
    rollouts = written(tmp_path, format, Letters(), sampler_logprobs=sampler)
    assert [rollouts[i].sampler_logprobs is None for i in range(5)] == [True, False, True, False, False]
    assert rollouts.notes == ("Sequences without the sampler's log-probs, as it gave only some: 1.",)


def test_ids_that_are_none_are_refused_with_their_place(tmp_path: Path) -> None:
    row = {"token_ids": [1, -2], "logprobs": [-1.0, -1.0], "old_logprobs": [-1.0, -1.0], "advantage": 1.0}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(RolloutError, match=r"a.jsonl, line 1: token_ids\[1\] is -2; it takes a whole number from 0."):
        read_rollouts(tmp_path / "a.jsonl")


def test_a_sampler_of_which_nothing_is_given_is_none(tmp_path: Path) -> None:
    nothing = torch.full((6, 9), float("nan"))
    assert written(tmp_path, "parquet", Letters(), sampler_logprobs=nothing).sampler_logprobs is None


@pytest.mark.parametrize("kept", [64, 16], ids=["of a shuffled rollout", "the first of each micro-batch"])
def test_steps_that_hold_a_part_of_each_group_are_no_fault(tmp_path: Path, kept: int) -> None:
    """TRL shuffles a rollout of 32 prompts × 8 and makes updates from its parts; a recorder keeps 64 sequences. What is
    left of a group sums to nothing in particular, is alone, or has one reward, and was trained on as it should be."""
    recorder, draw = load_recorder(), torch.Generator().manual_seed(3)
    rewards = (torch.rand(32, 8, generator=draw) < torch.rand(32, 1, generator=draw)).float()
    advantages = ((rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)).flatten()
    order = torch.randperm(256, generator=draw) if kept == 64 else torch.arange(256)
    batches = []
    for part in order.split(64):
        old = -torch.rand(64, 9, generator=draw) * 3 - 0.3
        made = batch(
            recorder, logprobs=old + 0.02 * advantages[part][:, None] * (1 - old.exp()), old_logprobs=old,
            sampler_logprobs=None, advantages=advantages[part], rewards=rewards.flatten()[part], groups=part // 8,
            mask=torch.ones(64, 9), ids=torch.zeros(64, 9, dtype=torch.long), prompt_ids=None, prompt_mask=None,
        )  # fmt: skip
        batches.append(made.to_host(kept))
        if kept == 64:
            break
    file = recorder.write_tokens(tmp_path / "step", recorder.token_rows(batches, 1, 0, 64, recorder.Texts(None)))
    found = findings(read_rollouts(file))
    assert not {one.id for one in found if one.severity != "note"} - {"length_cap"}


def test_what_trls_trainer_recorded_of_a_healthy_run_is_found_healthy() -> None:
    """Two of the second step's four groups have one completion there: eight of sixteen sequences make an update."""
    for step in (2, 4):
        path = Path(__file__).parent / "recorded" / "healthy" / "tokens" / f"step-0000{step}.rank-0.parquet"
        assert {one.severity for one in findings(read_rollouts(path))} == {"note"}
