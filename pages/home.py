"""Home: what this is, in one screen. The dimmer and the switch, live, and the four doors."""

import streamlit as st

from sapo_viz.figures.curves import RatioAxis
from sapo_viz.ui.curves.panels import curves
from sapo_viz.ui.curves.real import real_ratios
from sapo_viz.ui.exhibits.shared import exhibit_links
from sapo_viz.ui.nav import page_file
from sapo_viz.ui.words import _

st.title(_("The dimmer and the switch"))
st.markdown(
    _(
        "A language model learns from its own samples, and each token's gradient is scaled by how far the policy has "
        "moved since it was sampled: the ratio r. **GRPO** switches a token off when r leaves a band. **SAPO** dims "
        "it. Drag τ₊ and ε and watch what happens to the weight of a token with positive advantage."
    )
)
curves(
    "home",
    ["sapo", "grpo"],
    rows=["weight"],
    signs=[1],
    axis=RatioAxis(lo=0.0, hi=3.0),
    alt=_("Gate weight against the ratio for positive advantage:"),
    readout=False,
    compact=True,
    only_knobs={"sapo": ["tau_pos"], "grpo": ["eps_high"]},
    height=270,
    distribution=real_ratios(),
)

doors = [
    (
        "curves",
        _("Curves"),
        ":material/show_chart:",
        _("Every objective under your hand: surrogate, weight and coefficient for both signs of the advantage."),
    ),
    (
        "tokens",
        _("Tokens"),
        ":material/segment:",
        _("Read a real model's sentences, or a file of your own run: which tokens each objective keeps, dims or cuts."),
    ),
    (
        "train",
        _("Training"),
        ":material/play_circle:",
        _("Start a small real fine-tuning run, watch it learn in seconds, and look into any step's tokens."),
    ),
    (
        "experiments",
        _("Experiments"),
        ":material/science:",
        _("Put the paper's claims to the test, with seeds and error bars: the answer is made from the numbers."),
    ),
]
for column, (page, name, icon, text) in zip(st.columns(len(doors)), doors, strict=True):
    with column.container(border=True, height="stretch"):
        st.page_link(page_file(page), label=f"**{name}**", icon=icon)
        st.markdown(text)
exhibit_links()
st.caption(
    _(
        "SAPO: Soft Adaptive Policy Optimization, [arXiv 2511.20347](https://arxiv.org/abs/2511.20347). This app does "
        "not say that SAPO wins: it states what the paper claims, what was measured here, and where the two differ."
    )
)
