"""When a run counts as collapsed, on curves written out by hand."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from sapo_viz.experiments.collapse import RULE, RolloutSize, Watch, _evidence, find_collapse


def run(rewards: list[float | None], last: dict[str, Any] | None = None, **metrics: list[float | None]) -> list[dict]:
    """A run's events: entropy 0.2 and gradient norm 1 unless given."""
    rows = []
    for index, reward in enumerate(rewards):
        values = {"reward": reward, "entropy": 0.2, "grad_norm": 1.0, "ratio_max": 1.5}
        values |= {name: column[index] for name, column in metrics.items()}
        rows.append({"type": "step", "step": index + 1, "time": 0.0, "metrics": values})
    return [*rows, last] if last else rows


RISE = [0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.8, 0.8]  # the best mean over 5 is 0.8


def test_a_reward_that_falls_and_stays_down_collapses_where_its_mean_passes_half_of_the_best() -> None:
    # means over 5: 0.8 (step 8), 0.64, 0.48, 0.32 < 0.4 (step 11)
    found = find_collapse(run(RISE + [0.0] * 8, ratio_max=[1.5] * 9 + [80.0] + [2.0] * 6))
    assert found is not None and (found.step, found.kind) == (11, "reward")
    assert found.told["reward"] == (0.8, 0.0), "before: step 6, the last one outside the window; after: step 11"
    assert found.told["ratio_max"] == (1.5, 80.0), "the largest of the window"


def test_a_fall_that_is_made_good_is_none() -> None:
    assert find_collapse(run(RISE + [0.0, 0.0, 0.0] + [0.9] * 8)) is None


def test_a_fall_at_the_very_end_waits_until_it_has_stayed() -> None:
    assert find_collapse(run(RISE + [0.0] * 6)) is None, "below at steps 11 to 14: four windows"
    assert find_collapse(run(RISE + [0.0] * 7)) is not None


def test_a_dip_that_a_finished_run_ends_in_counts_and_one_that_may_still_be_made_good_does_not() -> None:
    """Means over 5 from step 9 on: 0.64, 0.48, 0.32 < 0.4."""
    rewards, finished = RISE + [0.0] * 3, {"type": "finished", "step": 11, "time": 0.0}
    found = find_collapse(run(rewards, finished))
    assert found is not None and (found.step, found.kind) == (11, "reward")
    assert find_collapse(run(rewards)) is None and find_collapse(run(rewards, finished | {"type": "stopped"})) is None
    assert find_collapse(run([*rewards, 0.9], finished)) is None, "the mean is 0.34, but the last step is back"


def test_a_run_that_only_ever_falls_falls_from_the_policy_that_it_started_with() -> None:
    """A right answer one time in four, gone within ten steps."""
    slope = [0.25 - 0.03 * step for step in range(9)] + [0.0] * 30
    found = find_collapse(run(slope))  # means over 5: 0.19 (step 5), 0.16, 0.13, 0.10 < 0.125 (step 8)
    assert found is not None and (found.step, found.kind) == (8, "reward")
    crash = find_collapse(run([0.25] + [0.0] * 20))  # the first mean, 0.05, is below already
    assert crash is not None and crash.step == 5 and crash.told["reward"] == (0.25, 0.0)


def test_the_evidence_is_that_of_two_rates_against_one() -> None:
    """By hand: 100 completions at 0.2 and 100 at 0 have 0.1 in common. 100·(0.2·log 2 + 0.8·log(8/9)) = 4.4403 and
    100·log(10/9) = 10.5361."""
    assert _evidence(100, 0.2, 100, 0.0) == pytest.approx(4.4403 + 10.5361, abs=2e-4)
    assert _evidence(100, 0.3, 50, 0.3) == pytest.approx(0.0, abs=1e-12)


def test_how_far_a_fall_is_beyond_noise_depends_on_how_many_completions_it_is_seen_in() -> None:
    """A right answer one time in twenty, then none: 256 completions per step tell, 16 do not."""
    rewards = [0.05] * 10 + [0.0] * 10
    assert find_collapse(run(rewards), RolloutSize(16, 16)) is not None
    assert find_collapse(run(rewards), RolloutSize(4, 4)) is None
    start = {"type": "start", "step": 0, "config": {"prompts": 4, "completions": 4}}
    assert find_collapse([start, *run(rewards)]) is None, "the run's own settings are read"
    assert find_collapse(run([0.0] * 40)) is None and find_collapse(run([0.09] * 10 + [0.05] * 10)) is None


def test_a_run_whose_batches_jump_is_not_said_to_collapse_where_a_steady_one_is() -> None:
    """Means of 0.10 before and 0.03 since; the jumpy run swings by ± 0.08 from step to step before its fall."""
    steady = run([0.1] * 20 + [0.03] * 12)
    jumpy = run([0.18, 0.02] * 10 + [0.03] * 12)
    assert find_collapse(steady, RolloutSize(32, 16)) is not None and find_collapse(jumpy, RolloutSize(32, 16)) is None


def test_an_entropy_of_nothing_with_the_reward_down_is_a_collapse_before_the_reward_halves() -> None:
    rewards, entropy = RISE + [0.5] * 10, [0.2] * 8 + [0.001] * 10
    found = find_collapse(run(rewards, entropy=entropy))  # mean entropy < 0.01 from step 13 on; mean reward 0.5 < 0.64
    assert found is not None and (found.step, found.kind) == (13, "entropy")
    assert find_collapse(run(RISE + [0.8] * 10, entropy=entropy)) is None, "sure of itself and right"


def test_a_number_that_is_none_is_said_at_its_step() -> None:
    found = find_collapse(run([0.3, 0.4, 0.5], grad_norm=[1.0, None, 1.0]))
    assert found is not None and (found.step, found.kind) == (2, "nan")
    assert found.told["grad_norm"] == (1.0, None)


def test_a_run_that_could_not_go_on_failed_and_one_whose_weights_ran_away_diverged() -> None:
    for kind, said in {"memory": "failed", "refused": "failed", "diverged": "diverged"}.items():
        found = find_collapse(run([0.3, 0.4], {"type": "failed", "step": 2, "kind": kind, "message": "…"}))
        assert found is not None and found.kind == said


def test_a_failure_counts_while_it_is_the_last_word() -> None:
    failed = {"type": "failed", "step": 2, "time": 0.0, "message": "out of memory"}
    found = find_collapse(run([0.3, 0.4], failed))
    assert found is not None and (found.step, found.kind, found.message) == (2, "failed", "out of memory")
    assert find_collapse([*run([0.3, 0.4], failed), *run([0.3, 0.4, 0.5])[2:]]) is None, "resumed since"
    assert find_collapse([failed | {"step": 0}]) is not None, "failed before its first step"


@pytest.mark.parametrize("steps", [0, 1, RULE.window - 1])
def test_a_run_that_is_too_short_is_not_judged(steps: int) -> None:
    assert find_collapse(run([0.9] * steps)) is None


def test_the_smooth_case_of_a_slow_decline_is_found_too() -> None:
    rewards = [0.9 * math.exp(-step / 20) for step in range(60)]
    found = find_collapse(run(rewards))  # 0.45 after 20·ln 2 ≈ 13.9 steps, and a mean over 5 lags by 2
    assert found is not None and found.step == 17


def test_a_run_taken_back_is_judged_as_if_it_had_never_gone_on() -> None:
    """Collapsed at first, then resumed from before it; at any step, again and again."""
    chance = random.Random(0)
    for _ in range(40):
        watch, log = Watch(RolloutSize(16, 16)), []
        for _ in range(chance.randrange(1, 6)):
            step = log[-1][0] if log else 0
            for _ in range(chance.randrange(30)):
                step += 1
                log.append(
                    (step, {"reward": chance.choice((0.9, 0.8, 0.1, 0.0)), "entropy": chance.choice((1.0, 0.01))})
                )
                watch.add({"type": "step", "step": step, "metrics": log[-1][1]})
            again = chance.randrange(step + 1)
            log = [row for row in log if row[0] <= again]
            watch.rewind(again)
            kept = [{"type": "step", "step": step, "metrics": metrics} for step, metrics in log]
            assert watch.found == find_collapse(kept, RolloutSize(16, 16))
