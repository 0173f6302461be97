"""The file that a person takes home gives the loss and gradient that the app shows and trains with."""

from __future__ import annotations

import ast
import builtins
import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sapo_viz import CATALOG, Objective, policy_loss
from sapo_viz.core.objective import AGGREGATIONS, Aggregation
from sapo_viz.errors import KnobError
from sapo_viz.printed.standalone import latex, standalone
from tests.core.conftest import Batch, make_batch

ALLOWED = {"torch", "math"}  # torch, and the standard library where a formula does
EXACT = 1e-12


def loss_function(objective: Objective, aggregation: Aggregation | None = None) -> Callable[..., Tensor]:
    """The exported function, run in a namespace of its own in which nothing but torch can be imported."""

    def only_allowed(name: str, *more: Any, **named: Any) -> Any:
        assert name in ALLOWED, f"the exported file imports {name}"
        return builtins.__import__(name, *more, **named)

    namespace: dict[str, Any] = {"__builtins__": {**vars(builtins), "__import__": only_allowed}}
    exec(compile(standalone(objective, aggregation), f"{objective.name}.py", "exec"), namespace)
    return namespace[f"{objective.name}_loss"]


def shifted(cls: type[Objective]) -> Objective:
    """The objective with every knob away from its usual value."""
    values = {}
    for name, spec in cls.knobs().items():
        values[name] = spec.lo + 0.37 * (min(spec.ui_hi, 4 * spec.default) - spec.lo)
    return cls.from_knobs(values)


def hard_batches() -> list[Batch]:
    """Usual and far ratios, one log-ratio of ±40, an empty row, A = 0, and NaN under the mask."""
    batches = []
    for seed, spread in enumerate((5e-4, 0.05, 0.5, 3.0)):
        batch = make_batch(seed, batch=7, length=9, spread=spread)
        logprobs, old, advantages, mask = batch.logprobs, batch.old_logprobs, batch.advantages, batch.mask.clone()
        mask[2] = False
        advantages[4] = 0.0
        if spread == 3.0:
            logprobs[0, :2] = old[0, :2] + torch.tensor([40.0, -40.0], dtype=torch.float64)
        logprobs = torch.where(mask, logprobs, torch.nan)
        batches.append(Batch(logprobs, torch.where(mask, old, torch.nan), advantages, mask))
    return batches


def both(
    objective: Objective,
    batch: Batch,
    *,
    per_token: bool = False,
    aggregation: Aggregation | None = None,
    **more: Any,
) -> list[tuple[Tensor, Tensor]]:
    """(loss, gradient) of the app and of the exported file. A [B, T] advantage differs between tokens."""
    advantages = batch.advantages
    if per_token:
        advantages = advantages[:, None] * torch.linspace(-1, 1, batch.mask.shape[1], dtype=torch.float64)
    results = []
    exported = loss_function(objective, aggregation)
    here = functools.partial(policy_loss, objective, aggregation=aggregation, **more)
    for run in (lambda *arguments: here(*arguments).loss, lambda *a: exported(*a, **more)):
        leaf = batch.grad_leaf()
        loss = run(leaf, batch.old_logprobs, advantages, batch.mask)
        loss.backward()
        results.append((loss.detach(), leaf.grad))
    return results


def assert_same(results: list[tuple[Tensor, Tensor]]) -> None:
    """To 1e-12 of the larger of 1 and the number itself: a ratio of e²⁰ makes gradients of 1e8."""
    (loss, gradient), (exported_loss, exported_gradient) = results
    assert torch.isfinite(loss) and torch.isfinite(gradient).all()
    torch.testing.assert_close(exported_loss, loss, rtol=EXACT, atol=EXACT)
    torch.testing.assert_close(exported_gradient, gradient, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("per_token", [False, True], ids=["A a sequence", "A a token"])
@pytest.mark.parametrize("name", CATALOG)
def test_the_exported_file_gives_the_same_loss_and_gradient(name: str, per_token: bool) -> None:
    for objective in (CATALOG[name](), shifted(CATALOG[name])):
        for batch in hard_batches():
            assert_same(both(objective, batch, per_token=per_token))


def test_an_objective_that_joined_the_catalogue_is_exported_too(toy_objective: type[Objective]) -> None:
    for batch in hard_batches():
        assert_same(both(toy_objective(kappa=1.3), batch))  # type: ignore[call-arg]


@pytest.mark.parametrize("how", AGGREGATIONS)
def test_the_exported_file_has_the_aggregation_that_it_was_asked_for(how: Aggregation) -> None:
    for objective in (CATALOG["sapo"](), CATALOG["gspo"](), CATALOG["dr_grpo"]()):
        for batch in hard_batches():
            assert_same(both(objective, batch, aggregation=how))


def test_the_generation_budget_divides_where_the_objective_has_one() -> None:
    assert_same(both(CATALOG["dr_grpo"](), make_batch(), max_length=64))


@pytest.mark.parametrize("name", CATALOG)
def test_a_batch_without_a_response_token_gives_a_loss_of_zero(name: str) -> None:
    batch = make_batch()
    nothing = Batch(batch.logprobs, batch.old_logprobs, batch.advantages, torch.zeros_like(batch.mask))
    assert_same(both(CATALOG[name](), nothing))


def test_bfloat16_is_worked_in_float32_as_in_the_app() -> None:
    batch = make_batch()
    halves = [tensor.bfloat16() for tensor in (batch.logprobs, batch.old_logprobs, batch.advantages)]
    objective = CATALOG["sapo"]()
    loss = loss_function(objective)(*halves, batch.mask)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, policy_loss(objective, *halves, batch.mask).loss, rtol=1e-6, atol=1e-6)


def test_the_mask_may_be_numbers() -> None:
    batch = make_batch()
    exported = loss_function(CATALOG["gspo"]())
    losses = [
        exported(batch.logprobs, batch.old_logprobs, batch.advantages, mask)
        for mask in (batch.mask, batch.mask.double(), batch.mask.long())
    ]
    assert losses[0] == losses[1] == losses[2]


@pytest.mark.parametrize("name", CATALOG)
def test_the_file_imports_torch_and_is_short(name: str) -> None:
    text = standalone(CATALOG[name]())
    imported = {
        alias.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import) for alias in node.names
    }
    assert not [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    assert imported <= ALLOWED and "torch" in imported
    assert "self" not in {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    assert CATALOG[name].paper in text
    assert len(text.splitlines()) < 90 and max(map(len, text.splitlines())) <= 130


@pytest.mark.parametrize("name", CATALOG)
def test_every_knob_stands_at_the_top_with_its_chosen_value_and_is_used(name: str) -> None:
    objective = shifted(CATALOG[name])
    tree = ast.parse(standalone(objective))
    constants = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert constants == {knob.upper(): getattr(objective, knob) for knob in objective.knobs()}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    assert set(constants) <= used


def test_the_surrogates_own_comments_come_along() -> None:
    assert "# expm1(z) = r − 1" in standalone(CATALOG["sapo"]())
    assert "# the weight is a number, not a path for gradient: that is the method" in standalone(CATALOG["cispo"]())


def test_the_files_run_where_this_project_is_not_installed(tmp_path: Path) -> None:
    """All of them in one Python that sees neither this folder nor the environment (-I), in an empty folder."""
    batch = make_batch()
    losses = {}
    for name, cls in CATALOG.items():
        (tmp_path / f"{name}_alone.py").write_text(standalone(cls()), encoding="utf-8")
        loss = policy_loss(cls(), batch.logprobs, batch.old_logprobs, batch.advantages, batch.mask).loss
        losses[name] = loss.item()
    torch.save((batch.logprobs, batch.old_logprobs, batch.advantages, batch.mask), tmp_path / "batch.pt")
    code = (
        "import importlib.util, runpy, sys, torch\n"
        "assert importlib.util.find_spec('sapo_viz') is None\n"
        "batch = torch.load('batch.pt')\n"
        "for name in sys.argv[1:]:\n"
        "    loss = runpy.run_path(name + '_alone.py')[name + '_loss'](*batch)\n"
        "    print(name, repr(loss.item()))\n"
        "assert not [module for module in sys.modules if module.startswith('sapo_viz')]\n"
    )
    command = [sys.executable, "-I", "-c", code, *CATALOG]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    alone = {name: float(loss) for name, loss in (line.split() for line in result.stdout.splitlines())}
    assert alone == pytest.approx(losses, abs=EXACT)


def test_writing_the_files_down_does_not_import_torch() -> None:
    """The Curves page shows them, and torch costs seconds."""
    code = (
        "import sys, sapo_viz; from sapo_viz.printed.standalone import latex, standalone\n"
        "[(standalone(cls()), latex(cls())) for cls in sapo_viz.CATALOG.values()]\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", CATALOG)
def test_the_latex_states_the_knobs_and_stands_in_an_align(name: str) -> None:
    objective = shifted(CATALOG[name])
    *comments, formula = latex(objective).splitlines()
    assert all(line.startswith("% ") for line in comments)
    assert formula.startswith("J_t") and " &= " in formula and formula.endswith(r"\\")
    for knob, spec in objective.knobs().items():
        assert f"{spec.latex} = {getattr(objective, knob):.6g}" in comments[0]
    assert formula.isascii() and formula.count("{") == formula.count("}")


def test_a_class_without_source_is_refused_in_words() -> None:
    """Defined by exec, as in some notebooks: there is no text to take."""
    namespace: dict[str, Any] = {"Objective": Objective, "__name__": "nowhere"}
    exec(
        "class Typed(Objective):\n"
        "    name, label, paper, formula, idea = 'typed', 'Typed', '0', 'A', 'None.'\n"
        "    def surrogate(self, log_ratio, advantages, logprobs, old_logprobs):\n"
        "        return advantages\n",
        namespace,
    )
    with pytest.raises(KnobError, match=r"Typed: the source of surrogate cannot be read"):
        standalone(namespace["Typed"]())
