"""Which runs are repetitions of one another, and in what others differ."""

from __future__ import annotations

from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.groups import differing_settings, flat_settings, group_key, group_runs


def test_runs_that_differ_by_their_seed_or_name_alone_are_one_group() -> None:
    first = RunConfig("sapo", seed=0)
    assert group_key(first) == group_key(RunConfig("sapo", seed=7, label="again", threads=2, snapshot_every=3))
    assert group_key(first) != group_key(RunConfig("sapo", lr=1e-3))
    assert group_key(first) != group_key(RunConfig("sapo", knobs={"tau_neg": 2.0}))
    assert group_key(first) != group_key(RunConfig("grpo"))


def test_groups_keep_the_order_of_the_runs() -> None:
    runs = {"c": RunConfig("grpo"), "a": RunConfig("sapo"), "b": RunConfig("grpo", seed=1)}
    assert list(group_runs(runs).values()) == [["c", "b"], ["a"]]


def test_only_settings_that_differ_are_named() -> None:
    assert differing_settings([RunConfig("sapo"), RunConfig("sapo")]) == []
    assert differing_settings([RunConfig("sapo"), RunConfig("grpo")]) == ["objective"], "τ is SAPO's alone"
    two = [RunConfig("sapo", knobs={"tau_neg": 2.0}, seed=1), RunConfig("sapo", lr=1e-3)]
    assert differing_settings(two) == ["sapo.tau_neg", "seed", "lr"]


def test_flat_settings_hold_the_whole_config() -> None:
    flat = flat_settings(RunConfig("grpo"))
    assert flat["objective"] == "grpo" and flat["grpo.eps_low"] == 0.2
    assert set(flat) - {"grpo.eps_low", "grpo.eps_high"} == set(RunConfig().to_dict()) - {"knobs"}
