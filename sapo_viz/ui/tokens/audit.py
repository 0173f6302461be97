"""Is this run's loss the one it claims? One sentence above the tokens, where the file holds the framework's numbers."""

from __future__ import annotations

import streamlit as st

from sapo_viz.core.objective import Objective
from sapo_viz.rollouts.audit.audit import audit, has_losses
from sapo_viz.rollouts.audit.claim import Claim
from sapo_viz.rollouts.steps import at_once
from sapo_viz.runs.folder.claims import claim_of
from sapo_viz.ui.text import prose
from sapo_viz.ui.tokens.recorded import recorded_for
from sapo_viz.ui.tokens.source import Source
from sapo_viz.ui.words import _
from sapo_viz.ui.work import worked


def audit_view(source: Source, objectives: dict[str, Objective]) -> bool:
    """Green where the loss matches; red with the fault's name where it does not. Returns whether it is wrong."""
    if not has_losses(source.rollouts):
        return False
    claim = claim_for(source)
    others = () if claim else tuple(objectives.values())
    message = _("Computing the framework's loss again…")
    found = worked(
        "audit", (source.origin, others), lambda: at_once(lambda: audit(source.rollouts, claim, others)), message
    )
    text = " ".join(prose(sentence) for sentence in (found.sentence, *found.notes))
    if found.status == "matches":
        with st.container(key="tokens-on-policy" if found.on_policy else "tokens-matches"):  # which can wait (page.css)
            (st.info if found.on_policy else st.success)(text, icon=":material/fact_check:")
    elif found.status == "fault":
        st.error(text, icon=":material/rule:")
    else:
        st.warning(text, icon=":material/rule:")
    return found.status == "fault"


def claim_for(source: Source) -> Claim | None:
    """What the run, or the config beside the file, says that its loss is."""
    recorded = recorded_for(source)
    return None if recorded is None else claim_of(recorded)
