"""Where the Tokens page's sequences come from: a sample, a file or two, the data folder, a text, a step of a run.

Whatever cannot be read is reported in one sentence in its place, and the sequences shown before stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from sapo_viz.core.objective import CATALOG
from sapo_viz.errors import SapoVizError
from sapo_viz.paths import ASSETS, DATA_VARIABLE, data_dir
from sapo_viz.rollouts.apart.asking import Given, prepare, reading_apart
from sapo_viz.rollouts.apart.folder import inside, list_files, opening
from sapo_viz.rollouts.apart.step import reading_step
from sapo_viz.rollouts.readers.formats import FORMATS
from sapo_viz.rollouts.readers.formats.pair import FileContents, OnePolicy
from sapo_viz.rollouts.readers.read import read_rollouts
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.step_files import StepFiles, step_folders
from sapo_viz.rollouts.steps import Steps, at_once
from sapo_viz.rollouts.texts import TextDump
from sapo_viz.ui import address, session
from sapo_viz.ui.address import Read, Word, bind, bind_choice
from sapo_viz.ui.session import OPEN_FILE
from sapo_viz.ui.text import plain
from sapo_viz.ui.tokens.scoring import Opening, choose_text, forget_address, score_dump
from sapo_viz.ui.uploads import uploaded
from sapo_viz.ui.words import _
from sapo_viz.ui.work import forget, worked

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from sapo_viz.runs.folder.store import RunStore

SOURCES = ("sample", "file", "folder", "text", "run")
_UPLOAD = "tokens: upload"  # session, a widget's: the uploaded file
_DUMP = "tokens: dump"  # session: the last file without log-probs, as (origin, TextDump)
_HALF = "tokens: half"  # session: (origin, upload, format) of a file with one policy's log-probs
_CHOOSING = "tokens: choosing beside"  # session: origin of the open file beside which another is chosen
_SAMPLES = ASSETS / "samples"
_FIRST = "smollm2-mood.jsonl"  # one step of the first sample run, 16 sentences


@dataclass(frozen=True)
class Source:
    """Sequences and what they were taken from; `origin` is equal for equal content. They are `still` there where
    something else was asked for that could not be opened, or not yet: what is said of them names them."""

    origin: tuple[Any, ...]
    rollouts: Rollouts
    still: bool = field(default=False, compare=False)

    @property
    def series(self) -> tuple[Any, ...]:
        """Equal for what one looks through with the same sequence open: the steps of a run."""
        walks = self.origin[0] == "run" or (self.origin[0] in ("folder", "sample") and self.origin[1].endswith("/"))
        return self.origin[:2] if walks else self.origin


def sample_files() -> list[Path]:
    """The bundled rollout files; the first is opened at once."""
    kinds = (".jsonl", ".json", ".csv", ".parquet")
    there = [path for path in _SAMPLES.glob("*") if path.suffix in kinds]
    files = [path for path in there if not path.with_suffix("").is_dir()]  # formats.json says who wrote formats/
    return sorted(files, key=lambda path: (path.name != _FIRST, kinds.index(path.suffix), path.name))


def sample_runs() -> dict[str, StepFiles]:
    """The bundled recorded runs by name, SAPO's first; their files' paths are below the samples' folder."""
    paths = [path.relative_to(_SAMPLES).as_posix() for path in _SAMPLES.glob("recorded/*/tokens/*.parquet")]
    return {run.name: run for run in step_folders(sorted(paths, key=lambda path: ("/sapo/" not in path, path)))}


def choose_source() -> Source | None:
    """The controls, and the sequences they lead to; None while there is nothing to show yet."""
    labels = {
        "sample": _("Sample"),
        "file": _("Your file"),
        "folder": _("Data folder"),
        "text": _("Type a text"),
        "run": _("Training run"),
    }
    usual = "run" if address.has("run") else "sample"
    whole = st.container(gap="small", key="tokens-from")
    line = whole.container()
    row = whole.container(horizontal=True, vertical_alignment="center", gap="small", key="tokens-source")
    with row.container(width="content"):
        sources = [name for name in SOURCES if name != "folder" or data_dir() is not None]
        bind_choice("source", sources, usual)
        kind = st.segmented_control(
            _("Tokens from"),
            sources,
            format_func=lambda name: labels[name],
            required=True,
            wrap=True,
            key="source",
            label_visibility="collapsed",
        )
    assert kind is not None  # one is required
    if kind != "run":
        address.drop("run", "asked")
    if kind not in ("run", "folder", "sample"):
        address.drop("step")
    if kind not in ("text", "file"):
        forget_address()
    choose = {"sample": _sample, "file": _file, "folder": _folder, "text": choose_text, "run": _run}[kind]
    with st.container() if kind == "text" else row.container():  # a form needs the whole width
        found = choose()
    source = _read(*found) if found else _still(session.get(OPEN_FILE))
    if source is not None and found and source.origin == found[0] and kind in ("sample", "file", "folder"):
        _fold(line, source, labels[kind])
    return source


def _fold(line: DeltaGenerator, source: Source, kind: str) -> None:
    """Once a file is open, one line in place of where it came from (page.css), and a button that opens that again. A
    run's steps are walked through, and stay."""
    if address.has("step"):
        return
    closed = session.get(_CHOOSING) != source.origin
    rollouts = source.rollouts
    about = _("**{name}** · {kind} · {sequences:,} sequences · {tokens:,} tokens").format(
        name=plain(rollouts.name), kind=kind, sequences=len(rollouts), tokens=len(rollouts.tokens)
    )
    with line.container(
        horizontal=True, vertical_alignment="center", gap="small", key="tokens-folded" if closed else "tokens-unfolded"
    ):
        st.markdown(about, width="content")
        if closed and source.origin[0] != "file":
            st.button(
                _("Open your file"),
                icon=":material/upload_file:",
                on_click=_choose_beside,
                args=(source, "file"),
                key="tokens: choose a file",
            )
        st.button(
            _("Open another") if closed else _("Keep this one"),
            icon=":material/folder_open:" if closed else ":material/expand_less:",
            on_click=_choose_beside if closed else session.put,
            args=(source, None) if closed else (_CHOOSING, None),
            key="tokens: choose another",
        )


def _choose_beside(source: Source, kind: str | None) -> None:
    """Another is looked for while this one stays: of the same kind, or of another."""
    session.put(_CHOOSING, source.origin)
    if kind is not None:
        session.put("source", kind)


def _read(origin: tuple[Any, ...], read: Callable[[], Steps[FileContents]]) -> Source | None:
    """Read unless it is what is shown already; on a bad file the sentence, and what was shown before."""
    shown: Source | None = session.get(OPEN_FILE)
    if shown is not None and shown.origin == origin:
        return shown
    dump = session.get(_DUMP)
    if dump and dump[0] == origin:
        found = score_dump(dump[1])
        return _read(*found) if found else _still(shown)
    half = session.get(_HALF)
    if half and half[0] == origin:
        found = _other_half(*half)
        return _read(*found) if found else _still(shown)
    try:
        contents = worked("read", origin, read, _("Reading the tokens…"))
    except SapoVizError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return _still(shown)
    if isinstance(contents, TextDump):
        session.put(_DUMP, (origin, contents))
        return _read(origin, read)
    if isinstance(contents, OnePolicy):
        upload = session.get(_UPLOAD)
        if upload is not None and origin == ("file", upload.file_id):
            session.put(_HALF, (origin, upload, contents.format))
            return _read(origin, read)
        st.error(plain(contents.lacks), icon=":material/error:")
        return _still(shown)
    source = Source(origin, contents)
    forget()
    session.put(OPEN_FILE, source)
    return source


def _still(shown: Source | None) -> Source | None:
    """What stays on the page while there is nothing else to show yet, and says so."""
    if shown is None:
        return None
    st.caption(_("Still shown: {name}.").format(name=plain(shown.rollouts.name)))
    return replace(shown, still=True)


def _sample() -> Opening:
    files, runs = {path.name: path for path in sample_files()}, sample_runs()
    if not files:
        st.info(_("There are no sample files in assets/samples; upload a file of your own."), icon=":material/info:")
        return None
    first, *others = files
    choices = [first, *runs, *others]
    bind_choice("sample", choices, first)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.selectbox(
            _("Sample file, from real runs"),
            choices,
            format_func=lambda choice: _sample_title(choice, runs.get(choice)),
            key="sample",
            label_visibility="collapsed",
            width=320,
        )
        if name in files:
            address.drop("step")
            path = files[name]
        else:
            step = _step(st.container(), list(runs[name].steps))
            path = _SAMPLES / runs[name].steps[step].files[0]
    if name in runs:
        st.caption(
            _(
                "Paid is how pleasant a sentence sounds (VADER's word list). From step 1 to 20 the mean reward goes "
                "from 0.29 to 0.58 under SAPO, 0.33 under GRPO, 0.63 under GSPO. Reward hacking is only beginning: "
                "most answers are still sentences, and some praise without sense, as SAPO's of step 20, paid 0.88: “A "
                "magnificent creature with a sweet, feathery appearance, grass is lush and vibrant, teeming …”. "
                "*(measured here, one seed, 16 answers per step)*"
            )
        )
    return ("sample", name, path.name, path.stat().st_mtime_ns), lambda: at_once(lambda: read_rollouts(path))


def _sample_title(name: str, run: StepFiles | None) -> str:
    """A file by its name; of a run what it is."""
    if run is None:
        return name
    label = CATALOG[name.split("/")[1]].label
    return _("SmolLM2 under {objective}, {n} steps").format(objective=label, n=len(run.steps))


def _file() -> Opening:
    upload = st.file_uploader(
        _("Rollout file, up to 200 MB"),
        key=_UPLOAD,
        help=_(
            "Read in memory and kept for this visit only; nothing in it is executed. The fields are listed at the end "
            "of the page."
        ),
    )
    if upload is None:
        prepare()
        frameworks = ", ".join(dict.fromkeys(format.framework for format in FORMATS))
        st.caption(
            _(
                "JSON, JSONL, CSV or Parquet, or a file written by {frameworks}. It stays on this server for this "
                "visit only. The end of the page says what a file holds. Larger files can be opened from a folder that "
                "the server's owner sets with {variable}."
            ).format(frameworks=frameworks, variable=DATA_VARIABLE)
        )
        return None
    return ("file", upload.file_id), lambda: reading_apart([uploaded(upload)])


def _other_half(origin: tuple[Any, ...], first: Any, format: str) -> Opening:
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
    return (*origin, second.file_id, which), lambda: reading_apart([uploaded(new), uploaded(old)])


def _folder() -> Opening:
    root = data_dir()
    if root is None:
        return None
    try:
        names = list_files(root)
    except SapoVizError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    if not names:
        st.info(_("There are no files in the data folder yet."), icon=":material/folder_open:")
        return None
    runs = {run.name: run for run in step_folders(sorted(names))}
    choices = [*runs, *names]
    bind_choice("file", choices, choices[0])
    name = st.selectbox(
        _("Run or file in the server's data folder, the newest first"),
        choices,
        format_func=lambda choice: _run_title(runs[choice]) if choice in runs else choice,
        key="file",
    )
    if name in runs:
        return _step_of_run(root, runs[name])
    address.drop("step")
    try:
        state = inside(root, name).stat()
    except (SapoVizError, OSError):
        st.error(plain(_("{name} is no longer there; choose another.").format(name=name)), icon=":material/error:")
        return None
    return ("folder", name, state.st_mtime_ns, state.st_size), lambda: opening(root, name)


def _run_title(run: StepFiles) -> str:
    return _("{name} ({n:,} steps, {framework})").format(name=run.name, n=len(run.steps), framework=run.framework)


def _step_of_run(root: Path, run: StepFiles) -> Opening:
    """A step of a framework's own dumps, all ranks of it; what the folder lacks is reported beside it."""
    if run.notes:
        st.caption(plain(" ".join(run.notes)))
    step = _step(st.container(), list(run.steps))
    files = run.steps[step]
    try:
        paths = [inside(root, name) for name in files.files]
        states = [path.stat().st_mtime_ns for path in paths]
    except (SapoVizError, OSError):
        _step_gone(step)
        return None
    origin = ("folder", run.name, step, *states)
    if len(paths) == 1 and not files.missing_ranks:  # texts without log-probs can be scored: one file at a time
        return origin, lambda: opening(root, files.files[0])
    given = [Given.of_path(path, name) for path, name in zip(paths, files.files, strict=True)]
    return origin, lambda: reading_step(f"{run.name}{step}", given, files.missing_ranks)


def _run() -> Opening:
    from sapo_viz.runs.folder.labels import read_label
    from sapo_viz.runs.folder.outside import name_of
    from sapo_viz.runs.folder.store import RunStore

    store = RunStore()
    if address.has("asked"):
        return _asked(store)
    runs = [run.id for run in store.list() if store.snapshots(run.id)]
    asked = address.text("run")
    if address.has("run") and asked not in runs:
        st.error(
            plain(_("There is no run {run!r} with tokens here; choose another.").format(run=asked)),
            icon=":material/error:",
        )
        address.drop("run")
    if not runs:
        st.info(_("No run has kept tokens yet; start one on the Training page."), icon=":material/play_circle:")
        return None
    columns = st.columns([2, 3], vertical_alignment="bottom")
    bind("run", Word(tuple(runs), runs[0]), always=True)
    run = columns[0].selectbox(
        _("Run"), runs, format_func=lambda run: read_label(store, run) or name_of(run), key="run"
    )
    steps = store.snapshots(run)
    step = _step(columns[1], steps)
    kept = store.step_tokens(run, step)
    try:
        files = [Given.of_path(path, path.name) for path in kept.files]
        states = [path.stat().st_mtime_ns for path in kept.files]
    except OSError:
        _step_gone(step)
        return None
    if len(files) == 1 and not kept.missing:  # texts without log-probs can be scored: one file at a time
        return ("run", run, step, *states), lambda: reading_apart(files, disk=True)
    return ("run", run, step, *states), lambda: reading_step(f"step-{step:05d}", files, kept.missing)


def _asked(store: RunStore) -> Opening:
    """What both policies of a run answered to your own prompts: Training, After the run."""
    from sapo_viz.runs.folder.asked import answer_tokens

    run, asked = address.text("run"), address.text("asked")
    address.drop("step")
    try:
        path = answer_tokens(store, run, int(asked) if asked.isdecimal() and len(asked) < 7 else 0)
        state = path.stat()
    except (SapoVizError, OSError) as error:
        st.error(plain(str(error)), icon=":material/error:")
        path = None
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if path is not None:
            st.markdown(_("**Own prompts** to run {run}").format(run=plain(run)), width="content")
        st.button(
            _("Tokens of its training"), icon=":material/play_circle:", on_click=address.drop, args=("asked", "seq")
        )
    if path is None:
        return None
    st.caption(
        _(
            "π_old is the start, π_θ the trained policy. A is +1 for its answer and −1 for the start's, as if the one "
            "were to be learned and the other unlearned."
        )
    )
    given = Given.of_path(path, _("own prompts {n}").format(n=asked) + ".jsonl")
    return ("asked", run, asked, state.st_mtime_ns), lambda: reading_apart([given])


def _step_gone(step: int) -> None:
    """Its files were deleted meanwhile."""
    said = _("Step {step} of this run is no longer there; choose another.").format(step=step)
    st.error(plain(said), icon=":material/error:")


def _step(place: Any, steps: list[int]) -> int:
    """The step bar: previous, one of the run's steps, next. It is kept in the address; the last one at first, the
    nearest for one that is not there."""
    names = tuple(str(step) for step in steps)
    bind("step", _Nearest(names, names[-1]), always=True)
    at = names.index(session.get("step"))

    def turned(label: str, icon: str, to: int) -> None:
        there = 0 <= to < len(names)
        st.button(
            label,
            icon=icon,
            help=label,
            disabled=not there,
            on_click=session.put,
            args=("step", names[to]) if there else (),
            key=f"tokens: {icon}",
        )

    with place:
        if len(names) == 1:
            st.selectbox(_("Step"), names, key="step")
            return steps[0]
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            turned(_("Previous step"), ":material/skip_previous:", at - 1)
            st.select_slider(_("Step"), names, key="step", width="stretch")
            turned(_("Next step"), ":material/skip_next:", at + 1)
    return int(session.get("step"))


class _Nearest(Word):
    """A step of the run; for one that it has not kept the nearest that it has."""

    def read(self, key: str, text: str) -> Read[str | None]:
        if text.isdecimal() and len(text) < 10:
            return Read(min(self.options, key=lambda step: abs(int(step) - int(text))))
        return super().read(key, text)
