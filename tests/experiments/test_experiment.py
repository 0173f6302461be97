"""What the runs of an experiment come to: statistics against tables, and the sentence in every branch.

Numbers are made up; the expected ones are worked out beside them.
"""

from __future__ import annotations

import dataclasses
import statistics

import numpy as np
import pytest

from sapo_viz.experiments.analysis import EACH, FEWEST, Result, analyse, keys_of
from sapo_viz.experiments.conclusion import conclusion, verdict_in_brief
from sapo_viz.experiments.design import MOST_SEEDS
from sapo_viz.experiments.presets import PRESETS
from sapo_viz.experiments.records import Key, RunRecord, State, record_from, record_json
from sapo_viz.experiments.stats import fisher, mean_interval, student_cdf, student_quantile
from sapo_viz.experiments.text import arm_head, arm_rows, difference_head, difference_rows
from sapo_viz.runs.groups import group_key

OUTLIER = PRESETS["outlier"]  # three arms: sapo, grpo, gspo


def record(key: Key, final: float, *, fell: bool = False, state: State = "done", steps: int = 40) -> RunRecord:
    """A run whose last ten steps earned `final`."""
    done = {"done": steps, "live": 12, "halted": 12, "failed": 3, "diverged": 20}[state]
    return RunRecord(
        key[0], key[1], state, steps, (final,) * done, (0.1,) * done, fell=(30, "reward") if fell else None,
        seconds=10.0, run_id=f"run-{key[0]}-{key[1]}", message="the disk is full." if state == "failed" else "",
    )  # fmt: skip


def result(seeds: int = 4, **arms: list[float | RunRecord | None | tuple[float, str]]) -> Result:
    """A result from one list an arm: a reward, (reward, "fell" or a state), or None for a run that is not there."""
    keys = keys_of(OUTLIER, seeds)
    records: dict[Key, RunRecord] = {}
    for arm, values in arms.items():
        for seed, value in enumerate(values):
            if value is None:
                continue
            final, what = value if isinstance(value, tuple) else (value, "done")
            key = keys[arm, seed]
            state = "done" if what == "fell" else what
            records[key] = record(key, final, fell=what == "fell", state=state)  # type: ignore[arg-type]
    return analyse(OUTLIER, seeds, records)


# -- statistics -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("degrees", "quantile"),  # 97.5 %, from any table of Student's distribution
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (7, 2.365), (10, 2.228), (30, 2.042), (200, 1.972)],
)
def test_quantiles_are_those_of_the_table(degrees: int, quantile: float) -> None:
    assert student_quantile(0.975, degrees) == pytest.approx(quantile, abs=6e-4)
    assert student_cdf(-quantile, degrees) == pytest.approx(0.025, abs=2e-5)


def test_looking_after_every_seed_finds_a_difference_where_there_is_none_for_one_pair_in_twenty() -> None:
    """20,000 pairs that do not differ, looked at from 3 to 24 seeds; binomial standard error 0.0015."""
    chance = np.random.default_rng(1).standard_normal((20_000, MOST_SEEDS))
    ever = {level: np.zeros(len(chance), bool) for level in (0.95, EACH)}
    for n in range(FEWEST, MOST_SEEDS + 1):
        t = np.abs(chance[:, :n].mean(1)) / (chance[:, :n].std(1, ddof=1) / n**0.5)
        for level, wrong in ever.items():
            wrong |= t > student_quantile((1 + level) / 2, n - 1)
    assert ever[EACH].mean() < 0.055 and ever[0.95].mean() > 0.2


def test_an_interval_of_four_differences_is_mean_and_3182_standard_errors() -> None:
    low, high = mean_interval([1.0, 2.0, 3.0, 6.0], 0.95)  # mean 3, sd √(14/3) = 2.1602, se 1.0801, t 3.1824
    assert (low, high) == pytest.approx((3 - 3.4374, 3 + 3.4374), abs=1e-3)


@pytest.mark.parametrize(
    ("counts", "p"),
    [
        ((4, 4, 0, 4), 2 / 70),  # of the 70 ways to place 4 collapses among 8 runs, two part the arms wholly
        ((3, 4, 0, 4), 8 / 56),  # of 56, four put all three into one arm, and four into the other
        ((2, 4, 0, 4), 12 / 28),
        ((0, 4, 0, 4), 1.0),
        ((8, 8, 0, 8), 2 / 12870),
    ],
)
def test_fishers_test_counts_the_tables_that_are_as_unlikely(counts: tuple[int, int, int, int], p: float) -> None:
    assert fisher(*counts) == pytest.approx(p)


# -- numbers --------------------------------------------------------------------------------------------


def test_arms_have_mean_sd_and_counts_and_differences_are_paired_by_seed() -> None:
    shown = result(sapo=[0.8, 0.9, 0.7, 0.8], grpo=[0.7, 0.8, 0.6, (0.3, "fell")], gspo=[0.8, 0.9, 0.7, 0.8])
    sapo, grpo, _ = shown.arms
    assert (sapo.mean, sapo.n, sapo.collapsed) == (pytest.approx(0.8), 4, 0)
    assert grpo.sd == pytest.approx(statistics.stdev([0.7, 0.8, 0.6, 0.3]))
    assert grpo.collapsed == 1
    first, second = shown.differences
    assert (first.first, first.second, first.n) == ("sapo", "grpo", 4)
    assert first.mean == pytest.approx((0.1 + 0.1 + 0.1 + 0.5) / 4)
    assert second.interval == pytest.approx((0.0, 0.0)) and not second.clear


def test_a_difference_takes_the_seeds_that_both_have() -> None:
    shown = result(sapo=[0.9, 0.5, 0.9, 0.9], grpo=[0.8, None, 0.8, 0.8], gspo=[0.9, 0.5, None, None])
    assert (shown.differences[0].n, shown.differences[0].mean) == (3, pytest.approx(0.1))
    assert (shown.differences[1].n, shown.differences[1].interval) == (2, None)


def test_a_run_that_diverged_counts_as_collapsed_and_earns_nothing_after_it() -> None:
    shown = result(sapo=[0.8] * 4, grpo=[0.8, 0.8, 0.8, (0.8, "diverged")], gspo=[0.8] * 4)
    assert shown.arm("grpo").finals[3] == 0.0, "it ended at step 20 of 40"
    assert shown.arm("grpo").collapsed == 1
    assert shown.arm("grpo").curve[30] == (pytest.approx(0.6), 0.0, 0.8)


def test_a_run_that_goes_on_or_failed_has_no_outcome() -> None:
    shown = result(sapo=[0.8] * 4, grpo=[0.8, (0.1, "live"), (0.1, "halted"), (0.1, "failed")], gspo=[0.8] * 4)
    assert (shown.done, shown.wanted, shown.live, shown.failed) == (9, 12, 1, ("the disk is full.",))
    assert shown.arm("grpo").finals == {0: pytest.approx(0.8)}


def test_switches_are_named_on_the_arm_that_they_change() -> None:
    shown = analyse(OUTLIER, 1, {}, ["dual-clip", "grad-clip"])
    assert [arm.label for arm in shown.arms] == ["SAPO", "GRPO (dual clip)", "GSPO"]
    assert shown.arm("grpo").objective == "dual_clip"


def test_two_arms_that_are_one_run_count_it_once() -> None:
    """With replay for all, an arm may have the settings of another one."""
    twin = dataclasses.replace(OUTLIER, arms=(*OUTLIER.arms, dataclasses.replace(OUTLIER.arms[0], name="again")))
    assert (analyse(twin, 4, {}).wanted, len(twin.configs(4))) == (12, 16)


def test_a_shipped_record_comes_back_as_it_was() -> None:
    config = OUTLIER.config("sapo", 2)
    kept = dataclasses.replace(
        record((group_key(config), 2), 0.8125), run_id="", rewards=(0.8,) * 30 + (0.01,) * 10, fell=None
    )
    back = record_from(record_json(kept), config)
    assert dataclasses.replace(back, fell=None) == dataclasses.replace(kept, ended=0.0)
    assert back.fell is not None and back.fell[1] == "reward", "today's rule of collapse is applied to its curve"


def with_kl(shown: Result, **kls: list[float]) -> Result:
    """The same, each run at a steady KL to the start."""
    keys = keys_of(OUTLIER, len(kls["sapo"]))
    records = {}
    for arm, row in kls.items():
        for seed, kl in enumerate(row):
            run = record(keys[arm, seed], shown.arm(arm).finals[seed])
            records[run.key, seed] = dataclasses.replace(run, kls=(kl,) * run.steps)
    return analyse(OUTLIER, len(kls["sapo"]), records)


def test_what_a_reward_has_cost_is_compared_seed_by_seed_too() -> None:
    """SAPO − GRPO: 1.0, 1.1, 0.9, 1.0; sd 0.0816, ± 6.627·0.0408 = 0.27. A KL may differ by more than a reward."""
    tie = result(sapo=[0.9] * 4, grpo=[0.9] * 4, gspo=[0.9] * 4)
    assert tie.costs == () and "further" not in conclusion(tie)
    shown = with_kl(tie, sapo=[2.0, 2.1, 1.9, 2.0], grpo=[1.0] * 4, gspo=[4.5, 4.6, 4.4, 4.5])
    assert (shown.arm("sapo").mean_cost, shown.arm("grpo").sd_cost) == (pytest.approx(2.0), 0.0)
    assert [(d.first, d.second, d.mean) for d in shown.costs] == [
        ("sapo", "grpo", pytest.approx(1.0)), ("sapo", "gspo", pytest.approx(-2.5)),
    ]  # fmt: skip
    assert conclusion(shown) == (
        "No difference in reward beyond seed noise (n = 4; one of up to 0.000 could hide); "
        "SAPO ends 1.00 nats a token further from the start than GRPO (95 % interval 0.73 to 1.27, n = 4); "
        "GSPO ends 2.50 nats a token further from the start than SAPO (95 % interval 2.50 to 2.50, n = 4)."
    )
    assert [len(row) for row in (*arm_rows(shown), *difference_rows(shown))] == [5] * 3 + [4] * 2
    assert [len(arm_head(shown)), len(difference_head(shown))] == [5, 4]


def test_a_kl_that_a_run_did_not_come_to_is_compared_with_nothing() -> None:
    shown = with_kl(result(sapo=[0.9] * 4, grpo=[0.9] * 4, gspo=[0.9] * 4), **{
        arm: [1.0] * 4 for arm in ("sapo", "grpo", "gspo")
    })  # fmt: skip
    runs = {(run.key, seed): run for arm in shown.arms for seed, run in arm.runs.items()}
    one = next(iter(runs))
    runs[one] = dataclasses.replace(runs[one], kls=())
    assert analyse(OUTLIER, 4, runs).costs == ()


def test_a_short_run_is_judged_by_its_last_quarter() -> None:
    run = RunRecord("k", 0, "done", 10, (0.0,) * 8 + (0.5, 1.0))
    assert (run.final, dataclasses.replace(run, steps=40).last) == (0.75, 10)


def test_rewards_below_0_part_further_than_1() -> None:
    wide = dataclasses.replace(OUTLIER, span=2.0)
    keys = keys_of(OUTLIER, 3)
    records = {key: record(key, -0.9 if arm == "grpo" else 0.9) for (arm, _), key in keys.items()}
    (difference, _) = analyse(wide, 3, records).differences
    assert difference.interval == pytest.approx((1.8, 1.8))
    records[keys["grpo", 2]] = record(keys["grpo", 2], 0.9)
    assert analyse(wide, 3, records).differences[0].interval == (-2.0, 2.0)


# -- the sentence ---------------------------------------------------------------------------------------


def test_nothing_measured_yet() -> None:
    assert conclusion(result()) == "Nothing is measured yet: 0 of 12 runs are done."


def test_only_failures() -> None:
    failed = result(sapo=[(0.1, "failed")], grpo=[(0.1, "failed")])
    assert conclusion(failed) == "Nothing is measured yet: 0 of 12 runs are done (2 failed and are left out)."


def test_too_few_seeds() -> None:
    shown = result(2, sapo=[0.9, 0.9], grpo=[0.1, 0.1], gspo=[0.9, 0.9])
    assert conclusion(shown) == (
        "Too few seeds to tell a difference from seed noise: 2 of each are done, and it takes 3."
    )


def test_too_few_seeds_still_counts_collapses() -> None:
    shown = result(2, sapo=[0.9, 0.9], grpo=[(0.1, "fell"), (0.1, "fell")], gspo=[0.9, 0.9])
    assert conclusion(shown) == (
        "Too few seeds to tell a difference from seed noise: 2 of each are done, and it takes 3; "
        "collapsed: GRPO in 2 of 2, SAPO in 0 of 2, GSPO in 0 of 2."
    )


def test_no_difference() -> None:
    """SAPO − GRPO: −0.01, 0.01, −0.02, 0.02, so mean 0, sd 0.01826, ± 6.627·0.00913 = 0.060."""
    shown = result(sapo=[0.95, 0.95, 0.95, 0.95], grpo=[0.96, 0.94, 0.97, 0.93], gspo=[0.95, 0.95, 0.95, 0.95])
    assert conclusion(shown) == ("No difference in reward beyond seed noise (n = 4; one of up to 0.06 could hide).")


def test_one_difference_and_its_direction() -> None:
    """SAPO − GRPO: 0.10, 0.11, 0.09, 0.10; sd 0.00816, ± 6.627·0.00408 = 0.027. GSPO − SAPO: 0.2 ± 0."""
    shown = result(sapo=[0.8, 0.8, 0.8, 0.8], grpo=[0.70, 0.69, 0.71, 0.70], gspo=[0.9, 0.7, 0.9, 0.7])
    assert conclusion(shown) == (
        "SAPO ends 0.10 above GRPO (95 % interval 0.07 to 0.13, n = 4); "
        "no difference beyond seed noise between SAPO and GSPO (n = 4; one of up to 0.38 could hide)."
    )


def test_the_order_is_said_as_it_is_whoever_wins() -> None:
    shown = result(sapo=[0.5, 0.5, 0.5, 0.5], grpo=[0.75, 0.74, 0.76, 0.75], gspo=[0.6, 0.6, 0.6, 0.6])
    assert conclusion(shown) == (
        "GRPO ends 0.25 above SAPO (95 % interval 0.22 to 0.28, n = 4); "
        "GSPO ends 0.10 above SAPO (95 % interval 0.10 to 0.10, n = 4)."
    )


def test_the_same_in_ten_words() -> None:
    few = result(2, sapo=[0.9, 0.9], grpo=[0.1, 0.1], gspo=[0.9, 0.9])
    equal = result(sapo=[0.95, 0.95, 0.95, 0.95], grpo=[0.96, 0.94, 0.97, 0.93], gspo=[0.95, 0.95, 0.95, 0.95])
    apart = result(sapo=[0.5, 0.5, 0.5, 0.5], grpo=[0.75, 0.74, 0.76, 0.75], gspo=[0.6, 0.6, 0.6, 0.6])
    fallen = result(6, sapo=[0.9] * 6, grpo=[(0.01, "fell")] * 6, gspo=[0.9] * 6)
    assert [verdict_in_brief(shown) for shown in (few, equal, apart, fallen)] == [
        "Too few seeds to tell.",
        "No difference beyond seed noise.",
        "GRPO ends 0.25 above SAPO.",
        "GRPO collapses in 6 of 6, SAPO and GSPO in none.",
    ]


def test_collapses_that_chance_cannot_part() -> None:
    """6 of 6 against 0 of 6: p = 2/924 = 0.002."""
    fell = [(reward, "fell") for reward in (0.1, 0.0, 0.2, 0.1, 0.1, 0.1)]
    text = conclusion(result(6, sapo=[0.8] * 6, grpo=fell, gspo=[0.8] * 6))
    assert text.startswith("Collapsed: GRPO in 6 of 6, SAPO in 0 of 6, GSPO in 0 of 6; SAPO ends 0.70 above GRPO")
    assert "chance" not in text


def test_collapses_that_chance_could_part() -> None:
    """2 of 4 against 0 of 4: p = 0.43. The difference, 0, 0, 0.7, 0.7, has an interval over 0; none goes beyond 1."""
    shown = result(sapo=[0.8] * 4, grpo=[0.8, 0.8, (0.1, "fell"), (0.1, "fell")], gspo=[0.8] * 4)
    assert conclusion(shown) == (
        "Collapsed: GRPO in 2 of 4, SAPO in 0 of 4, GSPO in 0 of 4, a split that chance alone could give; "
        "no difference in reward beyond seed noise (n = 4; one of up to 1.00 could hide)."
    )


def test_counts_need_no_doubt_where_the_rewards_differ_clearly() -> None:
    """3 of 4 against 0 of 4 has p = 0.14; the rewards are 0.6, 0.7, 0.7, 0.8 apart."""
    fell = [(0.1, "fell"), (0.1, "fell"), (0.0, "fell")]
    text = conclusion(result(sapo=[0.2, *fell], grpo=[0.8] * 4, gspo=[0.8] * 4))
    assert text.startswith("Collapsed: SAPO in 3 of 4, GRPO in 0 of 4, GSPO in 0 of 4; GRPO ends 0.70 above SAPO")


def test_everything_collapsed() -> None:
    fell = [(0.1, "fell")] * 4
    assert conclusion(result(sapo=fell, grpo=fell, gspo=fell)).startswith("Every run collapsed; no difference")


def switched(before: list[float], after: list[float], others: list[float]) -> Result:
    """GRPO with dual clip and without; the two other arms are the same runs in both."""
    arms = {"sapo": others, "grpo": after, "gspo": others}
    thrown, plain = keys_of(OUTLIER, len(before), ["dual-clip"]), keys_of(OUTLIER, len(before))
    records = {
        thrown[arm, seed]: record(thrown[arm, seed], v) for arm, row in arms.items() for seed, v in enumerate(row)
    }
    records |= {plain["grpo", seed]: record(plain["grpo", seed], v) for seed, v in enumerate(before)}
    return analyse(OUTLIER, len(before), records, ["dual-clip"])


def test_what_a_switch_changes_is_compared_with_the_same_arm_without_it() -> None:
    """Gains 0.10, 0.11, 0.09, 0.10 by seed: mean 0.10, sd 0.00816, ± 0.027."""
    shown = switched([0.5, 0.6, 0.7, 0.8], [0.60, 0.71, 0.79, 0.90], [0.8, 0.8, 0.8, 0.8])
    assert [arm.name for arm in shown.arms if arm.change] == ["grpo"]
    change = shown.arm("grpo").change
    assert change is not None and change.mean == pytest.approx(0.1) and change.clear
    assert shown.wanted == shown.done == 12, "the runs without the switch are no part of the experiment"
    assert conclusion(shown).startswith(
        "GRPO (dual clip) gains 0.10 by the change (95 % interval 0.07 to 0.13, n = 4); no difference in reward beyond"
    )


def test_a_loss_by_a_switch_is_said_as_one() -> None:
    shown = switched([0.60, 0.71, 0.79, 0.90], [0.5, 0.6, 0.7, 0.8], [0.8, 0.8, 0.8, 0.8])
    assert conclusion(shown).startswith("GRPO (dual clip) loses 0.10 by the change (95 % interval 0.07 to 0.13, n = 4)")


def test_a_switch_that_changes_nothing_beyond_seed_noise() -> None:
    """Differences 0.01, −0.01, 0.02, −0.02: mean 0, ± 0.060."""
    shown = switched([0.8, 0.8, 0.8, 0.8], [0.81, 0.79, 0.82, 0.78], [0.8, 0.8, 0.8, 0.8])
    assert conclusion(shown).startswith(
        "The change makes no difference beyond seed noise (n = 4; one of up to 0.06 could hide); no difference in"
    )


def test_without_the_runs_before_it_a_switch_is_compared_with_nothing() -> None:
    keys = keys_of(OUTLIER, 4, ["dual-clip"])
    shown = analyse(OUTLIER, 4, {key: record(key, 0.8) for key in keys.values()}, ["dual-clip"])
    assert not any(arm.change for arm in shown.arms) and "change" not in conclusion(shown)


def test_unfinished_runs_are_said_first() -> None:
    shown = result(sapo=[0.9] * 4, grpo=[0.9, 0.9, 0.9, (0.2, "live")], gspo=[0.9, 0.9, 0.9, None])
    assert conclusion(shown).startswith("So far, 10 of 12 runs; no difference in reward beyond seed noise (n = 3;")


def test_failed_runs_are_left_out_and_said() -> None:
    shown = result(sapo=[0.9] * 4, grpo=[0.9, 0.9, 0.9, (0.2, "failed")], gspo=[0.9] * 4)
    assert conclusion(shown).startswith("So far, 11 of 12 runs (1 failed and is left out); no difference")


def test_the_sentence_goes_through_the_catalogue_of_words() -> None:
    seen: list[str] = []
    conclusion(result(sapo=[0.9] * 4, grpo=[(0.1, "fell")] * 4, gspo=[0.9] * 4), lambda text: seen.append(text) or text)
    assert "collapsed: {counts}" in seen and any("above {second}" in text for text in seen)


def test_no_name_of_an_objective_stands_in_the_sentences_templates() -> None:
    """Never from the hope: the code that makes the sentence cannot favour anyone."""
    import inspect

    import sapo_viz.experiments.conclusion as module

    assert not any(name in inspect.getsource(module) for name in ("SAPO", 'sapo"', "GRPO", "GSPO"))
