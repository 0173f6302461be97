"""From any view of a file into one of its sequences, or to one token of it."""

from __future__ import annotations

import streamlit as st

from sapo_viz.ui.tokens_source import Source
from sapo_viz.ui.tokens_strip import hold_token

SEQUENCE = "tokens: sequence"  # session, a widget's: number of the shown sequence, from 1
SEQUENCE_OF = "tokens: sequence of"  # session: the origin that the number belongs to
LOOK = "look"  # session, a widget's, and the address: which view


def open_sequence(source: Source, index: int, token: int | None = None) -> None:
    """Show sequence `index` (from 0) and its token (from 0). For callbacks: before the widgets are made."""
    st.session_state[SEQUENCE] = index + 1
    st.session_state[SEQUENCE_OF] = source.origin
    st.session_state[LOOK] = "sequence"
    hold_token(source.rollouts.name, index, token)


def picked_row(key: str) -> int | None:
    """The row that was chosen in the dataframe `key`, if one was."""
    rows = st.session_state[key]["selection"]["rows"]
    return int(rows[0]) if rows else None
