"""Recorded runs in the owner's data folder: found by their config.json, named `data:path/of/the/run`, only read.

A name is the path with what an address could not hold spelled in %: it leads below the data folder, on a way without
links, or nowhere.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from urllib.parse import quote, unquote

from sapo_viz.errors import RunError
from sapo_viz.paths import walk
from sapo_viz.runs.folder.reading import NotReadable, json_object, read_small
from sapo_viz.runs.recorded import KIND

PREFIX = "data:"
_MOST = 200  # runs
_HOLDS = 1.0  # seconds
_OFTEN_INSIDE = ("tokens", "ranks")  # of a run: no run lies there
_found: dict[Path, tuple[float, list[str]]] = {}  # data folder -> until when it holds, and its runs
_kinds: dict[tuple[Path, int, int, int], bool] = {}  # a config.json in one state -> whether a recorder wrote it


def outside_ids(root: Path) -> list[str]:
    """The recorded runs below `root`, at most `_MOST` of them; a walk is kept for a second."""
    until, ids = _found.get(root, (0.0, []))
    if time.monotonic() >= until:
        ids = [PREFIX + quote(folder.relative_to(root).as_posix()) for folder in _walk(root)]
        _found[root] = (time.monotonic() + _HOLDS, ids)
    return ids


def name_of(run_id: str) -> str:
    """The run's id as a person reads it: its path in the data folder, or the id itself."""
    return unquote(run_id.removeprefix(PREFIX)) if run_id.startswith(PREFIX) else run_id


def outside_path(root: Path | None, run_id: str) -> Path:
    """The folder that the id names, which need not exist.

    Raises:
        RunError: there is no data folder, or the id could lead out of it.
    """
    name = unquote(run_id.removeprefix(PREFIX), errors="replace")
    parts = name.split("/")
    if root is None or len(name) > 1000 or not name.isprintable() or any(not p or p.startswith(".") for p in parts):
        raise RunError(f"the run id is {run_id[:120]!r}; no run of the data folder has it, choose one from the list.")
    return root.joinpath(*parts)


def is_recorded(root: Path, folder: Path) -> bool:
    """Whether a recorder's run is in `folder`, and no link on the way to it."""
    try:
        top = root.resolve()
        inside = folder.resolve(strict=True) == Path(os.path.normpath(top / folder.relative_to(root)))
    except (OSError, RuntimeError, ValueError):
        return False
    return inside and _wrote_it(folder / "config.json")


def _walk(root: Path) -> list[Path]:
    found: list[Path] = []
    for folder, folders, names in walk(root):
        if "config.json" in names and folder != root and _wrote_it(folder / "config.json"):
            found.append(folder)
            folders[:] = []
        folders[:] = [name for name in folders if name not in _OFTEN_INSIDE]
        if len(found) >= _MOST:
            break
    return found


def _wrote_it(path: Path) -> bool:
    """Each state of a file is looked at once: many models' folders have a config.json too."""
    try:
        state = path.lstat()
        key = (path, state.st_ino, state.st_size, state.st_mtime_ns)
        if key not in _kinds:
            if len(_kinds) > 10_000:
                _kinds.clear()
            _kinds[key] = json_object(read_small(path)).get("kind") == KIND
        return _kinds[key]
    except (OSError, NotReadable):
        return False
