"""What a correction for the sampler would do to this file, under the names that frameworks give it."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from sapo_viz.core.correction_choices import TRL_DEFAULT, USUAL
from sapo_viz.figures.corrected import corrected_figure
from sapo_viz.figures.correction import correction_words
from sapo_viz.rollouts.analysis.corrected import corrected
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.ui.correction import correction_chosen, correction_in_force, correction_inputs
from sapo_viz.ui.text import plain
from sapo_viz.ui.tokens.batch import show
from sapo_viz.ui.tokens.source import Source
from sapo_viz.ui.words import _
from sapo_viz.ui.work import kept


def correction_view(source: Source) -> None:
    """A choice, what it keeps, and the picture of what it drops; nothing without the sampler's log-probs."""
    if not has_sampler(source.rollouts):
        if correction_in_force() is not None:  # a link from the curves asks for the picture
            said = _("To see which answers a correction drops, open a file that has them beside old_logprobs.")
            st.caption(plain(f"{correction_words(_)['none']} {said}"))
        return
    st.subheader(_("What would a correction for the sampler drop?"))
    st.caption(
        _(
            "Another engine drew these tokens. Frameworks weigh them by ρ = π_old/π_sampler, of a token or of a whole "
            "sequence, bounded by truncation or by a mask; that weight multiplies what the objective keeps."
        )
    )
    correction_inputs()
    chosen = correction_in_force()
    usual = USUAL[TRL_DEFAULT]
    if chosen is None:
        st.caption(_("Nothing is corrected here. The picture is of TRL's default, {name}.").format(name=TRL_DEFAULT))
    else:
        usual = replace(USUAL[str(correction_chosen()["choice"])], correction=chosen)
    found = kept("corrected", (source.origin, usual), lambda: corrected(source.rollouts, usual))
    if found is None:
        return
    columns = st.columns(4)
    columns[0].metric(_("Answers dropped whole"), f"{found.sequences_dropped:.1%}")
    columns[1].metric(_("Tokens with weight 0"), f"{found.tokens_dropped:.1%}")
    columns[2].metric(_("Mean weight"), f"{found.weight:.3f}")
    columns[3].metric(_("Effective sample size"), f"{found.ess:.0%}")
    show(corrected_figure(found), "corrected")
    names = "; ".join(f"{framework}: `{name}`" for framework, name in usual.names.items())
    st.caption(f"{plain(_('Its name, with the bounds that are usual there.'))} {names}")


def has_sampler(rollouts: Rollouts) -> bool:
    """Whether the file says who drew its tokens."""
    return rollouts.sampler_logprobs is not None
