"""Pictures in prompts on a page."""

from __future__ import annotations

import base64
import random

import streamlit as st

from sapo_viz.figures.picture import picture_svg
from sapo_viz.models.tasks import PICTURE, Task, occupied
from sapo_viz.ui.words import _

_EXAMPLES = 4
_SLIPS = (0.0, 0.1)  # of the cells, in turns


def picture_label() -> str:
    """What a picture is called for those who cannot see it; {cells} stands for those that are occupied."""
    return _("Picture of 4 × 4 cells; occupied: {cells}")


def show_picture(prompt: str) -> None:
    """The picture that a prompt's text tells of; nothing without one."""
    picture = picture_svg(prompt)
    if picture is not None:
        st.image(picture, width=64, alt=picture_label().format(cells=", ".join(occupied(prompt) or ())))


def without_picture(prompt: str) -> str:
    """The prompt with a mark where its picture is, as readers mark the images of messages."""
    return PICTURE.sub("⟨image⟩", prompt)


def show_pictured(task: Task, seed: int) -> None:
    """The first prompts of a run with this seed, each with an answer and what that earns: right ones, and such as the
    warm start's teacher gave."""
    rng = random.Random(f"{seed}/1")
    prompts = task.sample_prompts(_EXAMPLES, rng)
    answers = [task.teacher(prompt, rng, _SLIPS[place % 2]) for place, prompt in enumerate(prompts)]
    picture, said, earned = _("Picture"), _("Answer"), _("Earns")
    st.dataframe(
        [
            {picture: _data_url(prompt), said: answer, earned: task.reward(prompt, answer)}
            for prompt, answer in zip(prompts, answers, strict=True)
        ],
        column_config={
            picture: st.column_config.ImageColumn(width=68),
            said: st.column_config.TextColumn(width=165),
            earned: st.column_config.NumberColumn(width=64),
        },
        hide_index=True,
        row_height=44,
    )


def _data_url(prompt: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode((picture_svg(prompt) or '').encode()).decode()}"
