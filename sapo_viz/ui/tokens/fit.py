"""Which τ, which ε: the knob at which one objective keeps as much of this file's gradient as another does."""

from __future__ import annotations

import streamlit as st

from sapo_viz.core.objective import CATALOG
from sapo_viz.figures.batch import kept_curve_figure
from sapo_viz.rollouts.analysis.evidence import Evidence
from sapo_viz.rollouts.analysis.fit import KeptCurve, Match, kept_curve, match
from sapo_viz.rollouts.analysis.passes import in_turn
from sapo_viz.rollouts.steps import Steps, at_once
from sapo_viz.ui.address import bind_choice, read_values, write_values
from sapo_viz.ui.nav import page_file
from sapo_viz.ui.text import plain
from sapo_viz.ui.tokens.batch import show
from sapo_viz.ui.tokens.source import Source
from sapo_viz.ui.words import _
from sapo_viz.ui.work import worked

_SIGNS = {1: "A > 0", -1: "A < 0"}


def fit_view(source: Source) -> None:
    """Two objectives, one figure a sign of A, and what the numbers say; the values can be taken over."""
    names = list(CATALOG)
    columns = st.columns(2)
    with columns[0]:
        bind_choice("from", names, "grpo")
        start = st.selectbox(_("Keep as much as"), names, format_func=lambda name: CATALOG[name].label, key="from")
    with columns[1]:
        bind_choice("to", names, "sapo")
        target = st.selectbox(_("with"), names, format_func=lambda name: CATALOG[name].label, key="to")
    values = read_values([start, target])
    found: dict[int, Match] = {}
    for place, (sign, label) in zip(st.columns(2), _SIGNS.items(), strict=True):
        with place:
            st.markdown(f"**{label}**")
            result, curve = _matched(source, start, target, sign, values)
            if curve is not None:
                show(kept_curve_figure(curve, result if result.found else None), f"fit {sign}")
            st.markdown(plain(result.sentence))
            if result.found:
                found[sign] = result
    with st.container(horizontal=True):
        if found:
            _take_over(target, values, found)
        st.page_link(
            page_file("curves"),
            label=_("These ratios under the curves"),
            icon=":material/show_chart:",
            query_params={"objectives": ",".join(sorted({start, target})), "ratios": "tokens"},
        )
    st.caption(
        _(
            "Kept is Σ|A|·w / Σ|A| over the response tokens; the band is a 95 % bootstrap interval over groups, "
            "or over sequences where there are none. Equal shares are not equal training: which tokens are kept "
            "differs. *(computed)*"
        )
    )


def _matched(
    source: Source, start: str, target: str, sign: int, values: dict[str, dict[str, float]]
) -> tuple[Match, KeptCurve | None]:
    origin, rollouts = source.origin, source.rollouts
    base = CATALOG[start].from_knobs(values[start])
    other = CATALOG[target].from_knobs(values[target])

    evidence = worked(
        f"evidence {sign}",
        origin,
        lambda: at_once(lambda: Evidence(rollouts, sign)),
        _("Gathering the tokens with {sign}…").format(sign=_SIGNS[sign]),
    )

    def work() -> Steps[tuple[Match, KeptCurve | None]]:
        yield 0.0
        with in_turn(rollouts):
            result = match(evidence, base, target, sign)
        yield 0.8
        if result.knob is None or not result.tokens:
            return result, None
        with in_turn(rollouts):
            return result, kept_curve(evidence, target, result.knob.name, sign, base=other)

    return worked(f"fit {sign}", (origin, base, other), work, _("Matching on this file…"))


def _take_over(target: str, values: dict[str, dict[str, float]], found: dict[int, Match]) -> None:
    """Put the matching knobs into the address, where every view and the curves take them from."""
    knobs = {m.knob.name: float(f"{m.value:.3g}") for m in found.values() if m.knob is not None}
    text = ", ".join(f"{CATALOG[target].knobs()[name].symbol} = {value:g}" for name, value in knobs.items())

    def take() -> None:
        write_values({target: values[target] | knobs})

    st.button(
        _("Use {values} for {name}").format(values=text, name=CATALOG[target].label),
        icon=":material/done:",
        on_click=take,
        key="tokens: take over",
    )
