"""Where the tokens are: a Gaussian, or the ratios of a real file or run, to lay under the curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from sapo_viz.figures.assets import ASSETS
from sapo_viz.ui.state import url_choice
from sapo_viz.ui.words import _

_POINTS = 2000  # quantiles are enough for a picture and a mean; a file may have millions of tokens


def distribution_choice() -> dict[str, Any]:
    """A choice on the page, kept in the address as `ratios`; what curves_data takes as `distribution`."""
    samples = {path.stem: path for path in sorted((ASSETS / "samples").glob("*.jsonl"))}
    url_choice("ratios", ["gaussian", *samples], "gaussian")
    chosen = st.selectbox(
        _("Ratios of the tokens"),
        ["gaussian", *samples],
        format_func=lambda name: _("a Gaussian in log r") if name == "gaussian" else _("sample: {n}").format(n=name),
        key="ratios",
        help=_("Drawn in grey under the curves; the share kept and the match of τ and ε are taken over it."),
    )
    if chosen == "gaussian":
        return dict(label="gaussian")
    z, tokens = _quantiles(samples[chosen])
    return dict(label=_("{tokens} tokens of {name}").format(tokens=f"{tokens:,}", name=chosen), z=z)


@st.cache_data(show_spinner=False)
def _quantiles(path: Path) -> tuple[list[float], int]:
    """Quantiles of log r over the response tokens of a file, and how many tokens there are."""
    import numpy as np

    from sapo_viz.rollouts.read import read_rollouts

    rollouts = read_rollouts(path)
    z = np.sort(rollouts.log_ratio[rollouts.mask])
    picked = z[np.linspace(0, len(z) - 1, min(_POINTS, len(z))).round().astype(int)]
    return picked.round(6).tolist(), len(z)
