"""TensorBoard's own reader reads the run folder: every step once, also after a kill in the middle of a record."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sapo_viz.runs.events import RunEvent
from sapo_viz.runs.folder.log import append_event
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.folder.tensorboard import NAME, EventFile
from sapo_viz.runs.workers.worker import work
from tests.runs.small_runs import small


def step(number: int, reward: float = 0.5) -> RunEvent:
    return RunEvent("step", number, {"metrics": {"reward": reward, "entropy": 0.25}}, time=1000.0 + number)


def scalars(folder: Path, tag: str = "reward") -> list[tuple[int, float]]:
    reader = EventAccumulator(str(folder))
    reader.Reload()
    return [(event.step, event.value) for event in reader.Scalars(tag)]


@pytest.fixture
def folder(store: RunStore) -> Path:
    return store.folder(store.create(small(), "run"))


def test_a_real_run_is_read_back_number_by_number(store: RunStore, folder: Path) -> None:
    work(folder)
    events, _offset = store.read_events("run")
    logged = [event for event in events if event["type"] == "step"]
    assert len(logged) == small().steps
    for tag in ("reward", "entropy", "grad_norm"):
        wanted = [(event["step"], event["metrics"][tag]) for event in logged]
        assert scalars(folder, tag) == [(number, pytest.approx(value, rel=1e-6)) for number, value in wanted]


@pytest.mark.parametrize("cut", [1, 7, 30, 100])
def test_a_record_that_was_cut_off_is_mended_and_no_step_comes_twice(folder: Path, cut: int) -> None:
    board = EventFile(folder)
    for number in (1, 2, 3):
        append_event(folder, step(number, number / 10))
        board.add(step(number, number / 10))
    whole = (folder / NAME).read_bytes()
    (folder / NAME).write_bytes(whole[:-cut])  # killed while it wrote
    again = EventFile(folder)
    assert (folder / NAME).read_bytes() == whole
    append_event(folder, step(4, 0.4))
    again.add(step(4, 0.4))
    assert scalars(folder) == [(n, pytest.approx(n / 10)) for n in (1, 2, 3, 4)]


def test_a_log_that_is_ahead_is_caught_up_with_and_foreign_bytes_are_replaced(folder: Path) -> None:
    (folder / NAME).write_bytes(b"not a record")
    append_event(folder, step(1))
    EventFile(folder)
    assert [number for number, _ in scalars(folder)] == [1]


def test_a_number_that_is_none_is_nan_there(folder: Path) -> None:
    append_event(folder, step(1, math.nan))
    EventFile(folder)
    [(_, value)] = scalars(folder)
    assert math.isnan(value)


def test_a_disk_that_refuses_stops_nothing_and_the_rest_follows(folder: Path) -> None:
    board = EventFile(folder)
    append_event(folder, step(1))
    board.add(step(1))
    append_event(folder, step(2))
    kept, board._path = board._path, folder / "no such folder" / NAME
    board.add(step(2))
    board._path = kept
    append_event(folder, step(3))
    board.add(step(3))
    assert [number for number, _ in scalars(folder)] == [1, 2, 3]
