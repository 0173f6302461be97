"""The process that does a run: it turns the engine's events into the run's folder, and draws nothing.

    python -m sapo_viz.runs.worker runs/<id>

Given a folder with a config it starts; given one with a checkpoint it goes on from there. Steps between
the checkpoint and the end of the log are computed again and, the engine being deterministic, come out the
same: the log keeps the lines that it has, so no step is lost or doubled and it is only ever appended to.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sapo_viz.errors import RunError, SapoVizError
from sapo_viz.runs.checkpoints import load_checkpoint, save_checkpoint
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import TERMINAL, RunEvent
from sapo_viz.runs.slots import try_lock, wait_for_slot
from sapo_viz.runs.store import RunStore, append_event, mend_events
from sapo_viz.runs.worker_file import write_worker

_LOOK = 0.1  # seconds between two looks for the stop file


def work(folder: Path, echo: Callable[[RunEvent], None] = lambda event: None) -> RunEvent:
    """Do the run in `folder` to its end, and return its last event. `echo` sees every event.

    Raises:
        RunError: another process is doing this run already.
    """
    store, run_id = RunStore(folder.parent), folder.name
    lock = try_lock(folder / ".lock")
    if lock is None:
        raise RunError(f"run {run_id} is being done by another process already.")
    with lock, _stop_signal(folder) as should_stop:
        logged = mend_events(folder)
        try:
            return _record(folder, _in_turn(store, run_id, logged, should_stop, echo), echo)
        finally:
            write_worker(folder, "ended")


def _in_turn(
    store: RunStore, run_id: str, logged: int, should_stop: Callable[[], bool], echo: Callable[[RunEvent], None]
) -> RunEvent:
    """Wait for a free core, do the run, and return its last event, which is yet to be recorded."""
    folder = store.path(run_id)
    write_worker(folder, "queued")

    def pause() -> bool:
        time.sleep(_LOOK)
        return should_stop()

    slot = wait_for_slot(store.root, lambda: store.queue()[:1] in ([], [run_id]), pause)
    if slot is None:
        return RunEvent("stopped", logged)
    with slot:
        write_worker(folder, "starting")
        try:
            return _follow(folder, store.config(run_id), logged, should_stop, echo)
        except SapoVizError as error:
            message = str(error)
        except Exception as error:  # the run must say that it ended; the log has the details
            traceback.print_exc()
            message = f"The worker failed with {type(error).__name__}: {error}; worker.log has the details."
        return RunEvent("failed", max(logged, store.summary(run_id).step), {"message": message})


def _follow(
    folder: Path, config: RunConfig, logged: int, should_stop: Callable[[], bool], echo: Callable[[RunEvent], None]
) -> RunEvent:
    """Write down everything that the engine says but its last word, which is returned."""
    import torch

    from sapo_viz.runs.engine import train

    torch.set_num_threads(config.threads)
    for event in train(config, should_stop=should_stop, resume=load_checkpoint(folder)):
        if event.type in TERMINAL:
            if event.type == "finished":
                _save_policy(folder, event.payload)
            return RunEvent(event.type, max(event.step, logged), event.data)  # it may not have caught up with the log
        if event.type == "sample":
            event = _with_file(event, _write_snapshot(folder, event))
        elif event.type == "checkpoint":
            event = _with_file(event, save_checkpoint(folder, event.payload))
        if event.step > logged or event.type == "start":
            _record(folder, event, echo)
        if event.type == "start":
            write_worker(folder, "running")
    raise RunError("the engine ended without a word.")


def _record(folder: Path, event: RunEvent, echo: Callable[[RunEvent], None]) -> RunEvent:
    append_event(folder, event)
    echo(event)
    return event


def _with_file(event: RunEvent, name: str) -> RunEvent:
    return RunEvent(event.type, event.step, {"file": name, **event.data}, event.time)


def _write_snapshot(folder: Path, event: RunEvent) -> str:
    from sapo_viz.runs.snapshots import write_snapshot

    return write_snapshot(folder, event.step, event.payload)


def _save_policy(folder: Path, policy: Any) -> None:
    part = folder / ".policy.part"
    policy.save(part)
    with contextlib.suppress(OSError):  # a finished run is not done twice; keep what is there
        part.rename(folder / "policy")


@contextlib.contextmanager
def _stop_signal(folder: Path) -> Iterator[Callable[[], bool]]:
    """`should_stop()`: true once the stop file is there, or SIGINT or SIGTERM came."""
    asked, looked = False, 0.0

    def on_signal(number: int, frame: object) -> None:
        nonlocal asked
        asked = True

    def should_stop() -> bool:
        nonlocal asked, looked
        if not asked and time.monotonic() - looked > _LOOK:
            looked = time.monotonic()
            asked = (folder / "stop").exists()
        return asked

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield should_stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(arguments: list[str]) -> int:
    os.nice(5)  # the page that shows the run stays quick
    return 0 if work(Path(arguments[0])).type != "failed" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
