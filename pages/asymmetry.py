"""Asymmetric temperatures: where the push of a bad update lands, and what τ₋ changes."""

import streamlit as st

from sapo_viz.ui.exhibits.asymmetry import asymmetry
from sapo_viz.ui.first import figure_first
from sapo_viz.ui.words import _

st.title(_("Where does the push of a bad update land?"))
st.caption(
    _(
        "One sampled token y, one update: good news (A = +1) or bad news (A = −1). A softmax gives with one hand what "
        "it takes with the other. Drag the size of the vocabulary, the ratio, and τ₋."
    )
)

asymmetry()
figure_first("asymmetry")

st.subheader(_("What to notice"))
st.markdown(
    _(
        "- **The formula.** With w from SAPO at τ₊ or τ₋, "
        "$\\partial(\\log\\pi(y)\\,A\\,w)/\\partial\\,\\text{logit}_v=(1-\\pi(y))\\,A\\,w$ for the sampled token and "
        "$-\\pi(v)\\,A\\,w$ for every other one. *(paper: [arXiv 2511.20347](https://arxiv.org/abs/2511.20347))* The "
        "surrogate's own gradient carries r·w; the switch *Scaled by* shows it.\n"
        "- **The paper's argument.** Bad news lifts every unsampled logit, and in a large vocabulary most of them are "
        "irrelevant; that is noise that can unsettle training, so negative updates should fade sooner: τ₋ = 1.05 "
        "against τ₊ = 1.0. *(paper)*\n"
        "- **What the picture says.** The total on unsampled tokens is $(1-\\pi(y))\\,|A|\\,w$ *whatever the "
        "vocabulary*; good and bad updates are mirror images of the same size; and at the paper's values τ₋ takes off "
        "0.1 % at r = 1.2, nothing at r = 1. *(computed)*\n"
        "- **What it does not say.** It is one step at one position. Direction differs: good news concentrates, bad "
        "news spreads, and steps add up through shared weights and the optimiser, where thin noise may or may not "
        "average out. Only runs can tell, and few of them can fool: with plain gradient steps and no clipping, the "
        "first four seeds put τ₋ = 0.95 above 1.05 by 0.18 (95 % interval 0.10 to 0.26); all eight, measured again on "
        "another processor, put 1.05 above 0.95 by 0.18 (−0.05 to 0.40): no difference beyond seed noise. An earlier "
        "policy was fooled the other way: 1.05 gained 0.26 over seeds 1–4 and lost 0.14 over 9–14. *(measured here, "
        "2026-11-22 and 2026-11-25: Experiments, τ₋ above or below τ₊; and when this project was designed)*"
    )
)
