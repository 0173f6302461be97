"""Training: small real runs, and whether they stay stable under one objective or another."""

import streamlit as st

from sapo_viz.experiments.presets import PRESETS
from sapo_viz.ui.chooser import choose_objectives
from sapo_viz.ui.experiments.told import shipped_answer
from sapo_viz.ui.text import plain
from sapo_viz.ui.training.after import after_runs
from sapo_viz.ui.training.form import choose_settings, settings_button
from sapo_viz.ui.training.launching import show_launch
from sapo_viz.ui.training.live import list_runs, live_runs, metric_table, start
from sapo_viz.ui.training.runs import estimate
from sapo_viz.ui.words import _

st.title(_("Which objective learns, and stays stable?"))
st.caption(
    _(
        "A tiny language model adds numbers and is right one time in four; your own model can answer your own "
        "questions. Reinforcement learning makes it better in front of you, also while this page is closed."
    )
)

controls, figure = st.columns([1, 3], gap="medium")
runs = list_runs()
with controls:
    with st.container(key="train-start"):  # above the settings, on a phone above the figure: a newcomer needs no others
        names = choose_objectives(
            ["sapo", "grpo"], help=_("Each objective chosen here gets runs of its own, on the same prompts.")
        )
        notice, button, hint = st.empty(), st.container(), st.empty()
    with st.container(key="train-settings"):
        plan = choose_settings(names)
    if plan.warning:
        notice.warning(plain(plan.warning), icon=":material/warning:")
    button.button(
        _("Start training"),
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        disabled=not plan.configs,
        on_click=start,
        args=(plan.configs, plan.table),
    )
    if plan.configs and plan.configs[0].engine == "trl":
        show_launch(plan.configs[0])
    hint.caption(estimate(plan.configs, runs) if plan.configs else plain(plan.error))
with figure:
    live_runs(runs)
    after_runs(runs)

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
