"""Real workers, killed by SIGKILL at any moment: no event is lost or doubled, no half file is taken for a whole one.

A hundred random kills; SAPO_VIZ_KILLS asks for more or fewer. What chance does not meet, the second test does.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time

import pytest

from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.workers.launcher import launch, resume
from tests.runs.small_runs import small
from tests.runs.workers.killing import Forked, Watcher, assert_whole, fork_workers, story
from tests.waiting import PATIENCE

KILLS = int(os.environ.get("SAPO_VIZ_KILLS", "100"))


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    fork_workers(monkeypatch)


def tiny(**settings: int) -> RunConfig:
    """Steps so short that much of a worker's life is writing."""
    return small(**{"prompts": 2, "completions": 2, "minibatches": 1, "max_tokens": 4, **settings})


def uninterrupted(store: RunStore, config: RunConfig) -> list[object]:
    run_id = launch(config, store)
    Forked.last.join(PATIENCE)
    assert store.status(run_id) == "finished"
    return story(store.read_events(run_id)[0])


def finish(store: RunStore, run_id: str) -> None:
    Forked.last.join(PATIENCE)
    if store.status(run_id) != "finished":
        resume(run_id, store)
        Forked.last.join(PATIENCE)
    assert store.status(run_id) == "finished"


def test_kills_at_random_moments_lose_and_double_nothing(store: RunStore) -> None:
    config = tiny(steps=60, checkpoint_every=2, snapshot_every=3)
    whole, rng, kills = uninterrupted(store, config), random.Random(7), 0
    while kills < KILLS:
        run_id = launch(config, store)
        browsers = [Watcher(store, run_id), Watcher(store, run_id)]
        while kills < KILLS:
            end = time.monotonic() + rng.uniform(0.0, 0.3)
            while time.monotonic() < end:
                rng.choice(browsers).look()
                time.sleep(0.01)
            worker = Forked.last
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
            worker.join(PATIENCE)
            if worker.exitcode != -signal.SIGKILL:
                break  # it had ended by itself
            kills += 1
            assert store.status(run_id) in ("killed", "finished")
            told = story(store.read_events(run_id)[0])
            assert told == whole[: len(told)]
            assert_whole(store, run_id, config)
            if store.status(run_id) == "finished":
                break
            resume(run_id, store)
        finish(store, run_id)
        for browser in browsers:
            browser.look()
            assert story(browser.events) == whole
        assert store.policy_path(run_id) is not None
    assert kills == KILLS


def test_a_kill_before_or_within_any_change_of_a_file_loses_and_doubles_nothing(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each worker dies one change of a file later than the one before it, until one has no such change any more."""
    config = tiny(steps=2, checkpoint_every=1, snapshot_every=2)
    whole, number, survived = uninterrupted(store, config), 0, False

    def live_and_die(run_id: str) -> bool:
        """Let the worker run; whether it was killed, with all that must be true then."""
        Forked.last.join(PATIENCE)
        browser.look()
        assert story(browser.events) == whole[: len(story(browser.events))]
        assert_whole(store, run_id, config)
        assert Forked.last.exitcode in (0, -signal.SIGKILL)
        assert store.status(run_id) in ("killed", "finished")
        return bool(Forked.last.exitcode)

    while not survived:
        number += 1
        monkeypatch.setattr(Forked, "die_at", number)
        run_id = launch(config, store)
        browser = Watcher(store, run_id)
        survived = not live_and_die(run_id)
        while store.status(run_id) != "finished":
            number += 1
            monkeypatch.setattr(Forked, "die_at", number)
            resume(run_id, store)
            number -= not live_and_die(run_id)
        assert story(browser.events) == whole and store.policy_path(run_id) is not None
    assert number > 40  # a run of two steps changes files that often
