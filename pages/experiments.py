"""Experiments: the paper's questions, each a button, and an answer with error bars."""

import streamlit as st

from sapo_viz.ui import address
from sapo_viz.ui.experiments.page import choose_preset, controls, result, runs_of
from sapo_viz.ui.experiments.pair import side_by_side
from sapo_viz.ui.experiments.told import background, questions
from sapo_viz.ui.words import _, declared

st.title(_("Does it hold here? Ask, and count the seeds"))
st.caption(
    _(
        "Each question is a set of small real runs, with the same seeds for every objective. The sentence under it is "
        "made from the numbers alone; what the paper reports stands beside it."
    )
)
asked = address.has("preset")  # a link opens on its own question
if not asked:
    questions()
preset = choose_preset()
st.header(declared(preset.question))
st.caption(declared(preset.conditions))
answer = st.container()  # what is known comes first, how it is asked anew below it
plan = controls(preset)
with answer:
    result(plan)
side_by_side(preset)
background(preset)
runs_of(plan)
if asked:
    st.subheader(_("All questions"))
    questions()
st.caption(
    _(
        "A policy of 75,776 or 125,952 parameters that adds three-digit numbers supports or refutes nothing at the "
        "paper's scale: large vocabularies, long answers, realistic mismatch, large mixtures of experts. Nor does a "
        "language model of 135 million over ten rollouts."
    )
)
