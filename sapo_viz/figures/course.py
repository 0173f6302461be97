"""Where along a sequence, and at which step, the two policies of a file differ; with it entropy and length by step."""

from __future__ import annotations

import numpy as np

from sapo_viz.figures.batch import GREY, Picture, finished
from sapo_viz.figures.blank import blank_figure
from sapo_viz.rollouts.analysis.over_steps import Course

_HEIGHT = 170  # pixels of a panel


def course_figure(course: Course) -> Picture:
    """k3 by place in the sequence; below it k3, entropy and length by step where the file has several."""
    ends = np.append(course.first[1:] - 1, -1)[: len(course.first)]
    places = [f"{a}" if a == b else f"{a}–{b}" if b > 0 else f"{a} on" for a, b in zip(course.first, ends, strict=True)]
    panels = [("k3 a token", places, course.k3_at, "place in the sequence")]
    if len(course.steps):
        steps = [f"{step}" for step in course.steps]
        panels += [
            ("k3 a token", steps, course.k3, "step"),
            ("mean −log π_old", steps, course.entropy, "step"),
            ("tokens an answer", steps, course.length, "step"),
        ]
    figure = blank_figure()
    room = 1 / len(panels)
    layout = {}
    for number, (name, x, y, below) in enumerate(panels, 1):
        n = "" if number == 1 else str(number)
        figure.add_scatter(
            x=x, y=y, xaxis=f"x{n}", yaxis=f"y{n}", name=name, showlegend=False, mode="lines+markers",
            line=dict(color=GREY, width=2), hovertemplate=f"{below} %{{x}}: %{{y:.3g}}<extra></extra>",
        )  # fmt: skip
        top = 1 - (number - 1) * room
        layout[f"xaxis{n}"] = dict(title_text=below, type="category", anchor=f"y{n}", nticks=12)
        layout[f"yaxis{n}"] = dict(
            title_text=name, domain=[top - room * (0.62 if len(panels) > 1 else 1), top], rangemode="tozero",
            anchor=f"x{n}", exponentformat="power",
        )  # fmt: skip
    figure.update_layout(**layout)
    takeaway = _takeaway(course, places)
    said = "; ".join(
        f"{name} by {below}: " + ", ".join(f"{a} {b:.2g}" for a, b in list(zip(x, y, strict=True))[:24])
        for name, x, y, below in panels
    )
    return finished(figure, takeaway, f"{takeaway} {said}.", height=_HEIGHT * len(panels))


def _takeaway(course: Course, places: list[str]) -> str:
    if not places:
        return "No response token has log-probs of both policies that can be compared."
    if not course.k3_at.any():
        return "The two policies agree on every response token."
    sure = np.where(course.tokens_at >= 50, course.k3_at, -1.0)  # a handful of tokens is no place of its own
    worst = int(np.argmax(sure if (sure >= 0).any() else course.k3_at))
    mean = float(course.k3_at @ course.tokens_at / course.tokens_at.sum())
    text = f"The two policies differ most at tokens {places[worst]}: k3 = {course.k3_at[worst]:.2g}, {mean:.2g} in all"
    if course.k3_at[worst] < 2 * mean:
        text = f"Along the sequences the two policies differ about alike: k3 = {mean:.2g}"
    if len(course.steps):
        at = int(np.argmax(course.k3))
        return f"{text}; by step at step {course.steps[at]}: {course.k3[at]:.2g}."
    return text + "."
