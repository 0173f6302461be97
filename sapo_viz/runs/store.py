"""The folder that keeps a run, and what can truthfully be said about it.

    runs/<id>/config.json            what was asked for
              events.jsonl           what happened: only ever appended to, one whole line at a time
              tokens/step-00010.jsonl   token snapshots, in the project's rollout schema
              checkpoint.pt          weights and optimiser state after the last checkpointed step
              policy/                the trained policy in Hugging Face format, once finished
              worker.json            process id, its start time, and whether it waits for a free core
              worker.log             what the process printed
              stop                   present when someone asked the run to stop

Nothing here imports torch, so a page that lists runs opens at once. Whatever must not be seen half
written is written beside its place and renamed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sapo_viz.errors import RunError, SapoVizError
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import TERMINAL, RunEvent
from sapo_viz.runs.process import is_alive

Status = Literal["queued", "starting", "running", "finished", "stopped", "failed", "killed"]
LIVE: tuple[Status, ...] = ("queued", "starting", "running")
# inside RunStore, `list` is its own method
Events = list[dict[str, Any]]
Steps = list[int]
Ids = list[str]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SNAPSHOT = re.compile(r"step-(\d+)\.jsonl")
_GRACE = 30.0  # seconds in which a run without a worker counts as starting: its process is being made
_TAIL = 65_536  # bytes at the end of events.jsonl that hold the last step and the last state


@dataclass(frozen=True)
class RunSummary:
    """One line of the list of runs."""

    id: str
    config: RunConfig
    status: Status
    created: float  # seconds since 1970
    step: int  # last step that is done
    metrics: Mapping[str, float]  # of that step
    message: str  # why it failed; else empty
    stopping: bool  # asked to stop and not yet stopped

    @property
    def live(self) -> bool:
        return self.status in LIVE


def default_root() -> Path:
    """`SAPO_VIZ_RUNS_DIR`, or `runs/` in the repository."""
    return Path(os.environ.get("SAPO_VIZ_RUNS_DIR") or Path(__file__).parents[2] / "runs")


class RunStore:
    """All runs below one folder."""

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root) if root is not None else default_root()

    # -- which runs there are -------------------------------------------------------------------------

    def list(self) -> list[RunSummary]:
        """Newest first. A folder whose config cannot be read is left out."""
        summaries = []
        for config_file in self.root.glob("*/config.json"):
            with contextlib.suppress(SapoVizError, OSError):
                summaries.append(self.summary(config_file.parent.name))
        return sorted(summaries, key=lambda summary: (summary.created, summary.id), reverse=True)

    def create(self, config: RunConfig, run_id: str | None = None) -> str:
        """A new run's folder with its config; nothing is started. Returns the id."""
        stem = run_id or f"{time.strftime('%Y%m%d-%H%M%S')}-{config.objective}-s{config.seed}"
        self.root.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, 10_000):
            candidate = stem if attempt == 1 else f"{stem}-{attempt}"
            folder = self.path(candidate)
            try:
                folder.mkdir()
            except FileExistsError:
                if run_id is None:
                    continue
                if not folder.is_dir() or any(folder.iterdir()):
                    raise RunError(f"{folder} exists and is not empty; choose another folder or delete it.") from None
            write_whole(folder / "config.json", config.to_json() + "\n")
            return candidate
        raise RunError(f"there are 9,999 runs named {stem}; delete some.")

    def path(self, run_id: str) -> Path:
        """The run's folder, which need not exist. An id is a plain name: it cannot lead out of the root."""
        if not isinstance(run_id, str) or not _ID.fullmatch(run_id):
            raise RunError(
                f"the run id is {run_id!r}; it takes 1 to 100 letters, digits, '.', '_' and '-', "
                "with a letter or digit first."
            )
        return self.root / run_id

    def folder(self, run_id: str) -> Path:
        """The folder of a run that exists."""
        folder = self.path(run_id)
        if not (folder / "config.json").is_file():
            raise RunError(f"there is no run {run_id!r} in {self.root}.")
        return folder

    def delete(self, run_id: str) -> None:
        """Remove the run and all its files. One that is alive has to be stopped first."""
        folder = self.folder(run_id)
        if self.status(run_id) in LIVE:
            raise RunError(f"run {run_id} is still going; stop it before deleting it.")
        doomed = folder.with_name(f".deleted-{run_id}")  # gone from the list at once, however large it is
        shutil.rmtree(doomed, ignore_errors=True)
        folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    # -- what a run says ------------------------------------------------------------------------------

    def config(self, run_id: str) -> RunConfig:
        try:
            return RunConfig.from_json((self.folder(run_id) / "config.json").read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise RunError(f"run {run_id}: config.json is not text ({error}).") from None

    def read_events(self, run_id: str, offset: int = 0) -> tuple[Events, int]:
        """The events from a byte offset on, and the offset to go on from.

        A line that is still being written is left for the next call. Offsets stay valid for the life of
        the run, over a resume too, because the file is only appended to.
        """
        try:
            with open(self.folder(run_id) / "events.jsonl", "rb") as file:
                file.seek(offset)
                data = file.read()
        except FileNotFoundError:
            return [], offset
        whole = data[: data.rfind(b"\n") + 1]
        return _parse(whole.splitlines()), offset + len(whole)

    def status(self, run_id: str) -> Status:
        return self._status(self.folder(run_id), self._tail(run_id))

    def summary(self, run_id: str) -> RunSummary:
        folder = self.folder(run_id)
        tail = self._tail(run_id)
        status = self._status(folder, tail)
        steps = [event for event in tail if event["type"] == "step"]
        failed = tail[-1].get("message", "") if tail and status == "failed" else ""
        return RunSummary(
            id=run_id,
            config=self.config(run_id),
            status=status,
            created=(folder / "config.json").stat().st_mtime,
            step=steps[-1]["step"] if steps else 0,
            metrics=steps[-1]["metrics"] if steps else {},
            message=str(failed),
            stopping=status in LIVE and (folder / "stop").exists(),
        )

    def snapshots(self, run_id: str) -> Steps:
        """The steps whose tokens were kept, in order."""
        names = [_SNAPSHOT.fullmatch(path.name) for path in (self.folder(run_id) / "tokens").glob("step-*.jsonl")]
        return sorted(int(name[1]) for name in names if name)

    def snapshot_path(self, run_id: str, step: int) -> Path:
        """The token file of a step, in the rollout schema."""
        path = self.folder(run_id) / "tokens" / f"step-{step:05d}.jsonl"
        if not path.is_file():
            has = ", ".join(map(str, self.snapshots(run_id))) or "none yet"
            raise RunError(f"run {run_id} kept no tokens of step {step}; it has those of {has}.")
        return path

    def policy_path(self, run_id: str) -> Path | None:
        """The trained policy's folder, once the run is finished."""
        path = self.folder(run_id) / "policy"
        return path if path.is_dir() else None

    def log(self, run_id: str, limit: int = 20_000) -> str:
        """The end of what the worker printed."""
        try:
            with open(self.folder(run_id) / "worker.log", "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - limit))
                return file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    # -- what can be asked of a run -------------------------------------------------------------------

    def request_stop(self, run_id: str) -> None:
        """Ask the worker to stop; it looks ten times a second. To wait for it: `launcher.stop`."""
        folder = self.folder(run_id)
        if self.status(run_id) in LIVE:
            (folder / "stop").touch()

    def worker(self, run_id: str) -> dict[str, Any]:
        """What the worker wrote about itself: pid, mark, state, since; empty if there was none."""
        return _worker(self.folder(run_id))

    def queue(self) -> Ids:
        """The runs that wait for a free core, the first made first."""
        waiting = []
        for path in self.root.glob("*/worker.json"):
            worker = _worker(path.parent)
            if worker.get("state") == "queued" and is_alive(worker["pid"], worker["mark"]):
                waiting.append(((path.parent / "config.json").stat().st_mtime_ns, path.parent.name))
        return [run_id for _, run_id in sorted(waiting)]

    # -- inside ---------------------------------------------------------------------------------------

    def _tail(self, run_id: str) -> Events:
        """The last events, enough for status and last step."""
        try:
            with open(self.path(run_id) / "events.jsonl", "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL))
                data = file.read()
        except FileNotFoundError:
            return []
        lines = data[: data.rfind(b"\n") + 1].splitlines()
        return _parse(lines[1:] if size > _TAIL else lines)

    def _status(self, folder: Path, tail: Events) -> Status:
        worker = _worker(folder)
        if not worker:
            young = time.time() - (folder / "config.json").stat().st_mtime < _GRACE
            return "starting" if young and not tail else _verdict(tail)
        if worker["state"] == "ended" or not is_alive(worker["pid"], worker["mark"]):
            return _verdict(self._tail(folder.name))  # read again: it may have ended since the first reading
        if worker["state"] == "running" and tail and tail[-1]["type"] in TERMINAL:
            return _verdict(tail)  # said its last word and is about to exit
        state: Status = worker["state"]
        return state


def _verdict(tail: Events) -> Status:
    """What a run without a live worker is: what it said last, or killed if it did not get to say it."""
    last: Any = tail[-1]["type"] if tail else ""
    return last if last in TERMINAL else "killed"


def _worker(folder: Path) -> dict[str, Any]:
    try:
        worker = json.loads((folder / "worker.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    fits = isinstance(worker, dict) and {"pid", "mark", "state", "since"} <= worker.keys()
    return worker if fits else {}


def _parse(lines: Iterable[bytes]) -> Events:
    events = []
    for line in lines:
        with contextlib.suppress(ValueError):  # a damaged line must not hide the others
            event = json.loads(line)
            if isinstance(event, dict) and "type" in event and "step" in event:
                events.append(event)
    return events


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that no reader ever sees half of it."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def append_event(folder: Path, event: RunEvent) -> None:
    """One line at the end of events.jsonl, in one write, on disk before the next."""
    with open(folder / "events.jsonl", "ab") as file:
        file.write((event.to_json() + "\n").encode("utf-8"))


def mend_events(folder: Path) -> int:
    """Cut off a line that a killed worker left half written; the last step that the log holds."""
    path = folder / "events.jsonl"
    if not path.exists():
        return 0
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    return max((event["step"] for event in _parse(whole.splitlines()) if event["type"] == "step"), default=0)
