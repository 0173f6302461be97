"""The command that trains the run of the form on several GPUs or machines, to copy."""

from __future__ import annotations

import streamlit as st

from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.exports.launch import PLACES, launch_command
from sapo_viz.ui.text import plain
from sapo_viz.ui.words import _


def show_launch(config: RunConfig) -> None:
    """Where engine trl is chosen: Start trains in one process here, and each of these in a terminal."""
    names = {
        "one": _("One GPU"),
        "several": _("Several GPUs of one machine"),
        "machines": _("Several machines"),
        "fsdp": _("Weights sharded over GPUs: FSDP"),
        "deepspeed": _("Weights sharded over GPUs: DeepSpeed"),
    }
    with st.expander(_("On more than one device"), icon=":material/lan:"):
        where = st.selectbox(_("Train on"), PLACES, format_func=names.__getitem__, key="launch-where")
        st.code(launch_command(config, where), language="bash", wrap_lines=True)
        if where == "machines":
            said = _("On each machine, with its own --machine_rank; HOST is the first one's address.")
        elif where in ("fsdp", "deepspeed"):
            said = _("train.py is the run's export to TRL, with TRL's own loss: Export in the row of a run.")
        else:
            said = _(
                "The run appears in the table if SAPO_VIZ_RUNS_DIR, or the folder it is started in, is this app's."
            )
        st.caption(plain(said))
