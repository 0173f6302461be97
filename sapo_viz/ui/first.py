"""What you see first is drawn first."""

from __future__ import annotations

import time

from sapo_viz.ui import session

_SECONDS = 0.35  # about what a browser takes from the figure's data to its picture, on a slow machine


def figure_first(key: str) -> None:
    """Once per visit, hold back what is below the fold until the browser has drawn what lies above it.

    Streamlit sends elements as the script makes them. Formulas and links arriving beside the figure would
    keep the browser's one thread busy for a quarter of a second before the first curve.
    """
    if not session.has(f"{key}@drawn"):
        session.put(f"{key}@drawn", True)
        time.sleep(_SECONDS)
