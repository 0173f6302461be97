"""Every page as it was left: returning through the menu brings no address along, and should lose no work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import streamlit as st

from sapo_viz.ui import session

_VIEWS = "views: addresses"  # session: page -> its address's parameters
_PAGE = "views: page"  # session: the page that ran last
_SHARED = {"objectives", "present"}  # `address.bind` takes over what was chosen last, on whatever page


@contextlib.contextmanager
def as_left(page: str) -> Iterator[None]:
    """Around the run of `page`: on arrival without parameters, those that it was left with are put back."""
    views: dict[str, dict[str, list[str]]] = session.get_or_put(_VIEWS, dict)
    if session.get(_PAGE) != page and not st.query_params and views.get(page):
        st.query_params.from_dict(views[page])
    session.put(_PAGE, page)
    try:
        yield
    finally:
        views[page] = {name: st.query_params.get_all(name) for name in st.query_params if name not in _SHARED}
