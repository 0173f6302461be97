"""The reference is written from the catalogue, says nothing of its own, and is current."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from sapo_viz import CATALOG, Objective, make_objective, policy_loss
from sapo_viz.core.metrics import METRICS
from sapo_viz.core.objective import Aggregation, RatioLevel
from sapo_viz.printed.reference import AGGREGATIONS, FRAMEWORKS, LEVELS, found, frameworks_of, name_lines, notes_of
from sapo_viz.runs.logged.names import NAMES
from sapo_viz.runs.metrics import RUN_METRICS
from scripts.make_reference import PAGE, reference
from tests.core.conftest import Batch, make_batch


def test_docs_reference_is_that_of_the_catalogue() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "docs/reference.md is stale: run `make reference`"


def test_every_objective_knob_and_metric_is_in_it() -> None:
    text = reference()
    for name, cls in CATALOG.items():
        assert f"### {cls.label}\n" in text and f"`{name}`" in text and cls.formula in text and cls.idea in text
        for knob in cls.knobs().values():
            assert f"${knob.latex}$ `{knob.name}` = {knob.default:g}" in text
        assert all(note in text for note in notes_of(cls))
    for metric in (*METRICS.values(), *RUN_METRICS.values()):
        assert f"`{metric.name}` = {metric.formula}" in text


def test_an_objective_that_joins_the_catalogue_joins_the_reference(toy_objective: type[Objective]) -> None:
    assert "### Toy gate" in reference() and "Steepness of the toy gate." in reference()


def test_only_the_frameworks_of_the_page_are_named() -> None:
    for cls in CATALOG.values():
        assert set(frameworks_of(cls)) <= set(FRAMEWORKS)
        assert all(set(knob.names) <= set(FRAMEWORKS) for knob in cls.knobs().values())
    for metric in (*METRICS.values(), *RUN_METRICS.values()):
        assert set(metric.frameworks) <= set(FRAMEWORKS) | set(NAMES)


def test_a_knob_is_named_only_where_the_objective_is_to_be_had() -> None:
    """GMPO's band is verl's clip_ratio_*; ms-swift has no GMPO, so its `epsilon` is not GMPO's."""
    lines = name_lines(CATALOG["gmpo"])
    assert [line for line in lines if "clip_ratio_low" in line and line.startswith("**verl**")]
    assert not [line for line in lines if line.startswith("**ms-swift**")] and "ms-swift" in lines[-1]


def test_a_subclass_does_not_inherit_its_parents_names() -> None:
    variant = type("Variant", (CATALOG["grpo"],), {})
    assert frameworks_of(variant) == {} and notes_of(variant) == ()


def test_every_level_and_aggregation_is_put_into_words() -> None:
    assert set(LEVELS) == set(get_args(RatioLevel)) and set(AGGREGATIONS) == set(get_args(Aggregation))


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("sapo", {"sapo"}),
        ("clip_ratio_c", {"dual_clip", "dppo_tv", "dppo_kl"}),
        ("2602.04879", {"dppo_tv", "dppo_kl", "prime_dppo", "prime_ipo"}),
        ("SEQUENCE-PRODUCT", {"vespo", "topr"}),
        ("gspo torchforge", set()),
        ("GSPOLoss sequence", {"gspo", "gspo_token"}),
        ("sapo_temperature_neg", {"sapo"}),
        ("", set(CATALOG)),
    ],
)
def test_a_search_finds_by_own_and_by_foreign_names(wanted: str, names: set[str]) -> None:
    assert {name for name, cls in CATALOG.items() if found(cls, wanted)} == names


@pytest.mark.parametrize("delta", [1.2, 3.0])
def test_a_ratio_capped_at_delta_is_dual_clip_from_one_plus_eps_high_on(delta: float, batches: list[Batch]) -> None:
    """What the note of dual clip says of TRL's and ms-swift's delta: min(min(r, δ)A, clip(r, 0.8, 1.2)A)."""
    for batch in [*batches, make_batch(9, spread=3.0)]:
        ours = policy_loss(
            make_objective("dual_clip", {"dual_clip": delta}),
            batch.logprobs,
            batch.old_logprobs,
            batch.advantages,
            batch.mask,
        ).loss
        ratio = (batch.logprobs - batch.old_logprobs).exp()
        advantages = batch.advantages[:, None]
        capped = torch.minimum(ratio.clamp(max=delta) * advantages, ratio.clamp(0.8, 1.2) * advantages)
        theirs = -((capped * batch.mask).sum(-1) / batch.mask.sum(-1)).mean()
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
