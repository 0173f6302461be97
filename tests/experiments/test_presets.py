"""The declared experiments: every arm and switch is a run that can be made, and does what its label says."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import pytest
import torch

from sapo_viz.core.objective import CATALOG
from sapo_viz.errors import RunError
from sapo_viz.experiments.design import MOST_SEEDS, Preset
from sapo_viz.experiments.measured import measured, seeds_of
from sapo_viz.experiments.presets import PRESETS, SAME_CLIP, preset_asking_for, preset_of
from sapo_viz.models.source import BUNDLED
from sapo_viz.runs.groups import differing_settings, flat_settings
from scripts import make_experiments

EACH = pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))


@EACH
def test_every_arm_and_every_switch_is_a_run_that_can_be_made(preset: Preset) -> None:
    base = preset.configs(2)
    assert len(base) == 2 * len(preset.arms)
    for switch in preset.switches:
        thrown = preset.configs(2, [switch.name])
        assert thrown.keys() == base.keys()
        assert any(thrown[place] != base[place] for place in base), f"{switch.name} changes nothing"


@EACH
def test_arms_differ_in_the_objective_or_one_component_and_in_nothing_else(preset: Preset) -> None:
    """Equal seeds get equal prompts, so what differs between arms is what the question asks about."""
    configs = [preset.config(arm.name, 0) for arm in preset.arms]
    assert len({tuple(flat_settings(config).items()) for config in configs}) == len(configs)
    differing = {name for name in differing_settings(configs) if "." not in name}
    assert differing <= {"objective", "routing_replay"}
    assert {config.device for config in configs} == {"cpu"}


@EACH
def test_seeds_are_run_whole_one_after_the_other(preset: Preset) -> None:
    assert [seed for _, seed in preset.configs(3)] == [s for s in range(3) for _ in preset.arms]


@EACH
def test_the_compared_pairs_are_arms_of_the_preset(preset: Preset) -> None:
    names = {arm.name for arm in preset.arms}
    assert preset.pairs and all({first, second} <= names and first != second for first, second in preset.pairs)


@EACH
def test_names_can_stand_in_an_address(preset: Preset) -> None:
    for name in [preset.name, *(switch.name for switch in preset.switches)]:
        assert re.fullmatch(r"[a-z0-9.-]+", name)


@EACH
def test_what_is_said_beforehand_has_a_source_and_no_blank(preset: Preset) -> None:
    assert all([preset.question.endswith("?"), preset.paper, preset.designed, preset.reason, preset.conditions])


def test_the_presets_of_the_design_have_its_settings() -> None:
    outlier, mismatch = PRESETS["outlier"].config("grpo", 3), PRESETS["mismatch"].config("sapo", 0)
    assert (outlier.optimizer, outlier.grad_clip, outlier.minibatches, outlier.seed) == ("sgd", 0.0, 4, 3)
    assert (outlier.knobs["eps_low"], outlier.knobs["eps_high"]) == (0.2, 0.27)
    assert (mismatch.sampler_noise, mismatch.old_logprobs, mismatch.lr) == (1.0, "sampler", 3e-4)
    updates = PRESETS["updates"].config("gspo", 0)
    assert (updates.minibatches, updates.epochs, updates.knobs["eps_low"]) == (8, 2, 0.03)
    assert PRESETS["moe"].config("grpo-r2", 0).routing_replay == "r2"
    tau = PRESETS["tau"]
    assert [tau.config(arm.name, 0).knobs["tau_neg"] for arm in tau.arms] == pytest.approx([1.05, 1, 0.95, 1 / 3, 3])


@pytest.mark.parametrize(
    ("preset", "switch", "arm", "setting", "value"),
    [
        ("outlier", "dual-clip", "grpo", "objective", "dual_clip"),
        ("outlier", "grad-clip", "sapo", "grad_clip", 1.0),
        ("outlier", "adam", "gspo", "optimizer", "adamw"),
        ("outlier", "lr-0.1", "grpo", "lr", 0.1),
        ("mismatch", "recompute", "grpo", "old_logprobs", "recomputed"),
        ("mismatch", "sigma-0.3", "sapo", "sampler_noise", 0.3),
        ("mismatch", "lower-off", "grpo", "grpo.eps_low", 1.0),
        ("updates", "upper-off", "grpo", "grpo.eps_high", 5e8),
        ("mismatch", "tau-10", "sapo", "sapo.tau_neg", 10.0),
        ("updates", "tau-10", "sapo", "sapo.tau_neg", 10.0),
    ],
)
def test_a_switch_changes_one_component(preset: str, switch: str, arm: str, setting: str, value: float | str) -> None:
    before, after = (flat_settings(PRESETS[preset].config(arm, 0, names)) for names in ((), (switch,)))
    assert before.get(setting) != value and after[setting] == value


def test_dual_clip_and_no_lower_clip_go_together() -> None:
    config = PRESETS["outlier"].config("grpo", 0, ["dual-clip", "lower-off"])
    assert dict(config.knobs) == {"eps_low": 1.0, "eps_high": 0.27, "dual_clip": 3.0}


def test_switches_that_contradict_each_other_are_refused_by_name() -> None:
    with pytest.raises(RunError, match=r"adam and lr-0\.1 both set lr; choose one of them\."):
        PRESETS["outlier"].configs(1, ["lr-0.1", "adam"])


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_any_two_switches_either_work_or_say_why_not(preset: Preset) -> None:
    for pair in itertools.combinations([switch.name for switch in preset.switches], 2):
        try:
            preset.configs(1, pair)
        except RunError as error:
            assert "choose one of them" in str(error)


def test_what_there_is_not_is_said() -> None:
    with pytest.raises(RunError, match="the experiment is 'nope'; it takes calm or outlier"):
        preset_of("nope")
    with pytest.raises(RunError, match="calm has no switch 'nope'; it has lower-off"):
        PRESETS["calm"].configs(1, ["nope"])
    with pytest.raises(RunError, match=f"seeds is 0; it takes whole numbers from 1 to {MOST_SEEDS}"):
        PRESETS["calm"].configs(0)


@EACH
def test_shipped_results_have_the_settings_of_their_preset(preset: Preset) -> None:
    """A changed preset or default makes its shipped runs stale: `make experiments` measures them anew."""
    shipped = measured(preset.name)
    assert shipped is not None
    assert seeds_of(preset, shipped) >= preset.seeds


def test_the_page_of_results_is_current() -> None:
    """docs/experiments.md is made from the presets and the shipped runs by scripts/make_experiments.py."""
    assert make_experiments.PAGE.read_text(encoding="utf-8") == make_experiments.page()


def test_every_switch_is_measured_by_itself() -> None:
    for preset in PRESETS.values():
        for switch in preset.switches:
            assert (switch.name,) in make_experiments.variants(preset)
    places = {(preset.name, switches) for preset in PRESETS.values() for switches in make_experiments.variants(preset)}
    assert make_experiments.SEEDS.keys() <= places


@pytest.mark.parametrize("log_ratio", [-20.0, -3.0, 3.0, 20.0])
@pytest.mark.parametrize("advantage", [-1.0, 1.0])
def test_with_both_clips_off_nothing_is_clipped(log_ratio: float, advantage: float) -> None:
    """Exactly: the surrogate is r·A over the whole range that a log-ratio is held in."""
    config = PRESETS["outlier"].config("grpo", 0, ["lower-off", "upper-off"])
    z, a = torch.tensor(log_ratio), torch.tensor(advantage)
    assert config.make_objective().surrogate(z, a, z, z) == CATALOG["unclipped"]().surrogate(z, a, z, z)


def test_side_by_side_each_switched_arm_stands_beside_itself_and_is_the_run_of_the_switch() -> None:
    for name in SAME_CLIP.presets:
        preset = PRESETS[name]
        opened = preset.opened(SAME_CLIP.switches)
        assert opened.pairs == (("grpo-lower-off", "grpo"), ("sapo-tau-10", "sapo"))
        assert opened.config("grpo-lower-off", 2) == preset.config("grpo", 2, ["lower-off"])
        assert opened.config("sapo-tau-10", 0) == preset.config("sapo", 0, ["tau-10"])
        assert opened.config("grpo", 1) == preset.config("grpo", 1)
        assert [arm.label for arm in opened.arms] == ["GRPO", "GRPO (lower clip off)", "SAPO", "SAPO (τ₋ = 10)"]


@EACH
def test_every_switch_says_what_it_does_to_the_arms_that_it_names(preset: Preset) -> None:
    assert all(switch.change and (": " in switch.label or not switch.arms) for switch in preset.switches)


def test_a_preset_says_how_to_get_the_model_that_is_not_bundled() -> None:
    for preset in PRESETS.values():
        policies = {config.policy for config in preset.configs(1).values()}
        assert bool(preset.fetch) == bool(policies - {"auto", *BUNDLED})
    assert f".models/{PRESETS['mood'].config('sapo', 0).policy}" in PRESETS["mood"].fetch


def test_the_language_model_makes_eight_updates_of_a_rollout_and_calm_two() -> None:
    """As its card and its switch say. A reward of words may be negative."""
    for switches, updates in (((), 8), (("calm",), 2)):
        config = PRESETS["mood"].config("gspo", 1, switches)
        assert config.minibatches * config.epochs == updates
        assert (config.task, config.steps, config.prompts, config.completions) == ("mood", 10, 4, 4)
    assert [preset.name for preset in PRESETS.values() if preset.span == 2.0] == ["mood"]


def test_a_run_is_told_which_experiment_asks_for_it() -> None:
    outlier = PRESETS["outlier"]
    assert preset_asking_for(outlier.config("grpo", 5)) is outlier
    assert preset_asking_for(outlier.config("grpo", 0, ["lower-off"])) is outlier
    assert preset_asking_for(replace(outlier.config("grpo", 0), lr=0.123)) is None
