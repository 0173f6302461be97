"""What a recorder's log and token files come to: how the run is, and which steps have their tokens.

The process that trains may sit on another machine, whose process ids mean nothing here: then only the age of its log
tells. A run that goes on from a checkpoint begins with a start event whose `resumed` is true; what was said of later
steps before it holds no longer.
"""

from __future__ import annotations

import heapq
import re
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sapo_viz.runs.events import TERMINAL
from sapo_viz.runs.folder.event_lines import resumed_at
from sapo_viz.runs.folder.log import MOST_EVENTS, NAME, chunks, lines_of, parse, read_tail
from sapo_viz.runs.folder.process import is_alive
from sapo_viz.runs.folder.reading import NotReadable, json_object, read_small
from sapo_viz.runs.folder.verdict import Status, Why
from sapo_viz.runs.folder.worker_file import read_worker

_SILENT = 900.0  # seconds without a line after which a run elsewhere may have died; or three times its longest step
_SILENT_LONGEST = 6 * 3600.0
_FILE = re.compile(r"step-([0-9]{5,9})\.rank-([0-9]{1,6})\.(parquet|jsonl)")
_MOST_RANKS = 1024  # whose files of one step are opened
_AT_ONCE = 25  # chunks of a log, 100 MB of a usual one; what follows is looked at with the next question
_WATCHED = 500  # logs whose steps are remembered


@dataclass(frozen=True)
class StepTokens:
    """The token files of one step, by rank, and the ranks that have none (yet)."""

    step: int
    files: tuple[Path, ...]
    missing: tuple[int, ...] = ()


def recording_status(folder: Path) -> Status:
    """The state of the recorded run in `folder`."""
    tail = read_tail(folder, 12)
    if tail and tail[-1]["type"] in TERMINAL:
        last: Status = tail[-1]["type"]
        return last
    worker = read_worker(folder)
    if _is_here(folder, worker):
        return "running" if is_alive(worker["pid"], worker["mark"]) else "killed"
    return "running" if _age(folder) < _patience(tail) else "silent"


def recording_why(folder: Path, status: Status) -> Why:
    """Why it is where it is, and what the recorder could not keep."""
    tail = read_tail(folder, "step")
    steps = [event for event in tail if event["type"] == "step"]
    said = []
    if status == "failed":
        said.append(str(tail[-1].get("message", "")))
    elif status == "killed":
        said.append("The training process ended without a word: by a person, a restart, or because memory ran out.")
    elif status == "silent":
        minutes, where = _age(folder) / 60, _host(folder)
        place = f". It trains on {where}, so whether it still does" if where else "; whether it still trains"
        said.append(f"Nothing was written for {minutes:,.0f} minutes{place} cannot be seen from here.")
    for name, what in (("dropped", "steps that the recorder dropped"), ("write_errors", "writes that failed")):
        if steps and steps[-1].get(name):
            said.append(f"{what[0].upper()}{what[1:]}: {steps[-1][name]:,}.")
    return Why("killed" if status in ("killed", "silent") else "", " ".join(filter(None, said)))


def token_files(folder: Path, world: int) -> dict[int, StepTokens]:
    """Step -> its files, for the steps that hold still; both ways of writing a rank's file are taken."""
    by_step: dict[int, dict[int, str]] = {}
    try:
        for entry in islice((folder / "tokens").iterdir(), MOST_EVENTS):
            match = _FILE.fullmatch(entry.name)
            if match and entry.is_file() and not entry.is_symlink():
                ranks = by_step.setdefault(int(match[1]), {})
                ranks[int(match[2])] = max(entry.name, ranks.get(int(match[2]), ""))  # .parquet before .jsonl
    except OSError:
        return {}
    kept = kept_steps(folder)
    return {
        step: StepTokens(
            step,
            tuple(folder / "tokens" / name for _, name in sorted(ranks.items())[:_MOST_RANKS]),
            tuple(rank for rank in range(min(world, _MOST_RANKS)) if rank not in ranks),
        )
        for step, ranks in sorted(by_step.items())
        if not kept or step in kept
    }


# folder, inode -> offset, and the steps with the last one first, as a heap: a resume takes its beginning away
_kept: OrderedDict[tuple[Path, int], tuple[int, list[int]]] = OrderedDict()
_one_at_a_time = threading.Lock()


def kept_steps(folder: Path) -> frozenset[int]:
    """The steps whose tokens the log names and that no later resume has undone; each line is looked at once."""
    try:
        key = (folder, (folder / NAME).stat().st_ino)
        with _one_at_a_time:
            start, steps = _kept.pop(key, (0, []))
            end = start
            for lines, end in chunks(folder, start, _AT_ONCE):  # noqa: B007 - where the next look begins
                wanted = [line for line in lines_of(lines) if b'"sample"' in line or b'"resumed"' in line]
                for event in parse(wanted):
                    again = resumed_at(event)
                    while again is not None and steps and -steps[0] > again:
                        heapq.heappop(steps)
                    if event["type"] == "sample" and len(steps) < MOST_EVENTS:
                        heapq.heappush(steps, -event["step"])
            _kept[key] = (end, steps)
            if len(_kept) > _WATCHED:
                _kept.popitem(last=False)
            return frozenset(-step for step in steps)
    except OSError:
        return frozenset()


def _is_here(folder: Path, worker: Mapping[str, Any]) -> bool:
    return bool(worker.get("mark")) and _host(folder) == socket.gethostname()


def _host(folder: Path) -> str:
    try:
        host = json_object(read_small(folder / "worker.json")).get("host")
    except (OSError, NotReadable):
        return ""
    return host[:100] if isinstance(host, str) and host.isprintable() else ""


def _age(folder: Path) -> float:
    """Seconds since the log has grown, or, where there is none, since the run was begun."""
    for name in (NAME, "config.json"):
        try:
            return abs(time.time() - (folder / name).lstat().st_mtime)  # a clock ahead of ours must not mean for ever
        except OSError:
            continue
    return float("inf")


def _patience(tail: list[dict[str, Any]]) -> float:
    times = [event["time"] for event in tail]
    longest = max((after - before for before, after in zip(times, times[1:], strict=False)), default=0.0)
    return min(max(_SILENT, 3 * longest), _SILENT_LONGEST)
