"""Outlier tokens: what one strange token costs the rest of its sequence, under each objective."""

import streamlit as st

from sapo_viz.figures.exhibits.outlier import USUAL_OBJECTIVES
from sapo_viz.ui.chooser import choose_objectives
from sapo_viz.ui.exhibits.outlier import left_out, outlier, outlier_choices
from sapo_viz.ui.first import figure_first
from sapo_viz.ui.words import _

st.title(_("What does one outlier token cost its sequence?"))
st.caption(
    _(
        "A sequence of tokens, each with its ratio r. Drag one of them away from 1 and see whether the others still "
        "teach the policy anything."
    )
)

names = choose_objectives(USUAL_OBJECTIVES, outlier_choices(), label_visibility="collapsed")
if not names:
    st.info(_("Choose at least one objective above; what it keeps appears here."), icon=":material/touch_app:")
    st.stop()

outlier(names)
figure_first("outlier")

st.subheader(_("What to notice"))
st.markdown(
    _(
        "- **One switch for all.** GSPO decides by the sequence's ratio $s=\\exp(\\operatorname{mean}\\log r)$. One "
        "outlier moves s for every token, and the good ones go out with it. SAPO decides token by token, and so does "
        "GMPO before it takes its mean: there the outlier alone drops out. *(paper: "
        "[arXiv 2511.20347](https://arxiv.org/abs/2511.20347); the numbers are computed)*\n"
        "- **Where it stops holding.** The loss needs A > 0 with s above the band, or A < 0 with s below it; a short "
        "sequence or a big outlier; and a narrow band. The buttons above the figure take each of these away. "
        "*(computed)*\n"
        "- **What it does not say.** More gradient kept is not more learned: a dropped sequence may have deserved it. "
        "Whether it matters in a run is a question for the Training page.\n"
        "- **How it is counted.** *Gradient kept* is the mean weight over the tokens, $w=c/r$ (c/s where the sequence "
        "has one ratio; GMPO's is the mean of the clipped ones). A token counts as kept when its coefficient is not 0."
    )
)
if left_out():
    st.caption(
        _(
            "Not offered here: {names}. What a token receives there depends on other tokens of the batch, or on a "
            "product of ratios through which the gradient flows."
        ).format(names=left_out())
    )
