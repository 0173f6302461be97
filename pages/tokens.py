"""Tokens: what each objective does to the tokens of a real sequence."""

import streamlit as st

from sapo_viz.core.objective import CATALOG
from sapo_viz.ui.address import bind_choice, known, read_values
from sapo_viz.ui.chooser import choose_objectives
from sapo_viz.ui.correction import say_what_is_unknown
from sapo_viz.ui.tokens.audit import audit_view
from sapo_viz.ui.tokens.batch import batch_view
from sapo_viz.ui.tokens.corrections import correction_view
from sapo_viz.ui.tokens.decoding import with_texts
from sapo_viz.ui.tokens.fields import notes, schema_help
from sapo_viz.ui.tokens.findings import findings_by_now, findings_of, findings_view
from sapo_viz.ui.tokens.fit import fit_view
from sapo_viz.ui.tokens.groups import groups_view
from sapo_viz.ui.tokens.headline import complete_headline, headline_place
from sapo_viz.ui.tokens.report import report_button
from sapo_viz.ui.tokens.scoring import scoring
from sapo_viz.ui.tokens.sequence import sequence_view
from sapo_viz.ui.tokens.source import choose_source
from sapo_viz.ui.tokens.which import LOOK
from sapo_viz.ui.words import _

st.title(
    _("Which tokens does each objective keep?"),
    help=_(
        "Each token has the colour of what it loses, 1 − w: the share of its gradient that the objective holds back, "
        "given how far the policy has moved on it since it was sampled (the ratio r) and whether that was good (A)."
    ),
)
known("seq", "view", "show", "token", "from", "to")  # of views that need not be the one that is open
source = choose_source()
if source is not None:
    source = with_texts(source)
controls = st.container(horizontal=True, vertical_alignment="center", gap="small", key="tokens-controls")
with controls:
    names = choose_objectives(["sapo", "grpo", "gspo"], label_visibility="collapsed")
waiting = False  # findings on a large file come last, when what was asked for is shown
empty = source is None and not scoring()  # a line of progress says what there is to wait for
if empty:
    st.info(_("Nothing to show yet: the tokens appear here."), icon=":material/touch_app:")
elif source is not None and not names:
    st.info(_("Choose at least one objective above; the tokens take its colours."), icon=":material/touch_app:")
elif source is not None:
    say_what_is_unknown()
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
    bind_choice(LOOK, looks, "sequence")
    with controls:
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
    above = st.container(gap=None)
    notes(source.rollouts)
    wrong = audit_view(source, objectives)
    with above:
        place = headline_place(source, found, wrong)
    if look == "sequence":
        sequence_view(source, objectives)
    elif look == "batch":
        batch_view(source, objectives)
        correction_view(source)
    elif look == "groups":
        groups_view(source, objectives)
    elif look == "findings":
        findings_view(source, findings_of(source, objectives))
    else:
        fit_view(source)
    complete_headline(place, source, objectives, found, wrong)
fields = st.expander(
    _("What a rollout file holds"),
    icon=":material/description:",
    expanded=empty,
    key="tokens: fields",
    on_change="rerun",
)
if fields.open:
    with fields:
        schema_help()
if source is not None and waiting:
    findings_of(source, objectives)
    st.rerun()  # their number stands above
