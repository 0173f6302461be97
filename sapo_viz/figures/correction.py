"""The choice of a correction for the sampler as the browser shows it, beside the curves and beside the strip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sapo_viz.core.correction import HIGH, LOW, OFF, Correction, choice_of
from sapo_viz.core.correction_choices import USUAL

_NATS = 0.012  # a token, as between an engine in bf16 and its trainer: over 100 tokens a ratio of 3.3
_FIELDS = ("name", "symbol", "default", "lo", "hi", "help", "scale", "step", "ui_lo", "ui_hi")


def correction_control() -> dict[str, Any]:
    """What browser/shared/correction.js makes the control of."""
    return dict(
        off=OFF,
        choices=[
            dict(
                name=usual.label,
                level=usual.correction.level,
                how=usual.correction.how,
                usual=dict(low=usual.correction.low, high=usual.correction.high),
                names="\n".join(f"{framework}: {name}" for framework, name in usual.names.items()),
            )
            for usual in USUAL.values()
        ],
        bounds=[{field: getattr(knob, field) for field in _FIELDS} for knob in (LOW, HIGH)],
        nats=_NATS,
    )


def correction_value(correction: Correction | None) -> dict[str, Any]:
    """Which choice it is, with its bounds; what none of the choices says is off."""
    choice = choice_of(correction)
    if correction is None or choice == OFF:
        return dict(choice=OFF, low=LOW.default, high=HIGH.default)
    return dict(choice=choice, low=correction.low, high=correction.high)


def correction_told(correction: Correction) -> str:
    """In a line, for a report or a table's name."""
    value = correction_value(correction)
    return f"{value['choice']}, ρ from {value['low']:g} to {value['high']:g}: w and c are times its weight"


def correction_words(_: Callable[[str], str] = str) -> dict[str, str]:
    """The words of the control, each through `_`."""
    return dict(
        title=_("Sampler correction"),
        choice=_("How tokens are weighed by ρ = π_old/π_sampler"),
        help=_(
            "Where another engine drew the tokens: ρ of each token or of the whole sequence, held within the bounds "
            "(truncate), or 0 outside them (mask). It multiplies w and c."
        ),
        rho=_("ρ of the token"),
        rho_sequence=_("ρ of the sequence"),
        rho_help=_("The π_old/π_sampler at which the curves are drawn."),
        times=_("It counts as {x}, which multiplies the curves."),
        sum=_("A sum grows with length: at {d} nats a token, answers of more than {n} tokens are beyond the bound."),
        none=_("This file has no sampler_logprobs: it does not say who drew the tokens, so nothing is weighed."),
        here=_("ρ of this answer is {rho}; it counts as {x}."),
        dropped=_("ρ of this answer is {rho}: it is dropped whole."),
        picture=_("Which answers it drops"),
    )
