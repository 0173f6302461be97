"""Histograms of log r and the sequence that moved most, from a snapshot file written by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder import snapshot_ratios as module
from sapo_viz.runs.folder.snapshot_ratios import BINS, SCALE, WIDTH, bin_of, snapshot_ratios
from sapo_viz.runs.folder.store import RunStore
from tests.recorder.recording import record_run

MIDDLE = BINS // 2


def write(store: RunStore, run_id: str, step: int, rows: list[dict]) -> None:
    folder = store.folder(run_id) / "tokens"
    folder.mkdir(exist_ok=True)
    (folder / f"step-{step:05d}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def row(z: list[float], advantage: float) -> dict:
    return {
        "prompt": "^1+1=",
        "tokens": [str(i) for i in range(len(z))],
        "logprobs": [-1.0 + move for move in z],
        "old_logprobs": [-1.0] * len(z),
        "advantage": advantage,
        "reward": 1.0,
    }


@pytest.fixture
def run_id(store: RunStore) -> str:
    return store.create(RunConfig(), "run")


def test_tokens_are_counted_by_sign_and_sequences_at_their_mean_and_their_sum(store: RunStore, run_id: str) -> None:
    write(store, run_id, 1, [row([0.0, 0.0, 0.5, 0.5], 1.0), row([-0.1], -1.0), row([3.0], 0.0)])
    [found] = snapshot_ratios(store, run_id, [1])
    token = found["levels"]["token"]
    half = int(bin_of(np.array([0.5]))[0])
    assert token["pos"][MIDDLE] == 2 and token["pos"][half] == 2 and sum(token["pos"]) == 4
    assert sum(token["neg"]) == 1, "A = 0 has no gradient and is left out"
    assert found["levels"]["sequence"]["pos"][int(bin_of(np.array([0.25]))[0])] == 1
    assert found["levels"]["sequence-product"]["pos"][int(bin_of(np.array([1.0]))[0])] == 1
    assert found["most"] == 0.5 and found["sequences"][0]["z"] == [0.0, 0.0, 0.5, 0.5]


def test_a_bin_holds_the_ratios_around_its_centre() -> None:
    for place in (0, 20, MIDDLE, 50, BINS - 1):
        u = (place - MIDDLE) * WIDTH
        assert bin_of(np.array([math.copysign(SCALE * math.expm1(abs(u)), u)])) == place
    assert list(bin_of(np.array([-1e9, 1e9]))) == [0, BINS - 1]


def test_the_steps_come_as_they_are_asked_for_and_an_answer_ends_when_its_time_is_over(
    store: RunStore, run_id: str
) -> None:
    for step in range(1, 6):
        write(store, run_id, step, [row([0.1], 1.0)])

    def steps(seconds: float) -> list[int]:
        return [r["step"] for r in snapshot_ratios(store, run_id, [5, 9, 1, 3], seconds)]

    assert steps(60.0) == [5, 1, 3], "9 was not kept"
    assert steps(0.0) == [5], "one at least, or nobody would get any further"


def test_the_answers_shown_are_the_largest_move_the_highest_and_the_lowest_reward_each_once(
    store: RunStore, run_id: str
) -> None:
    rows = [row([move] * 4, 1.0) | {"reward": reward} for move, reward in ((0.1, 0.5), (0.4, 0.9), (0.2, -0.3))]
    write(store, run_id, 1, rows)
    [found] = snapshot_ratios(store, run_id, [1])
    assert [(one["why"], one["index"]) for one in found["sequences"]] == [("moved", 1), ("worst", 2)]


def test_a_snapshot_without_signal_counts_nothing_and_still_shows_an_answer(store: RunStore, run_id: str) -> None:
    write(store, run_id, 1, [row([0.1], 0.0)])
    [found] = snapshot_ratios(store, run_id, [1])
    assert [one["why"] for one in found["sequences"]] == ["best"] and found["most"] == 0
    assert not any(found["levels"]["token"]["pos"] + found["levels"]["token"]["neg"])


def test_a_damaged_line_of_a_snapshot_is_said_and_the_others_are_shown(store: RunStore, run_id: str) -> None:
    write(store, run_id, 4, [row([0.1], 1.0), {"tokens": []}])
    [found] = snapshot_ratios(store, run_id, [4])
    assert found["sequences"][0]["index"] == 0
    assert found["damage"].startswith("step-00004.jsonl: lines without a sequence are left out, 1 (line 2: ")


def test_a_recorded_step_is_read_from_all_of_its_ranks_files_and_only_when_it_is_asked_for(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six sequences of 9, 4, 0, 7, 1 and 9 response tokens, of which the fourth has A = 0 (tests/recorder)."""
    record_run(store.root / "mine", 4)
    opened: list[str] = []
    original = module.reading_step
    monkeypatch.setattr(module, "reading_step", lambda name, *more: opened.append(name) or original(name, *more))
    [found] = snapshot_ratios(store, "mine", [2])
    token = found["levels"]["token"]
    assert sum(token["pos"]) == 9 + 9 and sum(token["neg"]) == 4 + 1 and not found["damage"]
    assert [one["why"] for one in found["sequences"]] == ["moved"], "all have one reward"
    assert snapshot_ratios(store, "mine", [2]) == [found] and opened == ["step 2"]


def test_a_recorded_step_that_cannot_be_read_says_so_in_its_place(store: RunStore) -> None:
    record_run(store.root / "mine", 4)
    (path,) = store.step_tokens("mine", 2).files
    path.write_bytes(b"PAR1")
    first, second = snapshot_ratios(store, "mine", [2, 4], 60.0)
    assert path.name in first["damage"] and first["sequences"] == [] and second["sequences"]
