"""Training: small real runs, and whether they stay stable under one objective or another."""

import streamlit as st

from sapo_viz.ui.text import plain
from sapo_viz.ui.train_form import choose_objectives, choose_settings
from sapo_viz.ui.train_live import list_runs, live_runs, metric_table, start
from sapo_viz.ui.train_runs import estimate
from sapo_viz.ui.words import _

st.title(_("Which objective learns, and stays stable?"))
st.caption(
    _(
        "A tiny language model adds three-digit numbers and is right about one time in four. Reinforcement learning "
        "makes it better in front of you, on this machine; the runs go on when this page is closed."
    )
)

controls, figure = st.columns([1, 3], gap="medium")
runs = list_runs()
with controls:
    names = choose_objectives()
    button, hint = st.container(), st.empty()  # above the settings: a newcomer needs none of them
    plan = choose_settings(names)
    button.button(
        _("Start training"),
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        disabled=not plan.configs,
        on_click=start,
        args=(plan.configs,),
    )
    hint.caption(estimate(plan.configs, runs) if plan.configs else plain(plan.error))
with figure:
    live_runs(runs)

st.subheader(_("What to notice"))
st.markdown(_("- to be written"))
metric_table()
