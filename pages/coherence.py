"""Sequence coherence: when do token gates act like one gate on the sequence, and does the bound hold?"""

import streamlit as st

from sapo_viz.ui.exhibits.coherence import choose_sequences, coherence
from sapo_viz.ui.first import figure_first
from sapo_viz.ui.words import _

st.title(_("Do token gates act like one gate on the sequence?"))
st.caption(
    _(
        "SAPO dims tokens one by one, yet the paper calls it coherent with the sequence: the mean of the token gates "
        "is close to one gate at s. D is how far the two differ. Drag τ, or the spread of the ratios."
    )
)

coherence(choose_sequences())
figure_first("coherence")

st.subheader(_("What to notice"))
st.markdown(
    _(
        "- **Two assumptions.** A1: log-ratios are small. A2: they spread little inside a sequence. Then "
        "$\\operatorname{mean}_t\\operatorname{sech}^2(\\tau z_t/2)\\approx\\operatorname{sech}^2(\\tau\\log s_i/2)$ "
        "with $D_i\\le\\tfrac{\\tau^2}{4}\\operatorname{Var}_i$. *(paper: "
        "[arXiv 2511.20347](https://arxiv.org/abs/2511.20347))*\n"
        "- **For the gate in log r the line always holds.** With $z=\\log r$ it is Taylor's theorem, whatever the size "
        "of z. *(computed: no draw has crossed it)*\n"
        "- **For the gate in r, the one that is trained, it need not.** There $\\operatorname{sech}^2(\\tau(r-1)/2)$ "
        "has r − 1 for log r; where s is above 1 this gate bends faster, and sequences cross the line: by about "
        "2.9 times on random input. *(computed)*\n"
        "- **What it does not say.** Being above the line does no harm by itself: it means that the simple formula "
        "no longer describes how the gate acts on that sequence."
    )
)
