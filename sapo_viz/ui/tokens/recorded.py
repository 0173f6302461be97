"""What a recorder wrote beside the tokens that are shown: which loss the run trains with, how long answers may be."""

from __future__ import annotations

from sapo_viz.errors import SapoVizError
from sapo_viz.paths import ASSETS, data_dir
from sapo_viz.rollouts.apart.folder import inside
from sapo_viz.runs.folder.claims import recorded_beside
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.recorded import Recorded
from sapo_viz.ui.tokens.source import Source


def recorded_for(source: Source) -> Recorded | None:
    """Of the run, or in the config beside the file; None where no recorder wrote it."""
    kind, name = source.origin[0], source.origin[1]
    try:
        if kind == "run":
            return RunStore().recorded(name)
        if kind == "sample":
            return recorded_beside(ASSETS / "samples" / name)
        root = data_dir()
        if kind == "folder" and root is not None:
            return recorded_beside(root / name if name.endswith("/") else inside(root, name))
    except (SapoVizError, OSError):  # deleted meanwhile
        pass
    return None


def cap_of(source: Source) -> int:
    """Response tokens that an answer may have, where the run has told; else 0."""
    recorded = recorded_for(source)
    return recorded.cap if recorded else 0
