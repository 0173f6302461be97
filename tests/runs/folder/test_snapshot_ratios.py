"""Histograms of log r and the sequence that moved most, from a snapshot file written by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.snapshot_ratios import BINS, MOST, SCALE, WIDTH, bin_of, snapshot_ratios
from sapo_viz.runs.folder.store import RunStore

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
    [found] = snapshot_ratios(store, run_id)
    token = found["levels"]["token"]
    half = int(bin_of(np.array([0.5]))[0])
    assert token["pos"][MIDDLE] == 2 and token["pos"][half] == 2 and sum(token["pos"]) == 4
    assert sum(token["neg"]) == 1, "A = 0 has no gradient and is left out"
    assert found["levels"]["sequence"]["pos"][int(bin_of(np.array([0.25]))[0])] == 1
    assert found["levels"]["sequence-product"]["pos"][int(bin_of(np.array([1.0]))[0])] == 1
    assert found["most"] == 0.5 and found["sequence"]["z"] == [0.0, 0.0, 0.5, 0.5]


def test_a_bin_holds_the_ratios_around_its_centre() -> None:
    for place in (0, 20, MIDDLE, 50, BINS - 1):
        u = (place - MIDDLE) * WIDTH
        assert bin_of(np.array([math.copysign(SCALE * math.expm1(abs(u)), u)])) == place
    assert list(bin_of(np.array([-1e9, 1e9]))) == [0, BINS - 1]


def test_only_newer_snapshots_are_given_and_many_are_thinned_with_the_last_one_kept(
    store: RunStore, run_id: str
) -> None:
    for step in range(1, MOST + 51):
        write(store, run_id, step, [row([0.1], 1.0)])
    found = [r["step"] for r in snapshot_ratios(store, run_id)]
    assert len(found) == MOST and found[0] == 1 and found[-1] == MOST + 50 and found == sorted(set(found))
    assert [r["step"] for r in snapshot_ratios(store, run_id, after=MOST + 48)] == [MOST + 49, MOST + 50]


def test_a_snapshot_without_signal_has_no_sequence(store: RunStore, run_id: str) -> None:
    write(store, run_id, 1, [row([0.1], 0.0)])
    [found] = snapshot_ratios(store, run_id)
    assert found["sequence"] is None and found["most"] == 0


def test_a_damaged_line_of_a_snapshot_is_said_and_the_others_are_shown(store: RunStore, run_id: str) -> None:
    write(store, run_id, 4, [row([0.1], 1.0), {"tokens": []}])
    [found] = snapshot_ratios(store, run_id)
    assert found["sequence"]["index"] == 0
    assert found["damage"].startswith("step-00004.jsonl: lines without a sequence are left out, 1 (line 2: ")
