"""The curves component on a page: choices in, figure on the screen, the knobs in the address."""

from __future__ import annotations

from typing import Any

from sapo_viz.figures.correction import correction_words
from sapo_viz.figures.curves import RatioAxis, curves_data
from sapo_viz.ui import session
from sapo_viz.ui.address import read_values, write_values
from sapo_viz.ui.component import component
from sapo_viz.ui.correction import correction_chosen, write_correction
from sapo_viz.ui.pack import pack
from sapo_viz.ui.words import _


def _labels() -> dict[str, Any]:
    return dict(
        correction=correction_words(_),
        reset=_("Reset to defaults"),
        no_knobs=_("No knobs."),
        read_out=_("Read-out"),
        read_at=_("at ratio"),
        read_help=_("The ratio at which the table under the figure is read. A click on a curve sets it too."),
        takes=_("It takes values from {lo} to {hi}."),
        number=_("as a number"),
        objective=_("Objective"),
        at=_("Read at"),
        sign_help=_("Sign of the advantage."),
        kept=_("kept"),
        kept_help=_("Mean weight over the tokens in grey: the share of the gradient that is kept."),
        width_help=_("The ratios between which the weight stays above this."),
        peak=_("peak of r·w"),
        peak_help=_("The largest coefficient a token can have, and the ratio where it has it."),
        damps=_("damps"),
        damps_help=_("Harmful moves go further the way the advantage pushed; corrective ones come back towards r = 1."),
        both=_("both sides"),
        harmful=_("harmful moves"),
        corrective=_("corrective moves"),
        neither=_("nothing"),
        unbounded=_("grows with r"),
        tokens_here=_("Where tokens are"),
        hide_line=_("Hide or show this line"),
        same_line=_("These objectives have the same curves, drawn once."),
        spread=_("spread of log r"),
        spread_help=_("Standard deviation of log r over the tokens, drawn in grey."),
        p_old=_("old probability"),
        p_old_help=_("π_old of the token, for objectives that read log π itself."),
        match=_("Of the gradient for A > 0 / A < 0, SAPO keeps {sapo} and GRPO {grpo}."),
        no_match=_("No value of {knobs} within its range keeps as much."),
        tau_from_eps=_("τ to match ε"),
        eps_from_tau=_("ε to match τ"),
    )


def curves(
    key: str,
    names: list[str],
    *,
    rows: list[str],
    signs: list[int],
    axis: RatioAxis,
    alt: str,
    readout: bool = True,
    compact: bool = False,
    only_knobs: dict[str, list[str]] | None = None,
    height: int = 290,
    distribution: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Draw the live curves of `names`; what the sliders are let go at is kept in the address.

    Returns the values in force: objective -> knob -> number, and `read_at`.
    """
    values = read_values(names) | {"correction": correction_chosen()}

    def released() -> None:
        sent = session.sent(key, "values")
        if sent:
            write_values(sent)
            write_correction(sent.get("correction") or {})

    data = curves_data(
        names,
        values,
        rows=rows,
        signs=signs,
        axis=axis,
        labels=_labels(),
        alt=alt,
        readout=readout,
        compact=compact,
        only_knobs=only_knobs,
        height=height,
        distribution=distribution,
    )
    component("curves/curves.js")(key=key, data=pack(data), on_values_change=released)
    return values
