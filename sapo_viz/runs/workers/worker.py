"""The process that does a run: it turns the engine's events into the run's folder, and draws nothing.

    python -m sapo_viz.runs.workers.worker runs/<id> [when it was asked for, in nanoseconds since 1970]

Given a folder with a config it starts; given one with a checkpoint it goes on from there. Steps between
the checkpoint and the end of the log are computed again and, the engine being deterministic, come out the
same: the log keeps the lines that it has, so no event is lost or doubled and it is only ever appended to.
A SIGKILL may come between any two writes (tests/runs/workers/test_kills.py does that), and the disk may fill up.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sapo_viz.errors import RunError, SapoVizError
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import TERMINAL, RunEvent
from sapo_viz.runs.folder.checkpoints import NAME as CHECKPOINT
from sapo_viz.runs.folder.checkpoints import load_checkpoint, save_checkpoint
from sapo_viz.runs.folder.files import part_of, put_in_place, release, reserve, sweep, write_whole
from sapo_viz.runs.folder.log import Logged, append_event, mend_events, sync_events
from sapo_viz.runs.folder.slots import queued, try_lock, wait_for_slots
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.folder.tensorboard import EventFile
from sapo_viz.runs.folder.worker_file import write_worker
from sapo_viz.runs.workers.card import model_card
from sapo_viz.runs.workers.failure import explain, over_time
from sapo_viz.runs.workers.quotas import Quotas, admitted_reward, page_rules

_LOOK = 0.1  # seconds between two looks for the stop file
Echo = Callable[[RunEvent], None]


def work(
    folder: Path, echo: Echo = lambda event: None, asked: int | None = None, rules: Quotas | None = None
) -> RunEvent:
    """Do the run in `folder` to its end, and return its last event. `echo` sees every event.

    Args:
        asked: when the run was asked for, in nanoseconds since 1970, which is its place in the queue.
        rules: what it may do; None lets it do anything, as on the command line.

    Raises:
        RunError: another process is doing this run already.
    """
    store, run_id = RunStore(folder.parent), folder.name
    lock = try_lock(folder / ".lock")
    if lock is None:
        raise RunError(f"run {run_id} is being done by another process already.")
    with lock, _stop_signal(folder) as should_stop:
        sweep(folder)
        logged = mend_events(folder)
        board = EventFile(folder)

        def tell(event: RunEvent) -> None:
            board.add(event)
            echo(event)

        last = _in_turn(store, run_id, logged, should_stop, tell, asked or time.time_ns(), rules or Quotas())
        _say_last(folder, last)
        echo(last)
        return last


def _in_turn(
    store: RunStore,
    run_id: str,
    logged: Logged,
    should_stop: Callable[[], bool],
    echo: Echo,
    asked: int,
    rules: Quotas,
) -> RunEvent:
    """Wait for a free core, do the run, and return its last event, which is yet to be recorded."""
    folder, config = store.path(run_id), None

    def pause() -> bool:
        time.sleep(_LOOK)
        return should_stop()

    try:
        write_worker(folder, "queued", asked=asked)
        reserve(folder)
        config = store.config(run_id)
        with queued(store.root, run_id, asked):
            slots = wait_for_slots(store.root, run_id, config.threads, pause)
        if slots is None:
            return RunEvent("stopped", logged.step)
        with slots:
            write_worker(folder, "starting")
            return _follow(folder, config, logged, should_stop, echo, rules)
    except Exception as error:  # the run must say that it ended; the log has the details
        if not isinstance(error, SapoVizError):
            with contextlib.suppress(OSError):
                traceback.print_exc()
        sweep(folder)  # a half checkpoint may be what filled the disk
        return explain(error, folder, config).at(mend_events(folder).step)


def _follow(
    folder: Path, config: RunConfig, logged: Logged, should_stop: Callable[[], bool], echo: Echo, rules: Quotas
) -> RunEvent:
    """Write down everything that the engine says but its last word, which is returned."""
    import torch

    from sapo_viz.runs.questions.kept import kept_table
    from sapo_viz.runs.training.engines import train

    torch.set_num_threads(config.threads)
    checkpoint = load_checkpoint(folder)
    if checkpoint is not None and checkpoint["step"] > logged.step:
        checkpoint = None  # the disk lost lines that the checkpoint stands after: begin again rather than leave a gap
    if checkpoint is not None:  # it may have been killed between the file and the line that tells of it
        _record(folder, RunEvent("checkpoint", checkpoint["step"], {"file": CHECKPOINT}), logged, echo)
    end = math.inf

    def must_stop() -> bool:
        return should_stop() or time.monotonic() > end

    events = train(
        config,
        should_stop=must_stop,
        resume=checkpoint,
        models=rules.models,
        table=kept_table(folder, config),
        reward=admitted_reward(config, rules),
    )
    for event in events:
        if event.type == "stopped" and not should_stop():
            return over_time(rules.seconds).at(max(event.step, logged.step))
        if event.type in TERMINAL:
            if event.type == "finished":
                _save_policy(folder, event.payload, config)
            # It may not have caught up with the log.
            return RunEvent(event.type, max(event.step, logged.step), event.data)
        if event.type == "sample":
            event = _with_file(event, _write_snapshot(folder, event))
        elif event.type == "checkpoint":
            sync_events(folder)
            event = _with_file(event, save_checkpoint(folder, event.payload))
        _record(folder, event, logged, echo)
        if event.type == "start":
            end = time.monotonic() + rules.seconds - (checkpoint["seconds"] if checkpoint else 0.0)
            write_worker(folder, "running")
    raise RunError("the engine ended without a word.")


def _record(folder: Path, event: RunEvent, logged: Logged, echo: Echo) -> None:
    if not logged.has(event):
        append_event(folder, event)
        echo(event)


def _say_last(folder: Path, event: RunEvent) -> None:
    """Record how the run ended, whatever the disk says: there is a reserve, and there is worker.json."""
    try:
        append_event(folder, event)
    except OSError as error:
        release(folder)
        try:
            append_event(folder, event)
        except OSError:
            said = event if event.type == "failed" else explain(error, folder).at(event.step)
            with contextlib.suppress(OSError):
                write_worker(folder, "ended", said=said.data)
            return
    release(folder)
    with contextlib.suppress(OSError):
        sync_events(folder)
        write_worker(folder, "ended")


def _with_file(event: RunEvent, name: str) -> RunEvent:
    return RunEvent(event.type, event.step, {"file": name, **event.data}, event.time)


def _write_snapshot(folder: Path, event: RunEvent) -> str:
    from sapo_viz.runs.training.snapshots import write_snapshot

    return write_snapshot(folder, event.step, event.payload)


def _save_policy(folder: Path, policy: Any, config: RunConfig) -> None:
    """The finished policy with its card, whole or not at all. One that is there was saved before a kill: the same."""
    if (folder / "policy").is_dir():
        return
    part = part_of(folder / "policy")
    policy.save(part)
    events, _offset = RunStore(folder.parent).read_events(folder.name)
    write_whole(part / "README.md", model_card(config, events))
    put_in_place(part, folder / "policy")


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
    asked = int(arguments[1]) if len(arguments) > 1 else None
    return 0 if work(Path(arguments[0]), asked=asked, rules=page_rules()).type != "failed" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
