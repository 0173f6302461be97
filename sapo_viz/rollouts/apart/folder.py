"""Files too large to upload, from the one folder that the server's owner names, and from nowhere outside it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from weakref import WeakValueDictionary

from sapo_viz.errors import RolloutError
from sapo_viz.paths import DATA_VARIABLE as VARIABLE
from sapo_viz.paths import walk
from sapo_viz.rollouts.apart.asking import Given, reading_apart
from sapo_viz.rollouts.readers.formats.pair import FileContents, both_policies
from sapo_viz.rollouts.schema import DISK, Rollouts
from sapo_viz.rollouts.steps import Steps, finish

MOST = 500  # files that are listed, the newest first

# Files that somebody looks at now are there for everybody who may; nothing stays when the last one has left.
_open: WeakValueDictionary[tuple[Path, int, int], FileContents] = WeakValueDictionary()


def list_files(root: Path, most: int = MOST) -> list[str]:
    """Paths inside `root`, the newest `most` of them first. Hidden files and links are left out, folders that are
    links not entered.

    Raises:
        RolloutError: the folder cannot be read.
    """
    if not root.is_dir():
        raise RolloutError(f"{VARIABLE}: {root} is not a folder that can be read; name one that is.")
    found: list[tuple[float, str]] = []
    for folder, _below, names in walk(root):
        for name in names:
            path = folder / name
            try:
                state = path.lstat()
            except OSError:  # deleted meanwhile
                continue
            if not name.startswith(".") and stat.S_ISREG(state.st_mode) and state.st_size:
                found.append((state.st_mtime, path.relative_to(root).as_posix()))
    return [name for _, name in sorted(found, key=lambda item: (-item[0], item[1]))[:most]]


def open_file(root: Path, name: str) -> Rollouts:
    """The sequences of `root`/`name`.

    Raises:
        RolloutError: it lies outside `root` (`..`, an absolute path, a link), is not there, or cannot be read.
    """
    return both_policies(finish(opening(root, name)))


def opening(root: Path, name: str) -> Steps[FileContents]:
    """Whatever `root`/`name` holds, in steps."""
    path = inside(root, name)
    try:
        state = path.stat()
    except OSError as error:
        raise RolloutError(f"{name}: it cannot be opened ({error.strerror}); choose another file.") from None
    key = (path, state.st_mtime_ns, state.st_size)
    found = _open.get(key)
    if found is None:
        if state.st_size > DISK.bytes:
            raise RolloutError(f"{name}: the file has more than {DISK.bytes // 1024**2:,} MB; split it.")
        found = yield from reading_apart([Given.of_path(path, name)], disk=True)
        _open[key] = found
    return found


def inside(root: Path, name: str) -> Path:
    """`root`/`name`, which is a regular file below `root` on a way without links.

    Raises:
        RolloutError: it is not.
    """
    refused = RolloutError(f"{name[:120]!r}: this is not a file of the data folder; choose one from the list.")
    if not name or "\x00" in name:
        raise refused
    top = root.resolve()
    path = top / name
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):  # not there, or links in a circle
        raise refused from None
    # A link anywhere on the way would make the real path another one than the path that was asked for.
    if real != Path(os.path.normpath(path)) or not real.is_relative_to(top) or not real.is_file():
        raise refused
    return real
