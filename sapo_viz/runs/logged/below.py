"""Logs below the owner's data folder, each followed into a run folder beside our own, without a command; folders of a
framework's own dumps too (dumps.py).

Found by their names and first bytes: TensorBoard's event files, trackio's databases, verl's file log, ms-swift's
logging.jsonl, trainer_state.json. A training that writes several of them is one run: logging.jsonl is taken before
event files, these before trainer_state.json. Nothing is written below the data folder.

A run that was followed once and whose folder is gone was deleted by a person: `.followed` in the runs folder names
those that were begun, and is all that has to go for them to be followed again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from sapo_viz.paths import walk
from sapo_viz.runs.folder.files import write_whole
from sapo_viz.runs.folder.log import NAME
from sapo_viz.runs.logged.follow import Followed
from sapo_viz.runs.logged.sources import open_log

_MOST = 50  # logs
_EVERY = 10.0  # seconds between two walks
_CLOSED = 60.0  # seconds after which the last step of an event file has no more to say
_FIRST = 1 << 16  # bytes in which a line of verl's log begins
_LABEL = 80  # characters, as labels have
_BEGUN = ".followed"  # in the runs folder: the ids that were begun, one a line
_log = logging.getLogger(__name__)
_LOG = re.compile(r"tfevents|\.(db|jsonl|json)$")
_known: dict[tuple[Path, int], bool] = {}  # a file that has a first line -> whether that is a log's


@dataclass
class _Following:
    log: Path
    followed: Followed


class LogsBelow:
    """All logs below `data`, followed into folders of `runs`."""

    def __init__(self, data: Path, runs: Path) -> None:
        self.data, self.runs = data, runs
        self._walked = -_EVERY
        self._logs: list[tuple[str, Path]] = []
        self._following: dict[str, _Following] = {}
        self._unread: dict[Path, tuple[int, int]] = {}  # a log that could not be read, in the state that it had
        self._begun = self._begun_before()

    def look(self) -> int:
        """Write down what is new; returns how many steps."""
        if time.monotonic() - self._walked >= _EVERY:
            self._logs, self._walked = [*find_logs(self.data), *_dumps(self.data)], time.monotonic()
        return sum(self._look(name, log) for name, log in self._logs)

    def _look(self, name: str, log: Path) -> int:
        run_id = run_id_of(name)
        folder = self.runs / run_id
        if run_id in self._begun and not folder.is_dir():
            return 0
        state = (0, 0)
        try:
            state = _state(log)
            if self._unread.get(log) == state:
                return 0
            if name not in self._following or self._following[name].log != log:  # begun again, a later checkpoint
                self._following[name] = _Following(log, self._followed(name, log, folder))
            written = self._written(name, log)
            steps = self._following[name].followed.look(last=time.time() - written > _CLOSED)
            if folder.is_dir():
                self._begin(run_id)
            if steps:
                os.utime(folder / NAME, (written, written))  # whether it goes on is told by its age
                if not (folder / "label").exists():
                    write_whole(folder / "label", (name.strip("/.") or self.data.name)[-_LABEL:] + "\n")
            return steps
        except Exception as error:  # a stranger's file, and the libraries that read it: the other logs are followed
            _log.info("%s is not followed as it is now: %s", log, error)
            self._unread[log] = state  # a database has its table a moment after its file: asked again when it has grown
            return 0

    def _followed(self, name: str, log: Path, folder: Path) -> Followed:
        if not name.endswith("/"):
            return Followed(open_log(log), folder)
        from sapo_viz.runs.folder.dumped import dump_folder  # bring the readers
        from sapo_viz.runs.logged.dumps import DumpedSteps

        run, source = dump_folder(self.data, name), DumpedSteps(self.data, name)
        followed = Followed(source, folder, {"framework": run.framework if run else "", "dumps": name})
        source.after = followed.last
        return followed

    def _written(self, name: str, log: Path) -> float:
        """When the log has grown. Of a folder the last step tells: its own date may be that of its copy."""
        if not name.endswith("/"):
            return log.stat().st_mtime
        from sapo_viz.runs.folder.dumped import dumped_tokens

        *_, last = dumped_tokens(self.data, name).values()
        return max(path.stat().st_mtime for path in last.files)

    def _begin(self, run_id: str) -> None:
        if run_id in self._begun:
            return
        self._begun.add(run_id)
        with open(self.runs / _BEGUN, "a", encoding="utf-8") as file:
            file.write(run_id + "\n")

    def _begun_before(self) -> set[str]:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return set((self.runs / _BEGUN).read_text(encoding="utf-8").split())
        return set()


def run_id_of(name: str) -> str:
    """The id of the run that follows the log of this name, its path below the data folder."""
    return f"log-{re.sub(r'[^A-Za-z0-9._-]+', '-', name)[-60:]}-{crc32(name.encode()):08x}"


def find_logs(root: Path) -> list[tuple[str, Path]]:
    """(its path below `root`, the log), of each training one; no link is followed."""
    found: list[tuple[str, Path, bool]] = []  # the last: a state beside which something better may lie
    for folder, folders, all_names in walk(root):
        if len(found) >= _MOST:
            break
        names = [name for name in all_names if _LOG.search(name) and not (folder / name).is_symlink()]
        if "config.json" in names and NAME in names:  # a run's own folder
            folders[:] = []
            continue
        if "logging.jsonl" in names:
            found.append((_name(root, folder / "logging.jsonl"), folder / "logging.jsonl", False))
            folders[:] = []
            continue
        if events := [folder / name for name in names if "tfevents" in name]:
            found.append((_name(root, folder), max(events, key=_changed), False))
        elif states := _states(folder, folders, names):
            found.append((_name(root, folder), max(states, key=_changed), True))
        found += [(_name(root, log), log, False) for log in map(folder.joinpath, names) if _is_log(log)]
        folders[:] = [name for name in folders if not name.startswith("checkpoint-")]
    return [
        (name, log)
        for name, log, weak in found
        if not (weak and any(other is not log and _below(other, root / name) for _, other, _ in found))
    ]


def _dumps(root: Path) -> list[tuple[str, Path]]:
    """The same of the folders that hold a framework's own dumps of each step: names with a slash at the end."""
    from sapo_viz.runs.folder.dumped import dump_folders

    return [(run.name, root / run.name) for run in dump_folders(root)[:_MOST]]


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _below(path: Path, folder: Path) -> bool:
    return folder in path.parents


def _states(folder: Path, folders: list[str], names: list[str]) -> list[Path]:
    own = [folder / "trainer_state.json"] if "trainer_state.json" in names else []
    below = [folder / name / "trainer_state.json" for name in folders if name.startswith("checkpoint-")]
    return own + [path for path in below if path.is_file() and not path.is_symlink()]


def _state(path: Path) -> tuple[int, int]:
    """A database of SQLite grows in its -wal first."""
    states = [file.stat() for file in (path, path.with_name(f"{path.name}-wal")) if file.exists()]
    return sum(state.st_size for state in states), max(state.st_mtime_ns for state in states)


def _changed(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _is_log(path: Path) -> bool:
    """trackio's database or verl's file log, by the first bytes."""
    if path.suffix not in (".db", ".jsonl") or not path.is_file():
        return False
    try:
        key = (path, path.stat().st_ino)
        if key not in _known:
            with open(path, "rb") as file:
                first = file.read(16) if path.suffix == ".db" else file.readline(_FIRST)
            if len(first) < 16 or (path.suffix == ".jsonl" and len(first) < _FIRST and not first.endswith(b"\n")):
                return False  # it is only being begun
            if len(_known) > 100_000:
                _known.clear()
            _known[key] = _begins_as_log(path.suffix, first)
        return _known[key]
    except OSError:
        return False


def _begins_as_log(suffix: str, first: bytes) -> bool:
    if suffix == ".db":
        return first.startswith(b"SQLite format 3")
    if not first.startswith(b'{"step"'):
        return False
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(first)
        return set(value) == {"step", "data"} and isinstance(value["data"], dict)
    return False
