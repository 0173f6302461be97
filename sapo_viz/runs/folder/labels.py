"""What a person writes about a run after it was started: its name and a note, each a line in `runs/<id>/`.

The config stays as it was asked for; the name is put over its title wherever the run is listed, the note under it.
"""

from __future__ import annotations

import contextlib

from sapo_viz.errors import RunError
from sapo_viz.runs.folder.reading import read_small
from sapo_viz.runs.folder.store import RunStore, write_whole

LONGEST = 80  # characters of a name
LONGEST_NOTE = 240  # of a note


def read_label(store: RunStore, run_id: str) -> str:
    """The name that a person gave it; empty if nobody did."""
    return _read(store, run_id, "label", LONGEST)


def read_note(store: RunStore, run_id: str) -> str:
    """What a person noted about it; empty if nobody did."""
    return _read(store, run_id, "note", LONGEST_NOTE)


def rename(store: RunStore, run_id: str, text: str) -> None:
    """Call the run `text`; an empty one brings its own title back.

    Raises:
        RunError: the name is too long or has line ends or control characters, there is no such run, or it is in the
            data folder.
    """
    if store.is_outside(run_id):
        store.ours(run_id, "renamed")
    _write(store, run_id, "label", text, f"the name is {{}}; it takes up to {LONGEST} characters on one line.", LONGEST)


def annotate(store: RunStore, run_id: str, text: str) -> None:
    """Keep the note `text` with the run; an empty one takes it away.

    Raises:
        RunError: as for a name.
    """
    if store.is_outside(run_id):
        store.ours(run_id, "annotated")
    sentence = f"the note is {{}}; it takes up to {LONGEST_NOTE} characters on one line."
    _write(store, run_id, "note", text, sentence, LONGEST_NOTE)


def _read(store: RunStore, run_id: str, name: str, longest: int) -> str:
    with contextlib.suppress(OSError, ValueError):  # there is none, or none that can be read
        text = read_small(store.path(run_id) / name).decode("utf-8").strip()
        return text[:longest] if text.isprintable() else ""
    return ""


def _write(store: RunStore, run_id: str, name: str, text: str, refusal: str, longest: int) -> None:
    line = text.strip()
    if len(line) > longest or not line.isprintable():
        raise RunError(refusal.format(repr(line[:longest])))
    path = store.folder(run_id) / name
    if line:
        write_whole(path, line + "\n")
    else:
        path.unlink(missing_ok=True)
