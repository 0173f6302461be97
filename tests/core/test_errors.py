"""What does not fit is refused with field, value and range."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from sapo_viz import CATALOG, Objective, SapoVizError, make_objective, policy_loss, register
from sapo_viz.errors import KnobError, TensorError

SAPO = make_objective("sapo")
Z = torch.zeros(2, 3)
A = torch.ones(2)

WRONG_TENSORS: dict[str, tuple[dict[str, Any], str]] = {
    "1-D log-probs": (dict(logprobs=torch.zeros(3)), "logprobs has shape [3]; it takes [B, T]."),
    "old of another length": (
        dict(old_logprobs=torch.zeros(2, 4)),
        "old_logprobs has shape [2, 4]; it takes that of logprobs, [2, 3].",
    ),
    "an advantage too many": (dict(advantages=torch.ones(3)), "advantages has shape [3]; it takes [2] or [2, 3]."),
    "advantages as a column": (
        dict(advantages=torch.ones(2, 1)),
        "advantages has shape [2, 1]; it takes [2] or [2, 3].",
    ),
    "a mask of one row": (
        dict(mask=torch.ones(3)),
        "mask has shape [3]; it takes that of logprobs, [2, 3].",
    ),
    "a mask that is a list": (dict(mask=[1, 1, 1]), "mask has shape list; it takes that of logprobs, [2, 3]."),
    "a mask of one half": (dict(mask=torch.full((2, 3), 0.5)), "mask holds 0.5; it takes 0 and 1 only."),
    "a mask of 2": (dict(mask=torch.full((2, 3), 2)), "mask holds 2; it takes 0 and 1 only."),
    "a mask of NaN": (dict(mask=torch.full((2, 3), math.nan)), "mask holds nan; it takes 0 and 1 only."),
    "log-probs as a list": (dict(logprobs=[[0.0]]), "logprobs is list; it takes a floating-point tensor."),
    "whole-number advantages": (
        dict(advantages=torch.ones(2, dtype=torch.int64)),
        "advantages is torch.int64; it takes a floating-point tensor.",
    ),
}


def call(**changed: Any) -> Any:
    return policy_loss(SAPO, **(dict(logprobs=Z, old_logprobs=Z, advantages=A, mask=None) | changed))


@pytest.mark.parametrize(("changed", "message"), WRONG_TENSORS.values(), ids=list(WRONG_TENSORS))
def test_a_tensor_that_does_not_fit_is_named_with_its_shape(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(TensorError) as error:
        call(**changed)
    assert str(error.value) == message


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["logprobs", "old_logprobs", "advantages"])
def test_nan_and_inf_are_named_with_their_place(field: str, value: float) -> None:
    bad = torch.zeros(2, 3)
    bad[1, 2] = value
    with pytest.raises(TensorError) as error:
        call(**{field: bad})
    assert str(error.value) == f"{field}[1, 2] is {value}; it takes finite numbers where the mask is 1."


@pytest.mark.parametrize("value", [0, -5, 2.5, True, math.nan, "12"])
def test_a_max_length_that_is_no_length_is_refused(value: Any) -> None:
    """-5 would turn Dr. GRPO's loss upside down, 0 would be taken for "not given"."""
    with pytest.raises(TensorError) as error:
        policy_loss(make_objective("dr_grpo"), Z, Z, A, max_length=value)
    assert str(error.value) == f"max_length is {value!r}; it takes a whole number from 1."


def test_a_class_in_place_of_an_objective_is_named() -> None:
    with pytest.raises(KnobError, match=r"objective is the class Sapo; .*CATALOG\[\"sapo\"\]\(\)"):
        policy_loss(CATALOG["sapo"], Z, Z, A)  # type: ignore[arg-type]


OUT_OF_RANGE = [math.nan, math.inf, -math.inf, -1e9, 1e9, pytest.param(10**400, id="huge"), True, False, "1", None, [1]]


@pytest.mark.parametrize("value", OUT_OF_RANGE)
def test_a_knob_outside_its_range_names_knob_value_and_range(objective: Objective, value: Any) -> None:
    for knob in objective.knobs().values():
        with pytest.raises(KnobError) as error:
            dataclasses.replace(objective, **{knob.name: value})
        message = str(error.value)
        assert message.startswith(f"{objective.label}: {knob.name} ({knob.symbol}) is ")
        assert str(value) in message
        assert message.endswith(f"it takes values from {knob.lo:g} to {knob.hi:g}.")


def test_the_message_reads_as_the_style_says() -> None:
    """STYLE, rule 9, word for word."""
    with pytest.raises(KnobError) as error:
        make_objective("sapo", {"tau_neg": -1.0})
    assert str(error.value) == "SAPO: tau_neg (τ₋) is -1.0; it takes values from 0.05 to 20."


def test_the_ends_of_a_range_belong_to_it(objective: Objective) -> None:
    for knob in objective.knobs().values():
        for value in (knob.lo, knob.hi):
            assert getattr(dataclasses.replace(objective, **{knob.name: value}), knob.name) == value


def test_defaults_and_sliders_lie_within_the_range(objective: Objective) -> None:
    for knob in objective.knobs().values():
        assert knob.lo <= knob.ui_lo <= knob.default <= knob.ui_hi <= knob.hi
        assert knob.help.endswith(".") and knob.symbol and knob.latex and knob.step > 0
        assert knob.scale == "linear" or knob.ui_lo > 0


@pytest.mark.parametrize("value", [2, np.float32(2.0), np.float64(2.0), np.int64(2)])
def test_whole_and_numpy_numbers_are_numbers(value: Any) -> None:
    tau = make_objective("sapo", {"tau_pos": value}).tau_pos  # type: ignore[attr-defined]
    assert tau == 2.0 and type(tau) is float


def test_an_unknown_knob_is_named_with_those_there_are(objective: Objective) -> None:
    has = ", ".join(objective.knobs()) or "no knobs"
    with pytest.raises(KnobError) as error:
        make_objective(objective.name, {"temperature": 1.0})
    assert str(error.value) == f"{objective.label}: there is no knob 'temperature'; it has {has}."


def test_an_unknown_objective_is_named_with_those_there_are() -> None:
    with pytest.raises(KnobError) as error:
        make_objective("ppo")
    assert str(error.value) == f"there is no objective 'ppo'; the catalogue has {', '.join(CATALOG)}."


def test_a_name_is_registered_once(toy_objective: type[Objective]) -> None:
    with pytest.raises(KnobError, match="'toy' is in the catalogue already"):
        register(toy_objective)


def test_every_error_is_a_value_error() -> None:
    assert issubclass(SapoVizError, ValueError)
    assert issubclass(KnobError, SapoVizError) and issubclass(TensorError, SapoVizError)


def test_an_objective_is_a_frozen_value(objective: Objective) -> None:
    assert objective == type(objective)() and hash(objective) == hash(type(objective)())
    for knob in objective.knobs():
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(objective, knob, 1.0)
