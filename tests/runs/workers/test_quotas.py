"""What a page may start: models through one gate, and no more runs or time than the server's owner allows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sapo_viz.errors import ModelError, RunError, SettingError
from sapo_viz.models.source import POLICIES
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.folder.worker_file import write_worker
from sapo_viz.runs.workers.launcher import launch, resume, stop
from sapo_viz.runs.workers.quotas import Quotas, page_rules, refuse_too_many
from sapo_viz.runs.workers.worker import work
from tests.runs.small_runs import small
from tests.runs.workers.killing import fork_workers
from tests.waiting import PATIENCE, wait_until


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    fork_workers(monkeypatch)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models that visitors may use; beside it lies a model that they may not."""
    for name in ("open/mine", "closed"):
        shutil.copytree(POLICIES / "addition-start", tmp_path / name)
    monkeypatch.setenv("SAPO_VIZ_MODELS_DIR", str(tmp_path / "open"))
    return tmp_path / "open"


def ended(store: RunStore, run_id: str) -> str:
    wait_until(lambda: not store.summary(run_id).live)
    summary = store.summary(run_id)
    return f"{summary.status} {summary.kind} {summary.message}".strip()


def test_a_page_starts_from_a_model_of_the_folder_and_from_no_other(store: RunStore, models: Path) -> None:
    assert ended(store, launch(small(steps=1, policy="mine"), store)) == "finished"
    sentences = set()
    for policy in (str(models.parent / "closed"), "../closed", "/etc", "/nowhere", "~"):
        with pytest.raises(ModelError) as refused:
            launch(small(policy=policy), store)
        sentences.add(str(refused.value).replace(repr(policy), "…"))
    assert len(sentences) == 1 and "a folder below SAPO_VIZ_MODELS_DIR" in sentences.pop()  # there or not: one sentence
    assert len(store.list()) == 1


def test_without_such_a_folder_a_page_starts_from_bundled_policies_alone(
    store: RunStore, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SAPO_VIZ_MODELS_DIR")
    with pytest.raises(ModelError, match="which this server's owner has not set"):
        launch(small(policy=str(models / "mine")), store)
    assert ended(store, launch(small(steps=1, policy="addition-rl"), store)) == "finished"


def test_the_command_line_takes_any_folder_and_a_page_does_not_go_on_with_it(store: RunStore, models: Path) -> None:
    run_id = store.create(small(steps=1, policy=str(models.parent / "closed")), "cli")
    assert work(store.folder(run_id)).type == "finished"
    other = store.create(small(steps=1, policy=str(models.parent / "closed")), "stopped")
    write_worker(store.folder(other), "ended")
    with pytest.raises(ModelError, match="there is no model"):
        resume(other, store)


@pytest.mark.parametrize("policy", ["closed", "link"])
def test_the_worker_asks_the_gate_again(
    store: RunStore, models: Path, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names that could be a Hub id pass the page; there is a folder of that name, but not below the root."""
    monkeypatch.chdir(models.parent)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (models / "link").symlink_to(models.parent / "closed")
    run_id = store.create(small(steps=1, policy=policy), "x")
    last = work(store.folder(run_id), rules=Quotas(models=models))
    assert last.type == "failed" and "it is neither here nor in the cache" in last.data["message"]


def test_a_run_has_its_minutes_over_all_its_resumes(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPO_VIZ_RUN_MINUTES", "0.05")
    assert page_rules().seconds == pytest.approx(3.0)
    run_id = launch(small(steps=10_000, checkpoint_every=1), store)
    told = ended(store, run_id)
    assert told.startswith("failed limit It has trained for 0.05 min, which is what a run has on this server")
    assert store.summary(run_id).step > 0
    resume(run_id, store)
    assert ended(store, run_id) == told


def test_a_visit_has_no_more_runs_alive_than_it_may(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = [store.create(small(), f"mine{n}") for n in range(3)]
    theirs = store.create(small(), "theirs")
    for run_id in (*mine, theirs):
        write_worker(store.folder(run_id), "running")  # this very process, which lives
    refuse_too_many(store, 1000 - 800, mine)
    monkeypatch.setenv("SAPO_VIZ_RUNS_PER_VISIT", "4")
    refuse_too_many(store, 1, mine)
    with pytest.raises(RunError, match=r"may have 4 runs .*SAPO_VIZ_RUNS_PER_VISIT\); 3 are, and 2 more"):
        refuse_too_many(store, 2, mine)
    write_worker(store.folder(mine[0]), "ended")
    refuse_too_many(store, 2, mine)


def test_no_more_runs_wait_than_may(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        write_worker(store.folder(store.create(small(), f"run{n}")), "queued")
    monkeypatch.setenv("SAPO_VIZ_RUNS_WAITING", "5")
    refuse_too_many(store, 2, [])
    with pytest.raises(RunError, match=r"5 runs may wait .*SAPO_VIZ_RUNS_WAITING\); 3 do, and 3 more"):
        refuse_too_many(store, 3, [])
    monkeypatch.delenv("SAPO_VIZ_RUNS_WAITING")
    with pytest.raises(RunError, match="200 runs may wait"):
        refuse_too_many(store, 198, [])


@pytest.mark.parametrize("text", ["many", "-1", "0", "nan", "inf"])
def test_a_setting_that_means_nothing_is_named(store: RunStore, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SAPO_VIZ_RUN_MINUTES", text)
    with pytest.raises(SettingError, match=f"SAPO_VIZ_RUN_MINUTES is '{text}'; it takes a number above 0"):
        launch(small(), store)
    assert store.list() == []


def test_stopping_is_no_matter_of_quotas(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPO_VIZ_RUNS_PER_VISIT", "1")
    run_id = launch(small(steps=10_000), store)
    assert stop(run_id, store, timeout=PATIENCE)
