"""The public names are as documented, and stay."""

from __future__ import annotations

import dataclasses
import inspect
import re
from types import ModuleType

import pytest
import torch

import sapo_viz
from sapo_viz import errors


def test_the_package_offers_what_it_says_and_nothing_else() -> None:
    public = {
        name for name, value in vars(sapo_viz).items() if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    public -= {"annotations", "Any", "TYPE_CHECKING"}
    assert public | set(sapo_viz._HOME) == set(sapo_viz.__all__)
    assert sapo_viz.__all__ == sorted(sapo_viz.__all__)
    assert set(sapo_viz.__all__) <= set(dir(sapo_viz))


def test_every_name_from_above_the_core_leads_to_what_is_called_so() -> None:
    for name, module in sapo_viz._HOME.items():
        assert getattr(sapo_viz, name).__name__ == name and getattr(sapo_viz, name).__module__ == module
    with pytest.raises(AttributeError, match="no attribute 'nonesuch'"):
        _ = sapo_viz.nonesuch


def test_the_names_that_users_and_notebooks_rely_on_are_there() -> None:
    """DESIGN, "The public names"; add freely, take away never."""
    assert set(sapo_viz.__all__) >= {"CATALOG", "policy_loss", "Objective", "SapoVizError"}
    assert {f.name for f in dataclasses.fields(sapo_viz.TokenView)} >= {"ratio", "gate_weight", "coefficient"}
    assert {"loss", "tokens", "metrics"} <= {f.name for f in dataclasses.fields(sapo_viz.PolicyLoss)} | set(
        vars(sapo_viz.PolicyLoss)
    )
    parameters = list(inspect.signature(sapo_viz.policy_loss).parameters)
    first = ["objective", "logprobs", "old_logprobs", "advantages", "mask"]
    assert parameters == [*first, "sampler_logprobs", "correction", "aggregation", "max_length"]


def test_the_catalogue_has_the_objectives_and_knobs_of_the_design() -> None:
    """DESIGN's table: names and usual values."""
    usual = {
        "sapo": {"tau_pos": 1.0, "tau_neg": 1.05},
        "grpo": {"eps_low": 0.2, "eps_high": 0.2},
        "gspo": {"eps_low": 3e-4, "eps_high": 4e-4},
        "dapo": {"eps_low": 0.2, "eps_high": 0.28},
        "dr_grpo": {"eps_low": 0.2, "eps_high": 0.2},
        "dual_clip": {"eps_low": 0.2, "eps_high": 0.2, "dual_clip": 3.0},
        "cispo": {"eps_low": 1.0, "eps_high": 4.0},
        "unclipped": {},
    }
    catalogue = {name: dataclasses.asdict(cls()) for name, cls in sapo_viz.CATALOG.items()}
    assert {name: catalogue[name] for name in usual} == usual


def test_every_entry_of_the_catalogue_is_described() -> None:
    for name, cls in sapo_viz.CATALOG.items():
        assert cls.name == name
        assert re.fullmatch(r"\d{4}\.\d{5}", cls.paper), f"{name}: {cls.paper!r} is no arXiv id"
        assert cls.family != "other", f"{name}: say what it is chosen under"
        assert cls.label and cls.formula and cls.idea.endswith(".")
        assert cls.__doc__ and f"arXiv {cls.paper}" in cls.__doc__.split("\n\n")[0]
    labels = [cls.label for cls in sapo_viz.CATALOG.values()]
    assert len(set(labels)) == len(labels)


def test_the_docstrings_example_runs() -> None:
    """DESIGN's and the package's own four lines, on a batch of two."""
    logprobs = torch.full((2, 3), -1.0, requires_grad=True)
    out = sapo_viz.policy_loss(
        sapo_viz.CATALOG["sapo"](tau_pos=1.0, tau_neg=1.05),  # type: ignore[call-arg]
        logprobs,
        logprobs.detach() - 0.1,
        torch.tensor([1.0, -1.0]),
        torch.ones(2, 3),
    )
    out.loss.backward()
    assert logprobs.grad is not None
    assert out.tokens.ratio.shape == out.tokens.gate_weight.shape == out.tokens.coefficient.shape == (2, 3)
    assert all(isinstance(value, float) for value in out.metrics.values())


def test_every_logged_metric_is_explained() -> None:
    from sapo_viz.core.metrics import METRICS

    logprobs = torch.full((1, 2), -1.0)
    out = sapo_viz.policy_loss(sapo_viz.make_objective("sapo"), logprobs, logprobs, torch.ones(1))
    assert set(out.metrics) == set(METRICS)
    assert all(metric.label and metric.formula and metric.healthy for metric in METRICS.values())


def test_the_tree_of_errors_is_the_one_that_is_drawn() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or ""))
    there = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.SapoVizError) and value is not errors.SapoVizError
    }
    assert drawn == there
