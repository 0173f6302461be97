"""What the live figure computes, on numbers worked out by hand; and its collapse rule against Python's."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from sapo_viz.figures.assets import read
from sapo_viz.runs.collapse import FINITE, RULE, TOLD, find_collapse

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def math_page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.add_script_tag(content=read("live_math.js"))
    yield page
    page.close()


def test_the_moving_average_is_not_pulled_towards_zero_and_leaves_gaps(math_page: Page) -> None:
    # weight ½: (1·½ + 0·¼ …)/(½ + ¼): 1, (½·1 + 3)/(1½) = 7/3, gap, (¼·1 + ½·3 + 5)/(1¾) = 27/7
    found = math_page.evaluate("smoothed([1, 3, null, 5], 0.5)")
    assert found == [1, pytest.approx(7 / 3), None, pytest.approx(27 / 7)]
    assert math_page.evaluate("smoothed([1, null, 3], 0)") == [1, None, 3]


def test_seeds_are_averaged_step_by_step_with_how_many_are_there(math_page: Page) -> None:
    runs = [
        {"step": [1, 2, 3], "x": [10, 20, 30], "y": [0, 4, None]},
        {"step": [1, 2], "x": [20, 40], "y": [2, 6]},
    ]
    first, second = math_page.evaluate("(runs) => acrossRuns(runs)", runs)
    assert first == {"step": 1, "x": 15, "n": 2, "mean": 1, "low": 0, "high": 2, "sd": pytest.approx(2**0.5)}
    assert (second["mean"], second["n"], second["x"]) == (5, 2, 30)  # the third step has no value at all
    assert math_page.evaluate("acrossRuns([])") == []


def test_only_names_with_more_than_one_value_differ(math_page: Page) -> None:
    settings = [{"lr": 1, "tau": 2, "steps": 4}, {"lr": 3, "steps": 4}]
    assert math_page.evaluate("(s) => differingNames(s)", settings) == ["lr"]


def test_the_nearest_of_several_numbers_is_found(math_page: Page) -> None:
    assert math_page.evaluate("nearestOf([1, 10, 20], 14)") == 10


def test_the_collapse_rule_is_the_same_in_browser_and_python(math_page: Page) -> None:
    """200 random runs that rise, some of which fall, lose their entropy, have a gap or fail."""
    chance = random.Random(0)
    runs = [random_run(chance) for _ in range(200)]
    told = {"rule": asdict(RULE), "finite": FINITE, "told": dict(TOLD)}
    code = """({runs, told}) => runs.map((events) => collapseOf(
        events.filter((e) => e.type === "step"), events.at(-1), told) ?? null)"""
    answers = math_page.evaluate(code, {"runs": runs, "told": told})
    kinds = set()
    for events, answer in zip(runs, answers, strict=True):
        found = find_collapse(events)
        assert answer == (None if found is None else json.loads(json.dumps(asdict(found))))
        kinds.add(found.kind if found else None)
    assert kinds == {None, "reward", "entropy", "nan", "failed"}, "each case is among them"


def random_run(chance: random.Random) -> list[dict[str, Any]]:
    length = chance.choice([0, 3, 20, 40])
    fall, dull = chance.choice([15, 25, 999]), chance.choice([18, 999])
    events: list[dict[str, Any]] = []
    for step in range(1, length + 1):
        reward = min(1.0, step / 20) * (chance.choice([0.1, 0.7]) if step > fall else 1.0) * chance.uniform(0.9, 1.0)
        entropy = 0.2 if step < dull else 0.001
        metrics = {"reward": reward, "entropy": entropy, "grad_norm": chance.uniform(0.5, 2), "ratio_max": 1 + step}
        if chance.random() < 0.004:
            metrics["grad_norm"] = None  # type: ignore[assignment]
        events.append({"type": "step", "step": step, "metrics": metrics})
    if chance.random() < 0.3:
        events.append({"type": "failed", "step": length, "message": "why"})
    return events
