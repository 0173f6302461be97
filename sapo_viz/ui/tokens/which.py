"""Which sequence of the file is shown: previous, number, next."""

from __future__ import annotations

import numpy as np
import streamlit as st

from sapo_viz.rollouts.analysis.analyse import Analysis
from sapo_viz.ui import address, session
from sapo_viz.ui.tokens.source import Source
from sapo_viz.ui.words import _

LOOK = "look"  # session, a widget's, and the address: which view
SEQUENCE = "tokens: sequence"  # session, a widget's: number of the shown sequence, from 1
SEQUENCE_OF = "tokens: sequence of"  # session: the series of sources that the number belongs to


def choose_sequence(source: Source, analysis: Analysis) -> int:
    """Previous, number, next; the number is in the address. Returns the index, from 0.

    A file opens at the sequence with the largest Var z among those with a gradient: there is most to see.
    """
    total, usual = len(source.rollouts), _liveliest(analysis)
    # Another view was open meanwhile: Streamlit forgets a widget that is not shown, the address does not.
    back = session.get(SEQUENCE_OF) == source.series and not session.has(SEQUENCE)
    if back or session.get(SEQUENCE_OF) != source.series:
        asked = address.text("seq", "") if back or not session.has(SEQUENCE_OF) else ""
        show_sequence(int(asked) if asked.isdecimal() and len(asked) < 10 else usual, total)
        session.put(SEQUENCE_OF, source.series)
    session.put(SEQUENCE, min(max(1, int(session.get(SEQUENCE) or 1)), total))
    if total == 1:
        address.drop("seq")
        return 0
    with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content", key="which-sequence"):
        now = session.get(SEQUENCE)
        st.button(
            _("Previous"),
            icon=":material/chevron_left:",
            disabled=now <= 1,
            on_click=lambda: show_sequence(now - 1, total),
        )
        st.number_input(
            _("Sequence, of {n:,}").format(n=total), 1, total, key=SEQUENCE, width=120, label_visibility="collapsed"
        )
        st.markdown(_("of {n:,}").format(n=total), width="content")
        st.button(
            _("Next"),
            icon=":material/chevron_right:",
            icon_position="right",
            disabled=now >= total,
            on_click=lambda: show_sequence(now + 1, total),
        )
    index = int(session.get(SEQUENCE)) - 1
    if index + 1 == usual:  # without it a visit is one entry in the browser's history, not two
        address.drop("seq")
    else:
        address.put("seq", str(index + 1))
    return index


def _liveliest(analysis: Analysis) -> int:
    spread = np.nan_to_num(analysis.variance, nan=0.0, posinf=0.0)
    signal = analysis.ratios.advantage != 0
    return int(np.argmax(np.where(signal, spread, -1.0))) + 1


def show_sequence(number: int, total: int) -> None:
    """Sequence `number`, from 1, or the nearest that there is. For callbacks: before the widgets are made."""
    session.put(SEQUENCE, min(max(1, number), total))
