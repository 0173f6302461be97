"""A Plotly figure on a page: the one place that shows one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from sapo_viz.figures.vendor import CONFIG

if TYPE_CHECKING:
    import plotly.graph_objects as go


def plot(figure: go.Figure, key: str, alt: str) -> None:
    st.plotly_chart(figure, key=key, alt=alt, config=CONFIG)
