"""The picture of a result: a line and a band an arm, told apart, with its numbers in the alt text."""

from __future__ import annotations

import pytest

from sapo_viz.experiments.analysis import analyse, keys_of
from sapo_viz.experiments.presets import PRESETS
from sapo_viz.experiments.records import RunRecord
from sapo_viz.figures.experiment import cost_figure, result_figure, styles
from sapo_viz.figures.looks import FURTHER, looks
from sapo_viz.figures.palette import style_of


def made_up(name: str, seeds: int = 3):  # type: ignore[no-untyped-def]
    """Every run rises from 0 to 0.1·seed + 0.5 in 40 steps."""
    preset = PRESETS[name]
    records = {
        key: RunRecord(key[0], key[1], "done", 40, tuple((0.5 + 0.1 * seed) * step / 40 for step in range(1, 41)))
        for (_, seed), key in keys_of(preset, seeds).items()
    }
    return analyse(preset, seeds, records)


def test_the_line_is_the_mean_and_the_band_reaches_from_the_lowest_to_the_highest_seed() -> None:
    figure = result_figure(made_up("calm")).figure
    band, line = figure.data[:2]
    assert line.y[-1] == pytest.approx(0.6) and line.x[-1] == 40  # mean of 0.5, 0.6, 0.7
    assert band.y[39] == pytest.approx(0.7) and band.y[40] == pytest.approx(0.5)  # up one side, down the other
    assert [trace.name for trace in figure.data[1::2]] == ["SAPO (n = 3)", "GRPO (n = 3)", "GSPO (n = 3)"]


@pytest.mark.parametrize("name", PRESETS)
def test_no_two_arms_look_alike_and_the_first_of_an_objective_has_its_colour(name: str) -> None:
    arms = made_up(name).arms
    chosen = styles(arms)
    assert len({color for color, _ in chosen}) == len({dash for _, dash in chosen}) == len(arms)
    assert chosen[0][0] == style_of(arms[0].objective).color


def test_the_alt_text_says_where_each_arm_ends() -> None:
    assert result_figure(made_up("calm")).alt.endswith("at the last step: SAPO 0.60, GRPO 0.60, GSPO 0.60.")


def test_an_arm_without_a_run_is_left_out() -> None:
    assert len(result_figure(analyse(PRESETS["calm"], 3, {})).figure.data) == 0


def test_reward_against_kl_has_a_line_per_seed_with_what_its_policy_said_and_one_for_their_mean() -> None:
    preset = PRESETS["calm"]
    records = {
        key: RunRecord(
            key[0], key[1], "done", 10, (-0.2,) * 5 + (0.8,) * 5, kls=tuple(0.1 * k * (seed + 1) for k in range(10)),
            asked="To me, the sea is", said=((0, "wet."), (5, "<b>great</b> great"), (10, "never drawn")),
        )
        for (_, seed), key in keys_of(preset, 3).items()
    }  # fmt: skip
    picture = cost_figure(analyse(preset, 3, records))
    seed, *_, mean = picture.figure.data[:4]
    assert (seed.x[9], mean.x[9], mean.y[9]) == (pytest.approx(0.9), pytest.approx(1.8), pytest.approx(0.8))
    assert [text.partition("<br>")[2] for text in seed.text[:7:5]] == ["wet.", "&lt;b&gt;great&lt;/b&gt; great"]
    assert seed.text[0].startswith("SAPO, seed 0, step 1<br>") and seed.text[5].startswith("SAPO, seed 0, step 6<br>")
    assert set(seed.marker.size) == {9, 4} and "never drawn" not in "".join(seed.text)
    assert [trace.name for trace in picture.figure.data if trace.showlegend is None] == [
        "SAPO (n = 3)", "GRPO (n = 3)", "GSPO (n = 3)",
    ]  # fmt: skip
    assert picture.figure.layout.yaxis.range[0] < -0.2, "a reward below 0 is in the picture"
    assert result_figure(analyse(preset, 3, records)).figure.layout.yaxis.range[0] < -0.2
    assert picture.alt.endswith("at the last step: SAPO 0.80 at 1.80, GRPO 0.80 at 1.80, GSPO 0.80 at 1.80.")


def test_further_settings_of_an_objective_look_like_nothing_else_that_is_drawn() -> None:
    assert len(set(FURTHER)) == len(FURTHER) == 25
    drawn = looks(["sapo", "sapo", "grpo", "sapo", "grpo", "dapo"])
    assert [drawn[i] for i in (0, 2, 5)] == [style_of(name) for name in ("sapo", "grpo", "dapo")]
    assert len({look.color for look in drawn}) == len({look.dash for look in drawn}) == 6
