"""What a person calls a run, after it was started: one line in `runs/<id>/label`.

The config stays as it was asked for; this name is put over its title wherever the run is listed.
"""

from __future__ import annotations

import contextlib

from sapo_viz.errors import RunError
from sapo_viz.runs.folder.reading import read_small
from sapo_viz.runs.folder.store import RunStore, write_whole

LONGEST = 80  # characters


def read_label(store: RunStore, run_id: str) -> str:
    """The name that a person gave it; empty if nobody did."""
    with contextlib.suppress(OSError, ValueError):  # there is none, or none that can be read
        text = read_small(store.path(run_id) / "label").decode("utf-8").strip()
        return text[:LONGEST] if text.isprintable() else ""
    return ""


def rename(store: RunStore, run_id: str, text: str) -> None:
    """Call the run `text`; an empty one brings its own title back.

    Raises:
        RunError: the name is too long or has line ends or control characters, there is no such run, or it lies in the
            data folder.
    """
    if store.is_outside(run_id):
        store.ours(run_id, "renamed")
    name = text.strip()
    if len(name) > LONGEST or not name.isprintable():
        raise RunError(f"the name is {name[:LONGEST]!r}; it takes up to {LONGEST} characters on one line.")
    path = store.folder(run_id) / "label"
    if name:
        write_whole(path, name + "\n")
    else:
        path.unlink(missing_ok=True)
