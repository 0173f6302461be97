"""Waiting for a worker's job (models/jobs.py): how far it has got, how long it will take, and a way to stop it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from sapo_viz.models.jobs import Job, JobState
from sapo_viz.ui.text import plain
from sapo_viz.ui.words import _


def is_done(job: Job, words: Callable[[JobState], str], *, key: str, cancelled: str) -> bool:
    """Whether it is; if not, its way or its end is shown.

    Args:
        words: what it is at, once it has begun.
        key: of the button that cancels it.
        cancelled: what is said then.
    """
    state = job.wait(0.5)
    match state.status:
        case "done":
            return True
        case "failed":
            st.error(plain(state.message), icon=":material/error:")
        case "cancelled":
            st.info(cancelled, icon=":material/cancel:")
        case _:
            _watch(job, words, key)
    return False


@st.fragment(run_every=0.5)
def _watch(job: Job, words: Callable[[JobState], str], key: str) -> None:
    """Twice a second. When the job is over the whole page runs again and shows what came of it."""
    state = job.state
    if state.over:
        st.rerun()
    left, right = st.columns([5, 1], vertical_alignment="center")
    left.progress(state.share, text=plain(words(state) if state.status == "running" else _waiting(state)))
    if right.button(_("Cancel"), icon=":material/cancel:", key=key, width="stretch"):
        job.cancel()
        st.rerun()


def duration(seconds: float) -> str:
    if seconds < 60:
        return _("{n} s").format(n=round(seconds))
    minutes = round(seconds / 60)
    return _("{n} min").format(n=minutes) if minutes < 60 else _("{n} h").format(n=round(minutes / 60, 1))


def _waiting(state: JobState) -> str:
    return _("Waiting: {count} ahead of it.").format(count=state.ahead) if state.ahead else _("Starting…")
