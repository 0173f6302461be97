"""A table of the Tokens page in which choosing a row opens something."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from sapo_viz.ui import session

if TYPE_CHECKING:
    import pandas as pd


def row_table(
    key: str, frame: pd.DataFrame, config: dict[str, Any], choose: Callable[[int], None], *, tallest: int = 320
) -> None:
    """Draw `frame`, up to `tallest` pixels high. `choose` gets the row that was clicked, before the page runs again."""

    def picked() -> None:
        rows = session.sent(key, "selection")["rows"]
        if rows:
            choose(int(rows[0]))

    st.dataframe(
        frame,
        hide_index=True,
        placeholder="–",
        height=min(36 * (len(frame) + 1) + 3, tallest),
        column_config=config,
        key=key,
        on_select=picked,
        selection_mode="single-row",
    )
