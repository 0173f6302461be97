"""Where the tokens are: a Gaussian, or the ratios of a real file or run, to lay under the curves."""

from __future__ import annotations

import contextlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from sapo_viz.errors import RolloutError, SapoVizError
from sapo_viz.paths import ASSETS
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.ui import session
from sapo_viz.ui.address import bind_choice
from sapo_viz.ui.remember import remembered
from sapo_viz.ui.session import OPEN_FILE
from sapo_viz.ui.text import plain
from sapo_viz.ui.uploads import uploaded
from sapo_viz.ui.warm import TABLES
from sapo_viz.ui.words import _

if TYPE_CHECKING:
    from sapo_viz.rollouts.schema import Rollouts

_GAUSSIAN, _OPEN, _OWN = "gaussian", "tokens", "own"
Quantiles = tuple[list[float], int]  # quantiles of log r, and how many tokens there are
_RUNS = 8  # the newest; older ones are opened on the Tokens page
_POINTS = 2000  # quantiles are enough for a picture and a mean; a file may have millions of tokens


def distribution() -> dict[str, Any]:
    """What curves_data takes as `distribution`: what is chosen in `distribution_choice`, or is in the address.

    The last step of a run and the bundled samples are there by name; a file is uploaded for the visit only.
    """
    files, open_file = _files(), session.get(OPEN_FILE)
    bind_choice("ratios", _options(files), _GAUSSIAN)
    chosen = session.get("ratios")
    try:
        if chosen == _OWN:
            upload = session.get("ratios-file")
            if upload is not None:
                return _described(*_of_upload(upload), upload.name)
        elif chosen == _OPEN:
            ratios = remembered("ratios: open", open_file.origin, lambda: _quantiles(open_file.rollouts))
            return _described(*ratios, open_file.rollouts.name)
        elif chosen != _GAUSSIAN:
            return _described(*_of_file(files[chosen], files[chosen].stat().st_mtime_ns), chosen)
    except SapoVizError as error:
        st.error(plain(str(error)), icon=":material/error:")
    except OSError:
        st.error(plain(_("{name} is no longer there; choose another.").format(name=chosen)), icon=":material/error:")
    return dict(label=_GAUSSIAN)


def distribution_choice() -> None:
    """The choice itself. It comes after `distribution`, so that the figure need not wait for its control."""
    open_file = session.get(OPEN_FILE)
    names = {_GAUSSIAN: _("a Gaussian in log r"), _OWN: _("my own file")}
    if open_file:
        names[_OPEN] = _("{name}, open on Tokens").format(name=open_file.rollouts.name)
    chosen = st.selectbox(
        _("Ratios of the tokens"),
        _options(_files()),
        format_func=lambda name: names.get(name, name),
        key="ratios",
        help=_("Drawn in grey under the curves; the share kept and the match of τ and ε are taken over it."),
    )
    if chosen == _OWN:
        st.file_uploader(_("A rollout file: JSON, JSONL, CSV or Parquet"), key="ratios-file")


def _options(files: dict[str, Path]) -> list[str]:
    return [_GAUSSIAN, *([_OPEN] if session.get(OPEN_FILE) else []), *files, _OWN]


def _files() -> dict[str, Path]:
    """The newest runs' last steps and the samples, by the name used in the address."""
    store = RunStore()
    runs: dict[str, Path] = {}
    for summary in store.list()[:_RUNS]:
        with contextlib.suppress(SapoVizError):  # deleted meanwhile: it is not offered, and the page goes on
            if steps := store.snapshots(summary.id):
                runs[f"run {summary.id}"] = store.snapshot_path(summary.id, steps[-1])
    samples = {f"sample {path.stem}": path for path in sorted((ASSETS / "samples").glob("*.jsonl"))}
    return samples | runs


def _described(z: list[float], tokens: int, name: str) -> dict[str, Any]:
    if not z:
        raise RolloutError(f"{name}: no token has mask 1, so there are no ratios; give a file with response tokens.")
    return dict(label=_("{tokens} tokens of {name}").format(tokens=f"{tokens:,}", name=name), z=z)


# Not st.cache_data: to name it is to import pandas, a third of a second before the first curve.
@lru_cache(maxsize=16)
def _of_file(path: Path, modified: int) -> Quantiles:
    TABLES.ready()
    from sapo_viz.rollouts.readers.read import read_rollouts

    return _quantiles(read_rollouts(path))


def _of_upload(upload: Any) -> Quantiles:
    """Read once a visit: the quantiles stay with the session, the file with Streamlit."""
    TABLES.ready()
    from sapo_viz.rollouts.apart.asking import reading_apart
    from sapo_viz.rollouts.readers.formats.pair import both_policies
    from sapo_viz.rollouts.steps import finish

    given = uploaded(upload)
    return remembered("ratios: read", upload.file_id, lambda: _quantiles(both_policies(finish(reading_apart([given])))))


def _quantiles(rollouts: Rollouts) -> Quantiles:
    """Quantiles of log r over the response tokens of a file, and how many tokens there are."""
    import numpy as np

    z = np.sort(rollouts.log_ratio[rollouts.mask])
    picked = z[np.linspace(0, len(z) - 1, min(_POINTS, len(z))).round().astype(int)]
    return picked.round(6).tolist(), len(z)
