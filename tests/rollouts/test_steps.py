"""Long work in steps: it says how far it is, can be left and taken up, and repeats nothing that is known."""

from __future__ import annotations

import gc
import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

from sapo_viz import CATALOG
from sapo_viz.paths import ASSETS
from sapo_viz.rollouts.analysis.analyse import analyse, analysing, unweighed
from sapo_viz.rollouts.analysis.disagree import comparing, tokens_apart
from sapo_viz.rollouts.analysis.facts import gather
from sapo_viz.rollouts.apart import folder
from sapo_viz.rollouts.findings.judge import findings
from sapo_viz.rollouts.readers.read import parse_rollouts, parsing
from sapo_viz.rollouts.steps import Steps, at_once, finish
from sapo_viz.rollouts.write import write_rollouts
from tests.rollouts.made import rollouts

THREE = {name: CATALOG[name]() for name in ("sapo", "grpo", "gspo")}
MADE = rollouts()


def shares(steps: Steps[object]) -> list[float]:
    return [share for share in steps if share is not None]


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_reading_says_how_far_it_is(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    path.write_bytes(write_rollouts(MADE, kind))
    said = shares(parsing(path.read_bytes(), path.name))
    assert said == sorted(said) and said[0] >= 0 and said[-1] <= 1


def test_weighing_ends_at_the_whole() -> None:
    assert shares(analysing(MADE, THREE))[-1] == pytest.approx(1.0)
    assert shares(comparing(MADE, THREE))[-1] == pytest.approx(1.0)


def test_work_that_is_left_goes_on_where_it_was() -> None:
    steps = comparing(MADE, THREE, 5)
    next(steps)
    assert finish(steps).equals(tokens_apart(MADE, THREE, 5))


def test_a_changed_knob_weighs_its_objective_only() -> None:
    before = analyse(MADE, THREE)
    changed = THREE | {"sapo": CATALOG["sapo"](tau_pos=3.0)}
    after = finish(analysing(MADE, changed, before))
    assert after.ratios is before.ratios and after.totals["grpo"] is before.totals["grpo"]
    assert after.batch.equals(analyse(MADE, changed).batch) and not after.batch.equals(before.batch)


def test_another_file_takes_nothing_over() -> None:
    other = rollouts(advantages=-MADE.advantages)
    after = finish(analysing(other, THREE, analyse(MADE, THREE)))
    assert after.rollouts is other and after.batch.equals(analyse(other, THREE).batch)


def test_a_sequence_can_be_looked_at_before_the_file_is_weighed() -> None:
    first, whole = unweighed(MADE, THREE), analyse(MADE, THREE)
    assert first.token_table(3).equals(whole.token_table(3))
    assert np.array_equal(first.variance, whole.variance) and not first.totals


def test_facts_gathered_before_give_the_same_findings() -> None:
    facts = gather(MADE)
    for objectives in (THREE, {"gspo": CATALOG["gspo"](eps_low=0.1, eps_high=0.1)}):
        assert findings(MADE, objectives, facts) == findings(MADE, objectives)


def test_what_has_no_steps_is_made_when_it_is_asked_for() -> None:
    made = itertools.count()
    steps = at_once(lambda: next(made))
    assert next(made) == 0 and finish(steps) == 1


def test_a_file_of_the_folder_is_shared_while_somebody_looks_at_it(tmp_path: Path) -> None:
    shutil.copy(ASSETS / "samples" / "outlier.jsonl", tmp_path / "a.jsonl")
    one = folder.open_file(tmp_path, "a.jsonl")
    assert folder.open_file(tmp_path, "a.jsonl") is one and len(folder._open) >= 1
    before = len(folder._open)
    del one
    gc.collect()
    assert len(folder._open) == before - 1


def test_a_broken_file_says_so_in_steps_too() -> None:
    with pytest.raises(Exception, match="empty"):
        parse_rollouts(b"", "x")


def test_what_does_not_end_is_left() -> None:
    left = []

    def endless() -> Steps[None]:
        try:
            while True:
                yield None
        finally:
            left.append(True)

    with pytest.raises(TimeoutError, match="not done within"):
        finish(endless(), within=0.01)
    assert left
