"""Curves: what an objective does to a token, as a function of its ratio."""

import streamlit as st

from sapo_viz.figures.curves import QUANTITIES, RatioAxis
from sapo_viz.ui.address import bind_choice
from sapo_viz.ui.chooser import choose_objectives
from sapo_viz.ui.correction import say_what_is_unknown
from sapo_viz.ui.curves.distribution import distribution, distribution_choice
from sapo_viz.ui.curves.panels import curves
from sapo_viz.ui.exhibits.shared import exhibit_links
from sapo_viz.ui.first import figure_first
from sapo_viz.ui.reference.formulas import formula_cards
from sapo_viz.ui.words import _, declared

st.title(_("What does an objective do to a token?"))
st.caption(
    _(
        "The ratio r says how much likelier the token has become since it was sampled. The advantage A says whether "
        "that is good news. Drag a knob and watch how much of the token's gradient is kept."
    )
)

with st.container(horizontal=True, vertical_alignment="top", gap="small", key="curves-controls"):
    names = choose_objectives(["sapo", "grpo"])
    bind_choice("show", QUANTITIES, ["surrogate", "weight"])
    rows = st.pills(
        _("Show"),
        list(QUANTITIES),
        selection_mode="multi",
        wrap=True,
        format_func=lambda row: declared(QUANTITIES[row]),
        key="show",
    )
    bind_choice("axis", ["linear", "log"], "linear")
    kind = st.segmented_control(_("Ratio axis"), ["linear", "log"], required=True, wrap=True, key="axis")
    ratios = st.container(width=230)  # filled when the figure is on its way

rows = [row for row in QUANTITIES if row in rows] or ["weight"]
if not names:
    st.info(_("Choose at least one objective above; its curves appear here."), icon=":material/touch_app:")
    st.stop()

say_what_is_unknown()
values = curves(
    "curves",
    names,
    rows=rows,
    signs=[1, -1],
    axis=RatioAxis.of(kind),
    alt=_("Curves against the ratio, for positive and negative advantage, of"),
    distribution=distribution(),
)
figure_first("curves")
with ratios:
    distribution_choice()

st.subheader(_("What to notice"))
st.markdown(
    _(
        "- **The dimmer and the switch.** GRPO's weight is 1 up to the edge of its band and 0 beyond; SAPO's falls "
        "smoothly, $w=\\operatorname{sech}^2(\\tau(r-1)/2)$, to one half at $|r-1|=1.763/\\tau$. *(computed)*\n"
        "- **Both sides.** SAPO also dims moves that *correct* the policy (A > 0 with r < 1, A < 0 with r > 1), where "
        "GRPO keeps full weight, and for A < 0 GRPO has no upper bound at all: show *coefficient r·w*. *(computed)*\n"
        "- **Asymmetry.** The paper sets τ₋ a little above τ₊, so that negative updates fade sooner. "
        "*(paper: [arXiv 2511.20347](https://arxiv.org/abs/2511.20347))*"
    )
)
formula_cards(names, values)
exhibit_links()
