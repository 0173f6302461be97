"""A table to download: a button that writes it as CSV when it is pressed."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from sapo_viz.rollouts.csv_text import csv_bytes


def csv_button(label: str, frame: pd.DataFrame, name: str, key: str) -> None:
    st.download_button(
        label,
        lambda: csv_bytes(frame),
        file_name=name,
        mime="text/csv",
        icon=":material/download:",
        key=key,
        on_click="ignore",
    )
