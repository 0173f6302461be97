"""The folder that keeps a run, and what can truthfully be said about it.

    runs/<id>/config.json            what was asked for
              events.jsonl           what happened: only ever appended to, one whole line at a time
              tokens/step-00010.jsonl   token snapshots, in the project's rollout schema
              checkpoint.pt          weights and optimiser state after the last checkpointed step
              events.out.tfevents.…  the same steps for TensorBoard: an image of events.jsonl (tensorboard.py)
              label                  the name that a person gave the run, if any (labels.py)
              policy/                the trained policy in Hugging Face format, once finished
              worker.json            process id, its start time, and whether it waits for a free core (worker_file.py)
              worker.log             what the process printed
              stop                   present when someone asked the run to stop

Nothing here imports torch, so a page that lists runs opens at once. Names that begin with a dot are no part of a
run: locks, and what is being written (files.py).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sapo_viz.errors import RunError, SapoVizError
from sapo_viz.runs import slots
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.files import write_whole as write_whole
from sapo_viz.runs.log import parse, read_lines, read_tail
from sapo_viz.runs.verdict import LIVE as LIVE
from sapo_viz.runs.verdict import Status, message_of, status_of
from sapo_viz.runs.worker_file import read_worker

# inside RunStore, `list` is its own method
Events = list[dict[str, Any]]
Steps = list[int]
Ids = list[str]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SNAPSHOT = re.compile(r"step-(\d+)\.jsonl")
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
    message: str  # why it failed, or what may have killed it; else empty
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
            try:
                write_whole(folder / "config.json", config.to_json() + "\n")
            except OSError:
                with contextlib.suppress(OSError):
                    folder.rmdir()  # no config, no run
                raise
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
        """Remove the run and all its files, for good: it is how room is made on a full disk.

        Raises:
            RunError: the run is alive and has to be stopped first, or there is no such run.
        """
        with slots.control(self.root):
            folder = self.folder(run_id)
            if self.status(run_id) in LIVE:
                raise RunError(f"run {run_id} is still going; stop it before deleting it.")
            for left_over in self.root.glob(".deleted-*"):  # of a server that ended in the midst of it
                shutil.rmtree(left_over, ignore_errors=True)
            doomed = folder.rename(folder.with_name(f".deleted-{run_id}"))  # gone from the list at once
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
        lines, following = read_lines(self.folder(run_id), offset)
        return parse(lines.splitlines()), following

    def status(self, run_id: str) -> Status:
        return status_of(self.folder(run_id))

    def summary(self, run_id: str) -> RunSummary:
        folder = self.folder(run_id)
        status = status_of(folder)
        tail = read_tail(folder, _TAIL)
        steps = [event for event in tail if event["type"] == "step"]
        return RunSummary(
            id=run_id,
            config=self.config(run_id),
            status=status,
            created=(folder / "config.json").stat().st_mtime,
            step=steps[-1]["step"] if steps else 0,
            metrics=steps[-1]["metrics"] if steps else {},
            message=message_of(folder, status, tail),
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
        """What the worker wrote about itself (worker_file.py); empty if there was none."""
        return read_worker(self.folder(run_id))

    def queue(self) -> Ids:
        """The runs that wait for a free core, in the order in which they were asked for."""
        return list(slots.queue(self.root))
