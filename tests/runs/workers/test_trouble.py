"""A full disk, too little memory, a foreign checkpoint, two hands on one run: a sentence, and nothing lost."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sapo_viz.errors import RunError
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import Failure, RunEvent
from sapo_viz.runs.folder.files import sweep
from sapo_viz.runs.folder.log import append_event
from sapo_viz.runs.folder.process import kill
from sapo_viz.runs.folder.store import LIVE, RunStore
from sapo_viz.runs.folder.verdict import why
from sapo_viz.runs.folder.worker_file import read_worker, write_worker
from sapo_viz.runs.training import engine
from sapo_viz.runs.workers.failure import explain
from sapo_viz.runs.workers.launcher import launch, resume, stop
from sapo_viz.runs.workers.schedule import play_forward, turns
from sapo_viz.runs.workers.worker import work
from tests.runs.small_runs import small
from tests.runs.workers.killing import Forked, assert_whole, fork_workers, story
from tests.waiting import PATIENCE, wait_until


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    fork_workers(monkeypatch)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], RunStore]]:
    """A disk of its own, of a size that can be changed; it needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def of_size(size: str) -> RunStore:
        mounted = os.path.ismount(folder)
        options = f"remount,size={size}" if mounted else f"size={size}"
        answer = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
        if answer.returncode:
            pytest.skip("this user cannot mount a small disk; the tests with a limit on file sizes cover the rest")
        return RunStore(folder / "runs")

    yield of_size
    subprocess.run(["umount", str(folder)], capture_output=True)


def tiny(**settings: Any) -> RunConfig:
    return small(**{"prompts": 2, "completions": 2, "minibatches": 1, **settings})


def ended(store: RunStore, run_id: str) -> str:
    Forked.last.join(PATIENCE)
    return store.status(run_id)


def assert_resumes(store: RunStore, run_id: str, whole: list[Any]) -> None:
    resume(run_id, store)
    assert ended(store, run_id) == "finished"
    assert story(store.read_events(run_id)[0]) == whole
    assert_whole(store, run_id, store.config(run_id))


def whole_story(store: RunStore, config: RunConfig) -> list[Any]:
    run_id = launch(config, store)
    assert ended(store, run_id) == "finished"
    return story(store.read_events(run_id)[0])


# -- the disk ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("checkpoint_every", [0, 1])
def test_a_full_disk_ends_the_run_with_a_sentence_and_resume_works_when_there_is_room(
    store: RunStore, small_disk: Callable[[str], RunStore], checkpoint_every: int
) -> None:
    """With checkpoints it is the second one that has no room; without, an event does not fit any more."""
    config = tiny(steps=14, checkpoint_every=checkpoint_every, snapshot_every=0)
    whole = whole_story(store, config)
    disk = small_disk("1400k")
    if not checkpoint_every:
        disk.root.mkdir()
        (disk.root / "other people's").write_bytes(b"\0" * (1_400 * 1024 - 64 * 1024 - 40_000))
    run_id = launch(config, disk)
    assert ended(disk, run_id) == "failed"
    assert "is full" in disk.summary(run_id).message and "then resume" in disk.summary(run_id).message
    told = story(disk.read_events(run_id)[0])
    assert told == whole[: len(told)] and len(told) < len(whole)
    assert_whole(disk, run_id, config)
    assert not list(disk.folder(run_id).glob(".*.part"))  # half a checkpoint does not go on filling the disk
    small_disk("8m")
    assert_resumes(disk, run_id, whole)


def test_a_checkpoint_that_may_not_be_written_ends_the_run_with_a_sentence(store: RunStore) -> None:
    config = tiny(steps=3, checkpoint_every=2, snapshot_every=0)
    whole = whole_story(store, config)
    Forked.limits = {resource.RLIMIT_FSIZE: 200_000}
    run_id = launch(config, store)
    assert ended(store, run_id) == "failed"
    assert "limit on a file's size" in store.summary(run_id).message
    assert store.summary(run_id).step == 2
    Forked.limits = {}
    assert_resumes(store, run_id, whole)


def test_a_log_that_takes_no_more_is_left_whole_and_the_reason_stands_elsewhere(store: RunStore) -> None:
    config = tiny(steps=6, checkpoint_every=0, snapshot_every=0)
    whole = whole_story(store, config)
    run_id = store.create(config)
    append_event(store.path(run_id), RunEvent("note", 0, {"text": "x" * 66_000}))  # type: ignore[arg-type]
    os.utime(store.path(run_id) / "config.json", (1e9, 1e9))
    Forked.limits = {resource.RLIMIT_FSIZE: 70_000}
    resume(run_id, store)
    assert ended(store, run_id) == "failed"
    assert "limit on a file's size" in store.summary(run_id).message and store.summary(run_id).kind == "disk"
    assert (store.path(run_id) / "events.jsonl").read_bytes().endswith(b"}\n")
    Forked.limits = {}
    resume(run_id, store)
    assert ended(store, run_id) == "finished"
    assert story(store.read_events(run_id)[0])[1:] == whole


def test_a_run_that_cannot_be_created_leaves_no_half_run(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sapo_viz.runs.folder.files.put_in_place", full)
    with pytest.raises(OSError, match="No space"):
        launch(tiny(), store)
    assert not [path for path in store.root.iterdir() if not path.name.startswith(".")]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk", "is full"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"), "disk", "is full"),
        (Exception("Error while serializing: I/O error: No space left on device (os error 28)"), "disk", "is full"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x/events.jsonl"),
            "rights",
            "/x/events.jsonl cannot be written",
        ),
        (OSError(errno.EROFS, "Read-only file system", "/x/y"), "rights", "SAPO_VIZ_RUNS_DIR"),
        (MemoryError(), "memory", "The machine's memory is not enough for 4 × 4 completions"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "memory", "The GPU's memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
            "memory",
            "fewer prompts",
        ),
        (KeyError("nobody foresaw"), "unforeseen", "worker.log has the details"),
    ],
)
def test_what_stops_a_worker_is_said_in_one_sentence(error: Exception, kind: str, words: str, tmp_path: Path) -> None:
    failure = explain(error, tmp_path, small())
    sentence = failure.message
    assert failure.kind == kind
    assert words in sentence and sentence.endswith(".") and "\n" not in sentence
    assert sentence.count(". ") == 0


# -- memory ------------------------------------------------------------------------------------------------


def test_too_little_memory_is_said_with_what_to_change(store: RunStore) -> None:
    """A limit on the worker's address space, and a rollout of 65,536 completions."""
    Forked.limits = {resource.RLIMIT_AS: 300_000_000}
    run_id = launch(RunConfig(prompts=1024, completions=64, steps=2, device="cpu"), store)
    assert ended(store, run_id) == "failed"
    message = store.summary(run_id).message
    assert "memory is not enough for 1024 × 64 completions in 4 mini-batches" in message


def test_too_little_memory_on_a_gpu_is_said_of_the_gpu(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> Iterator[RunEvent]:
        yield RunEvent("start", 0)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    monkeypatch.setattr(engine, "train", full)
    message = work(store.path(store.create(small()))).data["message"]
    assert message.startswith("The GPU's memory is not enough for 4 × 4") and "or device cpu" in message


def test_a_worker_that_linux_ended_for_want_of_memory_says_so(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = store.create(small())
    folder = store.path(run_id)
    monkeypatch.setattr("sapo_viz.runs.folder.worker_file.oom_kills", lambda: 4)
    write_worker(folder, "running", pid=2**22 + 1)  # no such process: its mark is empty
    assert store.status(run_id) == "killed"
    monkeypatch.setattr("sapo_viz.runs.folder.verdict.oom_kills", lambda: 4)
    assert "ended from outside" in why(folder, "killed", []).message
    monkeypatch.setattr("sapo_viz.runs.folder.verdict.oom_kills", lambda: 5)
    assert "because memory ran out since it began, most likely this one" in store.summary(run_id).message


# -- checkpoints of something else -------------------------------------------------------------------------


@pytest.mark.parametrize("state", [{"model": {"lm_head.weight": torch.zeros(3)}, "optimizer": {}}, {}])
def test_a_checkpoint_of_another_model_is_named(store: RunStore, state: dict[str, Any]) -> None:
    run_id = store.create(small())
    torch.save({"step": 1, "tokens": 0, "seconds": 0.0, **state}, store.path(run_id) / "checkpoint.pt")
    append_event(store.path(run_id), RunEvent("step", 1, {"metrics": {"reward": 0.5}}))
    last = work(store.path(run_id))
    assert last.data["kind"] == "refused" and "the checkpoint is not one of this run" in last.data["message"]
    assert "delete checkpoint.pt to start over" in last.data["message"] and "\n" not in last.data["message"]


@pytest.mark.parametrize("junk", [[1, 2], {"weights": torch.zeros(2)}])
def test_a_file_that_is_no_checkpoint_is_named(store: RunStore, junk: Any) -> None:
    run_id = store.create(small())
    torch.save(junk, store.path(run_id) / "checkpoint.pt")
    assert "checkpoint.pt is no checkpoint of a run" in work(store.path(run_id)).data["message"]


def test_a_checkpoint_that_knows_more_than_the_log_is_not_used(store: RunStore) -> None:
    """After a power cut the disk may lack lines of the log; going on would leave a gap."""
    config = tiny(steps=4, checkpoint_every=3)
    run_id = launch(config, store)
    assert ended(store, run_id) == "finished"
    path = store.path(run_id) / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    whole = story(store.read_events(run_id)[0])
    path.write_bytes(b"".join(lines[:3]))
    assert_resumes(store, run_id, whole)


# -- several hands -----------------------------------------------------------------------------------------


def test_two_browsers_that_resume_one_run_start_one_worker(store: RunStore) -> None:
    config = tiny(steps=20, checkpoint_every=2)
    run_id = launch(config, store)
    wait_until(lambda: store.summary(run_id).step >= 3)
    kill(*(store.worker(run_id)[name] for name in ("pid", "mark")))
    Forked.last.join(PATIENCE)
    refused: list[str] = []

    def ask() -> None:
        try:
            resume(run_id, store)
        except RunError as error:
            refused.append(str(error))

    hands = [threading.Thread(target=ask) for _ in range(4)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert len(refused) == 3 and all("only a run that has ended can be resumed" in words for words in refused)
    wait_until(lambda: store.status(run_id) == "finished")
    starts = [event for event in store.read_events(run_id)[0] if event["type"] == "start"]
    assert len(starts) == 2


def test_two_browsers_that_stop_a_starting_run_leave_one_last_word(store: RunStore) -> None:
    run_id = launch(tiny(steps=10_000), store)
    hands = [threading.Thread(target=stop, args=(run_id, store)) for _ in range(3)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    wait_until(lambda: store.status(run_id) not in LIVE)
    assert [event["type"] for event in store.read_events(run_id)[0]].count("stopped") == 1


def test_a_worker_that_sweeps_its_folder_does_not_stop_who_is_writing_its_name_there(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins so, while its parent writes down which process it is."""
    folder, link = store.folder(store.create(tiny())), os.link

    def swept_first(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        sweep(folder)
        link(source, target)

    monkeypatch.setattr(os, "link", swept_first)
    write_worker(folder, "starting", pid=os.getpid(), only_if_missing=True)
    assert read_worker(folder)["state"] == "starting" and list(folder.glob(".*.part")) == []


# -- the queue ---------------------------------------------------------------------------------------------


def test_runs_wait_in_the_order_in_which_they_were_asked_for(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The older run, resumed last, stands last; a waiting worker that is killed gives its place up."""
    monkeypatch.setenv("SAPO_VIZ_SLOTS", "1")
    older = store.create(tiny(steps=3))
    os.utime(store.path(older) / "config.json", (1e9, 1e9))
    long = launch(tiny(steps=100_000), store)
    wait_until(lambda: store.summary(long).step > 5)
    waiting = [launch(tiny(steps=3, seed=seed), store) for seed in (1, 2, 3)]
    wait_until(lambda: len(store.queue()) == 3)
    resume(older, store)
    wait_until(lambda: len(store.queue()) == 4)
    assert store.queue() == [*waiting, older]
    expected = turns(store)
    assert [expected[run_id].place for run_id in store.queue()] == [1, 2, 3, 4]
    begins = [expected[run_id].seconds for run_id in store.queue()]
    assert begins == sorted(begins) and begins[0] > 100  # 100,000 steps are still to be done
    worker = store.worker(waiting[0])
    kill(worker["pid"], worker["mark"])
    wait_until(lambda: store.queue() == [*waiting[1:], older])
    assert store.status(waiting[0]) == "killed"
    stop(long, store)
    wait_until(lambda: all(store.status(run_id) == "finished" for run_id in (*waiting[1:], older)))
    began = [store.read_events(run_id)[0][0]["time"] for run_id in (*waiting[1:], older)]
    assert began == sorted(began)


def test_expected_starts_by_hand() -> None:
    """Two slots; 10 s and 4 s left. The first waits 4 and takes 3, the second begins at 7 and takes 9: the wide one,
    which needs both slots, begins when both are free, at 16, and nobody overtakes it."""
    begins = play_forward(2, [(1, 10.0), (1, 4.0)], [(1, 3.0), (1, 9.0), (2, 5.0), (1, 1.0)])
    assert begins == [4.0, 7.0, 16.0, 21.0]
    assert play_forward(2, [(1, 10.0)], [(1, 3.0), (1, 1.0)]) == [0.0, 3.0]


def test_a_wide_run_takes_a_slot_for_each_of_its_threads(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPO_VIZ_SLOTS", "2")
    wide = launch(tiny(steps=100_000, threads=2), store)
    wait_until(lambda: store.status(wide) == "running")
    narrow = launch(tiny(steps=2), store)
    wait_until(lambda: store.status(narrow) == "queued")
    time.sleep(0.3)
    assert store.status(narrow) == "queued"
    with contextlib.suppress(RunError):
        stop(wide, store)
    wait_until(lambda: store.status(narrow) == "finished")


@pytest.mark.parametrize(
    ("kind", "step", "for_good"),
    [("refused", 0, True), ("refused", 3, False), ("diverged", 3, True), ("limit", 3, True), ("disk", 3, False)],
)
def test_going_on_is_offered_where_it_can_help(store: RunStore, kind: Any, step: int, for_good: bool) -> None:
    """Not a policy that could not be loaded, weights that run away again, time that is over; a checkpoint that was
    refused can be deleted."""
    run_id = store.create(tiny())
    folder = store.folder(run_id)
    append_event(folder, Failure(kind, "It says why.").at(step))
    told = store.why(run_id, "failed")
    assert (told.kind, told.for_good, store.summary(run_id).for_good) == (kind, for_good, for_good)
