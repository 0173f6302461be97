"""Which objectives: the one chooser of every page. A short row to click, and all of them by family behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from sapo_viz.core.objective import CATALOG
from sapo_viz.printed.reference import found
from sapo_viz.ui import session
from sapo_viz.ui.address import Words, bind
from sapo_viz.ui.words import _

Visibility = Literal["visible", "hidden", "collapsed"]

_KEY = "objectives"
_ROW = ("sapo", "grpo", "gspo", "dapo", "cispo")  # what is in the row before anything is chosen
_FIND = "objectives: find"


def choose_objectives(
    usual: list[str], options: Sequence[str] | None = None, *, label_visibility: Visibility = "visible", help: str = ""
) -> list[str]:
    """The chosen objectives in the catalogue's order; kept in the address and carried from page to page.

    Args:
        usual: what is chosen where neither the address nor an earlier choice says anything.
        options: those that this page can show; all of the catalogue if None.
    """
    names = [name for name in CATALOG if options is None or name in options]
    bind(_KEY, Words(tuple(names), usual, elsewhere=tuple(CATALOG)), carried=True)
    chosen = set(session.get(_KEY))
    row = [name for name in names if name in chosen or name in _ROW or name in usual]
    # A button is higher than the pills: their labels stand on one line where nothing stands above the pills.
    beside: Literal["bottom", "center"] = "bottom" if label_visibility == "visible" else "center"
    with st.container(horizontal=True, vertical_alignment=beside, gap="small", key="chooser", width="content"):
        st.pills(
            _("Objectives"),
            row,
            selection_mode="multi",
            wrap=True,
            format_func=_label,
            key=_KEY,
            label_visibility=label_visibility,
            help=help or None,
        )
        if len(row) < len(names):
            with st.popover(_("All {n}").format(n=len(names)), icon=":material/apps:"):
                _by_family(names, chosen)
    now = session.get(_KEY)
    return [name for name in names if name in now]


def _by_family(names: list[str], chosen: set[str]) -> None:
    """Every objective under the name of its family, those that answer to what is typed."""
    wanted = st.text_input(
        _("Find an objective"),
        key=_FIND,
        live=True,
        icon=":material/search:",
        placeholder=_("τ, clip_ratio_c, sequence, 2507.18071 …"),
    )
    shown = [name for name in names if found(CATALOG[name], wanted or "")]
    if not shown:
        st.caption(_("Nothing matches that name."))
    titles = _families()
    for family in dict.fromkeys(CATALOG[name].family for name in shown):
        members = [name for name in shown if CATALOG[name].family == family]
        key = f"objectives: {family}"
        session.put(key, [name for name in members if name in chosen])
        st.pills(
            titles.get(family, family),
            members,
            selection_mode="multi",
            wrap=True,
            format_func=_label,
            key=key,
            on_change=_take_over,
            args=(key, members),
        )


def _take_over(key: str, members: list[str]) -> None:
    """A click in a family becomes part of the one choice."""
    picked = set(session.get(key) or [])
    before = [name for name in session.get(_KEY) or [] if name not in members]
    session.put(_KEY, [name for name in CATALOG if name in picked or name in before])


def _label(name: str) -> str:
    return CATALOG[name].label


def _families() -> dict[str, str]:
    return {
        "soft gate": _("Soft gates: every token, dimmed"),
        "hard clip": _("Hard clips: kept or cut, token by token"),
        "sequence level": _("Sequence level: one ratio for the whole answer"),
        "stopped ratio": _("Stopped ratio: the weight is set, not learned through"),
        "whole batch": _("Whole batch: a token's fate depends on the others"),
        "no gate": _("No gate"),
        "other": _("Others"),
    }
