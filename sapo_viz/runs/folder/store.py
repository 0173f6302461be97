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

A recorder writes the same of a run that another program trains (config.json with kind "recorded", recording.py); of
those, what is in the owner's data folder is listed too (outside.py) and never written to.

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
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from sapo_viz.errors import RunError, SapoVizError
from sapo_viz.paths import data_dir, runs_dir
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder import outside, slots
from sapo_viz.runs.folder.files import write_whole as write_whole
from sapo_viz.runs.folder.log import MOST_EVENTS, Digest, chunks, digest, lines_of, parse, read_tail
from sapo_viz.runs.folder.reading import NotReadable, json_object, open_regular, read_small, reason
from sapo_viz.runs.folder.recording import StepTokens, recording_status, recording_why, token_files
from sapo_viz.runs.folder.verdict import LIVE as LIVE
from sapo_viz.runs.folder.verdict import Status, Why, status_of, why
from sapo_viz.runs.folder.worker_file import read_worker
from sapo_viz.runs.recorded import KIND, Recorded

# inside RunStore, `list` is its own method
Events = list[dict[str, Any]]
StepNumbers = list[int]
Ids = list[str]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SNAPSHOT = re.compile(r"step-([0-9]{5,9})\.jsonl")


@dataclass(frozen=True)
class RunSummary:
    """One line of the list of runs."""

    id: str
    config: RunConfig | None  # None for a recorded run, and if it cannot be read, which `message` explains
    status: Status
    created: float  # seconds since 1970
    step: int  # last step that is done
    metrics: Mapping[str, float]  # of that step
    kind: str  # why it failed, for programs: a FailureKind, killed or damaged; else empty
    message: str  # the same in a sentence
    stopping: bool  # asked to stop and not yet stopped
    recorded: Recorded | None = None  # of a run that another program trains
    for_good: bool = False  # it would end the same way again if it were resumed

    @property
    def live(self) -> bool:
        return self.status in LIVE


class RunStore:
    """All runs below one folder; where none is named, the recorded ones in the owner's data folder too."""

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root) if root is not None else runs_dir()
        self.data = data_dir() if root is None else None

    # -- which runs there are -------------------------------------------------------------------------

    def list(self) -> list[RunSummary]:
        """Newest first. A run whose config cannot be read is there as well, as damaged."""
        summaries = []
        for run_id in [*self._ids(), *(outside.outside_ids(self.data) if self.data else ())]:
            with contextlib.suppress(SapoVizError, OSError):  # deleted meanwhile, or a folder that may not be entered
                summaries.append(self.summary(run_id))
        return sorted(summaries, key=lambda summary: (summary.created, summary.id), reverse=True)

    def _ids(self) -> Ids:
        """The folders that hold a config and whose name is an id."""
        try:
            with os.scandir(self.root) as entries:
                names = [entry.name for entry in entries if _ID.fullmatch(entry.name)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [name for name in names if os.path.lexists(self.root / name / "config.json")]

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
        if self.is_outside(run_id):
            return outside.outside_path(self.data, run_id)
        if not isinstance(run_id, str) or not _ID.fullmatch(run_id):
            raise RunError(
                f"the run id is {run_id!r}; it takes 1 to 100 letters, digits, '.', '_' and '-', "
                "with a letter or digit first."
            )
        return self.root / run_id

    def folder(self, run_id: str) -> Path:
        """The folder of a run that exists."""
        folder = self.path(run_id)
        if self.is_outside(run_id):
            if self.data is None or not outside.is_recorded(self.data, folder):
                raise RunError(f"there is no recorded run {outside.name_of(run_id)!r} in the data folder.")
        elif not os.path.lexists(folder / "config.json"):
            raise RunError(f"there is no run {run_id!r} in {self.root}.")
        return folder

    @staticmethod
    def is_outside(run_id: str) -> bool:
        """Whether the id names a run of the owner's data folder, which is looked at and left as it is."""
        return isinstance(run_id, str) and run_id.startswith(outside.PREFIX)

    def delete(self, run_id: str) -> None:
        """Remove the run and all its files, for good: it is how room is made on a full disk.

        Raises:
            RunError: the run is alive and has to be stopped first, is in the data folder, or there is no such run.
        """
        self.ours(run_id, "deleted")
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
        """What was asked for.

        Raises:
            RunError: there is no such run, or its config cannot be read.
        """
        found = self._about(run_id)
        if isinstance(found, Recorded):
            raise RunError(f"run {run_id} was recorded from {found.source}; it has no settings of a run made here.")
        if isinstance(found, str):
            raise RunError(f"run {run_id}: {found}")
        return found

    def recorded(self, run_id: str) -> Recorded | None:
        """What a recorder wrote about the run; None if it wrote nothing, because the run is one of our own.

        Raises:
            RunError: there is no such run.
        """
        found = self._about(run_id)
        return found if isinstance(found, Recorded) else None

    def ours(self, run_id: str, done: str) -> None:
        """Nothing, for a run of which this may be done ("deleted", "stopped" …).

        Raises:
            RunError: the run is in the data folder, or another program trains it.
        """
        if self.is_outside(run_id):
            raise RunError(f"run {outside.name_of(run_id)} lies in the data folder; only its owner can have it {done}.")
        if done != "deleted" and self.recorded(run_id) is not None:
            raise RunError(f"run {run_id} is trained by another program; it can be {done} there alone.")

    def _about(self, run_id: str) -> RunConfig | Recorded | str:
        folder = self.folder(run_id)
        try:
            state = (folder / "config.json").lstat()
        except FileNotFoundError:  # another visitor has just deleted it
            raise RunError(f"there is no run {run_id!r} any more.") from None
        return _config(folder, state.st_ino, state.st_size, state.st_mtime_ns)

    def read_events(self, run_id: str, offset: int = 0, most: int = MOST_EVENTS) -> tuple[Events, int]:
        """The events from a byte offset on, and the offset to go on from.

        A line that is still being written is left for the next call. Offsets stay valid for the life of
        the run, over a resume too, because the file is only appended to. With more than `most` it ends, at a line.

        Raises:
            RunError: there is no such run, or its log cannot be read.
        """
        events: Events = []
        following = offset
        try:
            for lines, following in chunks(self.folder(run_id), offset):  # noqa: B007 - it is returned
                events += parse(lines_of(lines))
                if len(events) > most:
                    break
        except OSError as error:
            raise RunError(f"run {run_id}: events.jsonl cannot be read: {reason(error)}.") from None
        return events, following

    def digest(self, run_id: str) -> Digest:
        """What the log of a run that has ended comes to."""
        return digest(self.folder(run_id))

    def status(self, run_id: str) -> Status:
        """What can be said of it now; a run is damaged if it has ended and nobody can read what it was."""
        found = self._about(run_id)
        if isinstance(found, Recorded):
            return recording_status(self.folder(run_id))
        status = status_of(self.folder(run_id))
        return "damaged" if isinstance(found, str) and status not in LIVE else status

    def why(self, run_id: str, status: Status) -> Why:
        """Why it is where it is; of a run that has ended also what of its log cannot be read."""
        told = self._told(run_id, status, read_tail(self.folder(run_id), "any"))
        damage = "" if status in LIVE else self.digest(run_id).damage
        return replace(told, message=" ".join(filter(None, (told.message, damage))))

    def _told(self, run_id: str, status: Status, tail: Events) -> Why:
        found = self._about(run_id)
        if isinstance(found, str):
            return Why("damaged", f"run {run_id}: {found}")
        folder = self.folder(run_id)
        return recording_why(folder, status) if isinstance(found, Recorded) else why(folder, status, tail)

    def summary(self, run_id: str) -> RunSummary:
        folder = self.folder(run_id)
        status = self.status(run_id)
        tail = read_tail(folder, "step")
        steps = [event for event in tail if event["type"] == "step"]
        told = self._told(run_id, status, tail)
        about = self._about(run_id)
        return RunSummary(
            id=run_id,
            config=about if isinstance(about, RunConfig) else None,
            recorded=about if isinstance(about, Recorded) else None,
            for_good=told.for_good,
            status=status,
            created=(folder / "config.json").lstat().st_mtime,
            step=steps[-1]["step"] if steps else 0,
            metrics=steps[-1]["metrics"] if steps else {},
            kind=told.kind,
            message=told.message,
            stopping=status in LIVE and (folder / "stop").exists(),
        )

    def tokens(self, run_id: str) -> Mapping[int, StepTokens]:
        """The token files of each step that kept any, in order: one, or one of each rank of a recorded run."""
        recorded, folder = self.recorded(run_id), self.folder(run_id)
        if recorded is not None and recorded.dumps and not self.is_outside(run_id):
            from sapo_viz.runs.folder.dumped import dumped_tokens  # brings the readers

            return dumped_tokens(self.data, recorded.dumps)
        if recorded is not None:
            return token_files(folder, recorded.world)
        try:
            with os.scandir(folder / "tokens") as entries:
                names = [_SNAPSHOT.fullmatch(entry.name) for entry in entries if entry.is_file(follow_symlinks=False)]
        except OSError:
            return {}
        steps = sorted(int(name[1]) for name in names if name and name[0] == _snapshot_name(int(name[1])))
        return {step: StepTokens(step, (folder / "tokens" / _snapshot_name(step),)) for step in steps}

    def snapshots(self, run_id: str) -> StepNumbers:
        """The steps whose tokens were kept, in order."""
        return list(self.tokens(run_id))

    def snapshot_path(self, run_id: str, step: int) -> Path:
        """The token file of a step of one of our own runs, in the rollout schema."""
        return self.step_tokens(run_id, step).files[0]

    def step_tokens(self, run_id: str, step: int) -> StepTokens:
        """The token files of one step."""
        tokens = self.tokens(run_id)
        if step not in tokens:
            has = ", ".join(map(str, tokens)) or "none yet"
            raise RunError(f"run {run_id} kept no tokens of step {step}; it has those of {has}.")
        return tokens[step]

    def policy_path(self, run_id: str) -> Path | None:
        """The trained policy's folder, once the run is finished."""
        path = self.folder(run_id) / "policy"
        return path if path.is_dir() and not path.is_symlink() else None

    def log(self, run_id: str, limit: int = 20_000) -> str:
        """The end of what the worker printed."""
        try:
            with open_regular(self.folder(run_id) / "worker.log") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - limit))
                return file.read(limit).decode("utf-8", "replace")
        except OSError:
            return ""

    # -- what can be asked of a run -------------------------------------------------------------------

    def request_stop(self, run_id: str) -> None:
        """Ask the worker to stop; it looks ten times a second. To wait for it: `launcher.stop`.

        Raises:
            RunError: there is no such run, or another program trains it.
        """
        self.ours(run_id, "stopped")
        folder = self.folder(run_id)
        if self.status(run_id) in LIVE:
            (folder / "stop").touch()

    def worker(self, run_id: str) -> dict[str, Any]:
        """What the worker wrote about itself (worker_file.py); empty if there was none."""
        return read_worker(self.folder(run_id))

    def queue(self) -> Ids:
        """The runs that wait for a free core, in the order in which they were asked for."""
        return list(slots.queue(self.root))


@lru_cache(maxsize=2000)
def _config(folder: Path, *_state: int) -> RunConfig | Recorded | str:
    """The config, or why it cannot be read: one sentence. Each state of the file is looked at once."""
    try:
        values = json_object(read_small(folder / "config.json"))
        return Recorded.from_dict(values) if values.get("kind") == KIND else RunConfig.from_dict(values)
    except (NotReadable, OSError) as error:
        said = reason(error) if isinstance(error, OSError) else str(error)
        return f"config.json cannot be read: {said}."
    except SapoVizError as error:
        text = str(error)
        return f"config.json: {text if len(text) < 300 else text[:300] + ' …'}"


def _snapshot_name(step: int) -> str:
    return f"step-{step:05d}.jsonl"
