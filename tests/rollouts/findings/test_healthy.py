"""Healthy files are what they claim to be, and findings leave them alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sapo_viz.rollouts.findings.document import MEASURED
from sapo_viz.rollouts.findings.judge import all_rules, findings
from scripts.false_alarms import OBJECTIVES, spoken
from tests.rollouts.findings.faulty import FAULTS
from tests.rollouts.findings.healthy import KINDS, Kind, healthy

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@each_kind
def test_mean_ratio_is_1_as_for_tokens_that_are_drawn_from_the_old_policy(kind: Kind) -> None:
    """E[π_θ/π_old] = Σ π_θ = 1; five standard errors, with whole sequences as the units."""
    data = healthy(kind, 0)
    excess = np.add.reduceat(np.expm1(data.log_ratio), data.offsets[:-1])
    assert abs(excess.sum()) < 5 * np.sqrt((excess**2).sum())


@each_kind
def test_neither_a_problem_nor_a_warning_is_found_in_a_healthy_file(kind: Kind) -> None:
    for seed in range(2):
        found = findings(healthy(kind, seed), OBJECTIVES)
        assert not [one.id for one in found if one.severity != "note"]


@pytest.mark.parametrize("fault", range(len(FAULTS)), ids=lambda i: f"{FAULTS[i].rule}: {FAULTS[i].what}")
def test_a_fault_in_a_healthy_file_is_named_and_no_other_rule_accuses(fault: int) -> None:
    """At its first strength; what the weaker ones give stands in docs/findings.md."""
    named, others = spoken(fault, 0, 1)
    assert named == 1 and not others


def test_every_rule_has_its_fault_among_those_whose_power_is_measured() -> None:
    assert {one.rule for one in FAULTS} == set(all_rules())


def test_what_was_measured_is_of_the_rules_and_faults_that_there_are() -> None:
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    named = [(row["rule"], row["what"], row["strength"]) for row in measured["power"]]
    assert named == [(one.rule, one.what, name) for one in FAULTS for name, _ in one.strengths], "make false-alarms"
    assert [one["kind"] for one in measured["alarms"]] == [kind.name for kind in KINDS]
    assert all(n <= 0.01 * one["files"] for one in measured["alarms"] for n in one["rules"].values())


SMALL, LARGE = {"prompts": 8, "group": 4, "length": 30}, {"prompts": 8, "group": 16, "length": 500}


@each_kind
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["32 short answers", "128 long answers"])
def test_healthy_files_of_other_sizes_are_left_alone_too(kind: Kind, size: dict[str, float]) -> None:
    found = findings(healthy(kind, 0, **size), OBJECTIVES)  # type: ignore[arg-type]
    assert not [one.id for one in found if one.severity != "note"]
