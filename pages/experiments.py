"""Experiments: the paper's questions, each a button, and an answer with error bars."""

import streamlit as st

from sapo_viz.ui.experiments import choose_preset, controls, result, runs_of
from sapo_viz.ui.experiments_pair import side_by_side
from sapo_viz.ui.experiments_told import at_a_glance, background
from sapo_viz.ui.words import _

st.title(_("Does it hold here? Ask, and count the seeds"))
st.caption(
    _(
        "Each question is a set of small real runs, with the same seeds for every objective. The sentence under it is "
        "made from the numbers alone; what the paper reports stands beside it."
    )
)
preset = choose_preset()
st.header(_(preset.question))
st.caption(_(preset.conditions))
plan = controls(preset)
result(plan)
side_by_side(preset)
background(preset)
runs_of(plan)
at_a_glance()
st.caption(
    _(
        "A policy of 75,776 or 125,952 parameters that adds three-digit numbers supports or refutes nothing at the "
        "paper's scale: large vocabularies, long answers, realistic mismatch, large mixtures of experts."
    )
)
