"""What a correction for the sampler would do to this file, under the names that frameworks give it."""

from __future__ import annotations

import streamlit as st

from sapo_viz.figures.corrected import corrected_figure
from sapo_viz.rollouts.analysis.corrected import TRL_DEFAULT, USUAL, corrected
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.ui.address import bind_choice
from sapo_viz.ui.text import plain
from sapo_viz.ui.tokens.batch import show
from sapo_viz.ui.tokens.source import Source
from sapo_viz.ui.words import _
from sapo_viz.ui.work import kept

_CHOICE = "correction"  # session, a widget's, and the address


def correction_view(source: Source) -> None:
    """A choice, what it keeps, and the picture of what it drops; nothing without the sampler's log-probs."""
    if not has_sampler(source.rollouts):
        return
    st.subheader(_("What would a correction for the sampler drop?"))
    st.caption(
        _(
            "Another engine drew these tokens. Frameworks weigh them by ρ = π_old/π_sampler, of a token or of a whole "
            "sequence, bounded by truncation or by a mask; the objective then sees the rest."
        )
    )
    bind_choice(_CHOICE, USUAL, TRL_DEFAULT)
    label = st.segmented_control(_("Correction"), list(USUAL), required=True, wrap=True, key=_CHOICE)
    usual = USUAL[label or TRL_DEFAULT]
    found = kept("corrected", (source.origin, usual.label), lambda: corrected(source.rollouts, usual))
    if found is None:
        return
    columns = st.columns(4)
    columns[0].metric(_("Answers dropped whole"), f"{found.sequences_dropped:.1%}")
    columns[1].metric(_("Tokens with weight 0"), f"{found.tokens_dropped:.1%}")
    columns[2].metric(_("Mean weight"), f"{found.weight:.3f}")
    columns[3].metric(_("Effective sample size"), f"{found.ess:.0%}")
    show(corrected_figure(found), "corrected")
    names = "; ".join(f"{framework}: `{name}`" for framework, name in usual.names.items())
    st.caption(f"{plain(_('Its name, with the bounds drawn here.'))} {names}")


def has_sampler(rollouts: Rollouts) -> bool:
    """Whether the file says who drew its tokens."""
    return rollouts.sampler_logprobs is not None
