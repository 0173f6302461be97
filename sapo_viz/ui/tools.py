"""What every page has: its link to copy, presenting it, and the way from a table to the strip above."""

from __future__ import annotations

from sapo_viz.figures.looks import COLORS as FURTHER_COLORS
from sapo_viz.figures.palette import COLORS
from sapo_viz.ui import address, session
from sapo_viz.ui.component import component
from sapo_viz.ui.pack import pack
from sapo_viz.ui.words import _

_KEY = "page-tools"
_PRESENT = "present"  # the address, and the session: it stays while one goes from page to page
_PAGE = "page: tools of"  # session: the page that ran last
_ARRIVE = "page: arrivals"  # session: how often something was chosen that is shown further up


def page_tools(page: str) -> None:
    """Before `page`: presenting is in its address, so that a link opens it so, and the menu's pages follow."""
    here = session.get(_PAGE, page) == page
    present = address.text(_PRESENT, "") == "1" or (not here and bool(session.get(_PRESENT, False)))
    address.put(_PRESENT, "1" if present else None)
    session.put(_PRESENT, present)
    session.put(_PAGE, page)

    def turned() -> None:
        on = session.sent(_KEY, _PRESENT) == "on"
        session.put(_PRESENT, on)
        address.put(_PRESENT, "1" if on else None)

    words = dict(
        link=_("Copy link"),
        copied=_("Copied"),
        not_copied=_("Copy it from the address bar"),
        present=_("Present this page (P)"),
        leave=_("End presenting (P)"),
        controls=_("Controls (C)"),
    )
    data = dict(words=words, present=present, arrive=session.get(_ARRIVE, 0), hues=[*COLORS, *FURTHER_COLORS])
    component("page/tools.js")(key=_KEY, data=pack(data), on_present_change=turned)


def lead_to_strip() -> None:
    """Something was chosen that the strip shows: bring it into sight, with the focus in it. For callbacks."""
    session.put(_ARRIVE, int(session.get(_ARRIVE, 0)) + 1)
