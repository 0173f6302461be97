"""Tokens: what each objective does to the tokens of a real sequence."""

import streamlit as st

from sapo_viz.core.objective import CATALOG
from sapo_viz.ui.state import read_values, url_choice
from sapo_viz.ui.tokens_batch import batch_view
from sapo_viz.ui.tokens_decoding import with_texts
from sapo_viz.ui.tokens_findings import findings_by_now, findings_of, findings_view
from sapo_viz.ui.tokens_fit import fit_view
from sapo_viz.ui.tokens_groups import groups_view
from sapo_viz.ui.tokens_open import LOOK
from sapo_viz.ui.tokens_report import report_button
from sapo_viz.ui.tokens_sequence import sequence_view
from sapo_viz.ui.tokens_source import choose_source
from sapo_viz.ui.tokens_tables import notes, schema_help
from sapo_viz.ui.words import _

st.title(_("Which tokens does each objective keep?"))
st.caption(
    _(
        "Each token stands on the colour of its weight w: the share of its gradient that the objective lets through, "
        "given how far the policy has moved on it since it was sampled (the ratio r) and whether that was good (A)."
    )
)
source = choose_source()
if source is not None:
    source = with_texts(source)
url_choice("objectives", CATALOG, ["sapo", "grpo", "gspo"])
chosen = st.pills(
    _("Objectives"),
    list(CATALOG),
    selection_mode="multi",
    wrap=True,
    format_func=lambda name: CATALOG[name].label,
    key="objectives",
)
names = [name for name in CATALOG if name in chosen]
waiting = False  # findings on a large file come last, when what was asked for is shown
if source is None:
    st.info(_("Nothing to show yet: the tokens appear here."), icon=":material/touch_app:")
elif not names:
    st.info(_("Choose at least one objective above; the tokens take its colours."), icon=":material/touch_app:")
else:
    values = read_values(names)
    objectives = {name: CATALOG[name].from_knobs(values[name]) for name in names}
    found = findings_by_now(source, objectives)
    waiting = found is None
    looks = {
        "sequence": _("One sequence"),
        "batch": _("Whole file"),
        "groups": _("Groups"),
        "findings": _("Findings") if found is None else _("Findings ({n})").format(n=len(found)),
        "fit": _("Which τ, which ε"),
    }
    url_choice(LOOK, looks, "sequence")
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        look = st.segmented_control(
            _("Look at"),
            list(looks),
            format_func=looks.__getitem__,
            required=True,
            wrap=True,
            key=LOOK,
            label_visibility="collapsed",
        )
        report_button(source, objectives, found)
    notes(source.rollouts)
    if look == "sequence":
        sequence_view(source, objectives)
    elif look == "batch":
        batch_view(source, objectives)
    elif look == "groups":
        groups_view(source, objectives)
    elif look == "findings":
        findings_view(source, findings_of(source, objectives))
    else:
        fit_view(source)
fields = st.expander(
    _("What a rollout file holds"),
    icon=":material/description:",
    expanded=source is None,
    key="tokens: fields",
    on_change="rerun",
)
if fields.open:
    with fields:
        schema_help()
if source is not None and waiting:
    findings_of(source, objectives)
    st.rerun()  # their number stands above
