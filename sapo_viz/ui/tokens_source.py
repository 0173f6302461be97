"""Where the Tokens page's sequences come from: a sample, a file or two, the data folder, a text, a step of a run.

Whatever cannot be read is said in one sentence in its place, and the sequences shown before stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from sapo_viz.errors import SapoVizError
from sapo_viz.figures.assets import ASSETS
from sapo_viz.rollouts.folder import VARIABLE, data_dir, inside, list_files, opening
from sapo_viz.rollouts.formats import FORMATS, OnlyOnePolicy, read_pair
from sapo_viz.rollouts.read import parsing, read_rollouts
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.steps import Steps, at_once
from sapo_viz.rollouts.texts import NoLogprobs
from sapo_viz.ui.state import OPEN_FILE, url_choice
from sapo_viz.ui.text import plain
from sapo_viz.ui.tokens_scoring import Found, choose_text, forget_address, score_dump
from sapo_viz.ui.tokens_work import forget, worked
from sapo_viz.ui.words import _

SOURCES = ("sample", "file", "folder", "text", "run")
_UPLOAD = "tokens: upload"  # session, a widget's: the uploaded file
_DUMP = "tokens: dump"  # session: the last file without log-probs, as (origin, TextDump)
_HALF = "tokens: half"  # session: (origin, upload, format) of a file with one policy's log-probs
_FIRST = "outlier.jsonl"  # the sample on which the objectives differ most


@dataclass(frozen=True)
class Source:
    """Sequences and what they were taken from; `origin` is equal for equal content."""

    origin: tuple[Any, ...]
    rollouts: Rollouts


def sample_files() -> list[Path]:
    """The bundled rollout files; the first is opened at once."""
    kinds = (".jsonl", ".json", ".csv", ".parquet")
    files = [path for path in (ASSETS / "samples").glob("*") if path.suffix in kinds]
    return sorted(files, key=lambda path: (path.name != _FIRST, kinds.index(path.suffix), path.name))


def choose_source() -> Source | None:
    """The controls, and the sequences they lead to; None while there is nothing to show yet."""
    labels = {
        "sample": _("Sample"),
        "file": _("Your file"),
        "folder": _("Data folder"),
        "text": _("Type a text"),
        "run": _("Training run"),
    }
    usual = "run" if "run" in st.query_params else "sample"
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    with left:
        sources = [name for name in SOURCES if name != "folder" or data_dir() is not None]
        url_choice("source", sources, usual)
        kind = st.segmented_control(
            _("Tokens from"), sources, format_func=lambda name: labels[name], required=True, wrap=True, key="source"
        )
    if kind != "run":
        st.query_params.pop("run", None)
        st.query_params.pop("step", None)
    if kind not in ("text", "file"):
        forget_address()
    choose = {"sample": _sample, "file": _file, "folder": _folder, "text": choose_text, "run": _run}[kind]
    with st.container() if kind == "text" else right:  # a form needs the whole width
        found = choose()
    return _read(*found) if found else _still(st.session_state.get(OPEN_FILE))


def _read(origin: tuple[Any, ...], read: Callable[[], Steps[Rollouts]]) -> Source | None:
    """Read unless it is what is shown already; on a bad file the sentence, and what was shown before."""
    shown: Source | None = st.session_state.get(OPEN_FILE)
    if shown is not None and shown.origin == origin:
        return shown
    dump = st.session_state.get(_DUMP)
    if dump and dump[0] == origin:
        found = score_dump(dump[1])
        return _read(*found) if found else _still(shown)
    half = st.session_state.get(_HALF)
    if half and half[0] == origin:
        found = _other_half(*half)
        return _read(*found) if found else _still(shown)
    try:
        source = Source(origin, worked("read", origin, read, _("Reading the tokens…")))
    except OnlyOnePolicy as error:
        upload = st.session_state.get(_UPLOAD)
        if upload is not None and origin == ("file", upload.file_id):
            st.session_state[_HALF] = (origin, upload, error.one.format)
            return _read(origin, read)
        st.error(plain(str(error)), icon=":material/error:")
        return _still(shown)
    except NoLogprobs as error:
        st.session_state[_DUMP] = (origin, error.texts)
        return _read(origin, read)
    except SapoVizError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return _still(shown)
    forget()
    st.session_state[OPEN_FILE] = source
    return source


def _still(shown: Source | None) -> Source | None:
    """What stays on the page while there is nothing else to show yet, and says so."""
    if shown is not None:
        st.caption(_("Still shown: {name}.").format(name=plain(shown.rollouts.name)))
    return shown


def _sample() -> Found:
    files = {path.name: path for path in sample_files()}
    if not files:
        st.info(_("There are no sample files in assets/samples; upload a file of your own."), icon=":material/info:")
        return None
    first = next(iter(files))
    url_choice("sample", files, first)
    name = st.selectbox(_("Sample file, from real runs"), list(files), key="sample")
    return ("sample", name, files[name].stat().st_mtime_ns), lambda: at_once(lambda: read_rollouts(files[name]))


def _file() -> Found:
    upload = st.file_uploader(
        _("Rollout file, up to 200 MB"),
        key=_UPLOAD,
        help=_("Read in memory and kept for this visit only; nothing in it is executed. The fields: end of the page."),
    )
    if upload is None:
        frameworks = ", ".join(dict.fromkeys(format.framework for format in FORMATS))
        st.caption(
            _(
                "JSON, JSONL, CSV or Parquet, or a file of {frameworks} as it was written. It stays on this server for "
                "the visit only. What it holds: at the end of the page. A larger file opens from a folder that the "
                "server's owner names in {variable}."
            ).format(frameworks=frameworks, variable=VARIABLE)
        )
        return None
    return ("file", upload.file_id), lambda: parsing(upload.getvalue(), upload.name)


def _other_half(origin: tuple[Any, ...], first: Any, format: str) -> Found:
    """The second file of a pair, and which of the two is the newer policy's."""
    st.info(
        plain(
            _("{name} is {format}: it holds one policy's log-probs, and a ratio needs two.").format(
                name=first.name, format=format
            )
        ),
        icon=":material/call_split:",
    )
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    second = left.file_uploader(_("The other policy's file, over the same tokens"), key="tokens: second upload")
    options = {"old": _("before the update (π_old)"), "new": _("after it (π_θ)")}
    which = right.segmented_control(
        _("The first file was scored"), list(options), format_func=options.__getitem__, default="old", required=True
    )
    if second is None:
        return None
    new, old = (second, first) if which == "old" else (first, second)
    read = lambda: read_pair(new.getvalue(), new.name, old.getvalue(), old.name)  # noqa: E731
    return (*origin, second.file_id, which), lambda: at_once(read)


def _folder() -> Found:
    root = data_dir()
    if root is None:
        return None
    try:
        names = list_files(root)
    except SapoVizError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    if not names:
        st.info(_("There is no file in the data folder yet."), icon=":material/folder_open:")
        return None
    url_choice("file", names, names[0])
    name = st.selectbox(_("File in the server's data folder, the newest first"), names, key="file")
    try:
        state = inside(root, name).stat()
    except (SapoVizError, OSError):
        st.error(plain(_("{name} is not there any more; choose another.").format(name=name)), icon=":material/error:")
        return None
    return ("folder", name, state.st_mtime_ns, state.st_size), lambda: opening(root, name)


def _run() -> Found:
    from sapo_viz.runs.store import RunStore

    store = RunStore()
    runs = [run.id for run in store.list() if store.snapshots(run.id)]
    asked = st.query_params.get("run")
    if asked is not None and asked not in runs:
        st.error(
            plain(_("There is no run {run!r} with tokens here; choose another.").format(run=asked)),
            icon=":material/error:",
        )
        st.query_params.pop("run", None)
    if not runs:
        st.info(_("No run has kept tokens yet; start one on the Training page."), icon=":material/play_circle:")
        return None
    columns = st.columns([3, 2], vertical_alignment="bottom")
    _always_in_address("run", runs, runs[0])
    run = columns[0].selectbox(_("Run"), runs, key="run")
    steps = store.snapshots(run)
    step = _step(columns[1], steps)
    path = store.snapshot_path(run, step)
    return ("run", run, step, path.stat().st_mtime_ns), lambda: at_once(lambda: read_rollouts(path))


def _step(place: Any, steps: list[int]) -> int:
    """One of the run's steps, kept in the address; the last one at first, the nearest for one that is not there."""
    names = [str(step) for step in steps]
    asked = st.query_params.get("step", "")
    near = min(steps, key=lambda step: abs(step - int(asked))) if asked.isdecimal() else steps[-1]
    _always_in_address("step", names, str(near))
    with place:
        if len(names) == 1:
            st.selectbox(_("Step"), names, key="step")
        else:
            st.select_slider(_("Step"), names, key="step")
    return int(st.session_state["step"])


def _always_in_address(key: str, options: list[str], fallback: str) -> None:
    """As `url_choice`, but the choice stands in the address even when it is the usual one: runs come and go."""
    if st.session_state.get(key) not in options:
        st.session_state.pop(key, None)
    if st.query_params.get(key) not in options:
        st.query_params[key] = fallback
    url_choice(key, options, "")
