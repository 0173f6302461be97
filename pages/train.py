"""Training: small real runs, and whether they stay stable under one objective or another."""

import streamlit as st

from sapo_viz.runs.presets import PRESETS
from sapo_viz.ui.experiments_told import shipped_answer
from sapo_viz.ui.text import plain
from sapo_viz.ui.train_form import choose_objectives, choose_settings, settings_button
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
st.markdown(
    _(
        "- **Nothing to gate, nothing to choose.** With the settings above as they stand, updates are small: at least "
        "98 % of the gradient is kept. Reward passes 0.9 between steps 17 and 20; mean of the last 10 of 40 steps: "
        "SAPO 0.923 ± 0.022, GRPO 0.935 ± 0.008, no difference beyond seed noise. *(measured here, 2026-11-25: 3 "
        "seeds each, mean ± standard deviation)*\n"
        "- **Where ratios run away.** Plain gradient steps without clipping let single tokens reach ratios of 50 and "
        "more. For A < 0 GRPO's coefficient is then r itself, without a bound; SAPO's stays below 1.6 *(computed; see "
        "Curves)*. Experiments asks what that does to a run, at a learning rate of 0.05: {outlier}\n"
        "- **What the paper says.** It reports improved training stability and higher Pass@1 on mathematical reasoning "
        "under comparable budgets, for models far larger than this one. Nothing this small supports or refutes that. "
        "*(paper: [arXiv 2511.20347](https://arxiv.org/abs/2511.20347))*"
    ).format(outlier=shipped_answer(PRESETS["outlier"]))
)
settings_button(
    _("Set the controls to the second case"), {"optimizer": "sgd", "lr": "0.05", "grad_clip": "0", "steps": "40"}
)
metric_table()
