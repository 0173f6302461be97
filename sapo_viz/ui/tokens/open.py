"""From any view of a file into one of its sequences, or to one token of it."""

from __future__ import annotations

from sapo_viz.ui import session
from sapo_viz.ui.tokens.source import Source
from sapo_viz.ui.tokens.strip import hold_token
from sapo_viz.ui.tokens.which import LOOK, SEQUENCE_OF, show_sequence
from sapo_viz.ui.tools import lead_to_strip


def open_sequence(source: Source, index: int, token: int | None = None) -> None:
    """Show sequence `index` (from 0) and its token (from 0). For callbacks: before the widgets are made."""
    show_sequence(index + 1, len(source.rollouts))
    session.put(SEQUENCE_OF, source.series)
    session.put(LOOK, "sequence")
    hold_token(source.rollouts.name, index, token)
    lead_to_strip()
