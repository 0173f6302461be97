"""The figures of a file: every one has units, a takeaway that its numbers bear out, and words for who cannot see it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sapo_viz import CATALOG
from sapo_viz.figures.batch import (
    Picture,
    group_figure,
    kept_curve_figure,
    kept_figure,
    ratio_figure,
    sequence_ratio_figure,
    variance_figure,
)  # fmt: skip
from sapo_viz.figures.course import course_figure
from sapo_viz.figures.palette import style_of
from sapo_viz.rollouts.analysis.analyse import analyse
from sapo_viz.rollouts.analysis.facts import gather
from sapo_viz.rollouts.analysis.fit import kept_curve, match
from sapo_viz.rollouts.analysis.groups import completion_table
from sapo_viz.rollouts.analysis.over_steps import course
from tests.rollouts.made import rollouts

CALM = rollouts()
WILD = rollouts(logprobs=np.minimum(CALM.old_logprobs + 8 * (CALM.logprobs - CALM.old_logprobs), 0.0))
OBJECTIVES = {name: CATALOG[name]() for name in ("sapo", "grpo", "gspo")}
ANALYSIS = analyse(WILD, OBJECTIVES)
CURVE = kept_curve(WILD, "sapo", "tau_neg", -1)
FOUND = match(WILD, CATALOG["grpo"](), "sapo", -1)

PICTURES: dict[str, Picture] = {
    "ratios": ratio_figure(ANALYSIS),
    "ratios, linear": ratio_figure(ANALYSIS, log_counts=False),
    "sequence ratios": sequence_ratio_figure(ANALYSIS),
    "variance": variance_figure(ANALYSIS),
    "kept": kept_figure(ANALYSIS),
    "knob": kept_curve_figure(CURVE),
    "knob with match": kept_curve_figure(CURVE, FOUND),
    "group": group_figure(completion_table(WILD, 0, ANALYSIS), "0"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_has_title_axis_and_words(name: str) -> None:
    picture = PICTURES[name]
    layout = picture.figure.layout
    assert layout.title.text.replace("<br>", " ") == picture.takeaway
    assert picture.takeaway in picture.alt and len(picture.alt) > len(picture.takeaway)
    assert [axis.title.text for axis in picture.figure.select_xaxes()].count(None) < len(
        list(picture.figure.select_xaxes())
    )
    assert max(len(line) for line in layout.title.text.split("<br>")) <= 46, "a line is wider than a phone"
    assert layout.paper_bgcolor == "rgba(0,0,0,0)"
    picture.figure.to_json()


def test_objectives_have_their_colour_and_dash() -> None:
    for name in ("ratios", "sequence ratios"):
        for trace in PICTURES[name].figure.data:
            if trace.type == "scatter":
                style = style_of(trace.legendgroup)
                assert (trace.line.color, trace.line.dash) == (style.color, style.dash)


def test_the_histogram_counts_every_token_of_a_sign() -> None:
    bars = [trace for trace in PICTURES["ratios"].figure.data if trace.type == "bar"]
    assert len(bars) == 2
    told = [int(n.replace(",", "")) for n in re.findall(r"A [<>] 0: ([\d,]+) tokens", PICTURES["ratios"].alt)]
    assert told == [int((WILD.advantages > 0).sum()), int((WILD.advantages < 0).sum())]


def test_the_takeaways_are_true() -> None:
    half = float(re.search(r"±([\d.e-]+)\.", PICTURES["ratios"].takeaway)[1])  # type: ignore[index]
    z = np.abs(WILD.log_ratio)
    assert (z <= half).mean() == pytest.approx(0.9, abs=0.06)
    log_s = ANALYSIS.log_s
    inside = int(((log_s >= np.log1p(-3e-4)) & (log_s <= np.log1p(4e-4))).sum())
    assert PICTURES["sequence ratios"].takeaway == f"{inside} of 64 sequences lie inside the band of GSPO."
    shares = {key: ANALYSIS.share(key).kept for key in OBJECTIVES}
    assert PICTURES["kept"].takeaway.startswith(CATALOG[max(shares, key=lambda key: shares[key])].label)
    assert f"τ₋ = {FOUND.value:.3g}" in PICTURES["knob with match"].takeaway


def test_a_match_that_is_not_there_is_not_drawn() -> None:
    none = match(WILD, CATALOG["unclipped"](), "sapo", -1)
    picture = kept_curve_figure(CURVE, none)
    assert not none.found and "no τ₋ of SAPO" in picture.takeaway
    assert "match, 95 % interval" not in [trace.name for trace in picture.figure.data]


def test_empty_and_still_files_can_be_drawn() -> None:
    still = analyse(rollouts(logprobs=CALM.old_logprobs, advantages=np.zeros(len(CALM.mask))), OBJECTIVES)
    for figure in (ratio_figure, sequence_ratio_figure, variance_figure, kept_figure):
        assert figure(still).figure.to_json()
    assert "no gradient" in kept_figure(still).takeaway
    masked = analyse(rollouts(mask=np.zeros(len(CALM.mask), bool)), OBJECTIVES)
    for figure in (ratio_figure, sequence_ratio_figure, variance_figure, kept_figure):
        assert figure(masked).figure.to_json()


def test_a_dead_group_says_so() -> None:
    rewards = tuple([1.0] * 8 + list(CALM.rewards[8:]))
    picture = group_figure(completion_table(rollouts(rewards=rewards, advantages=CALM.advantages * 0), 0))
    assert "nothing can be learned" in picture.takeaway


@pytest.mark.parametrize("less", [dict(mask=np.zeros(len(CALM.mask), bool)), dict(old_logprobs=CALM.logprobs * 0 - 1)])
def test_the_course_of_a_file_in_which_nothing_can_be_compared_says_so(less: dict[str, np.ndarray]) -> None:
    """All of it masked, or one number for every log-prob of a policy."""
    along = course(gather(rollouts(**less)))
    assert len(along.first) == 0 and "that can be compared" in course_figure(along).takeaway


def test_the_course_of_a_file_is_drawn_by_place_and_by_step() -> None:
    """64 sequences of 40 to 80 tokens over 8 steps: places 1, 2–3, … 64 on, and three series of 8 steps."""
    data = rollouts(steps=tuple(i // 8 for i in range(64)))
    along = course(gather(data))
    picture = course_figure(along)
    assert along.first.tolist() == [1, 2, 4, 8, 16, 32, 64]
    assert along.tokens_at.sum() == len(data.mask) and along.length @ np.full(8, 8) == len(data.mask)
    assert [len(trace.y) for trace in picture.figure.data] == [7, 8, 8, 8]
    assert "Along the sequences" in picture.takeaway and "by step at step" in picture.takeaway
    assert len(course_figure(course(gather(rollouts()))).figure.data) == 1
