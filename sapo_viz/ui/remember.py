"""What was computed for this visit, kept until its inputs change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

from sapo_viz.ui import session

T = TypeVar("T")


def remembered(key: str, inputs: Any, make: Callable[[], T], message: str = "") -> T:
    """`make()`, or what it gave last time if `inputs` are equal; one value per key, so memory stays bounded."""
    kept = session.get(key)
    if kept is not None and kept[0] == inputs:
        return kept[1]  # type: ignore[no-any-return]
    if message:
        with st.spinner(message, show_time=True):
            value = make()
    else:
        value = make()
    session.put(key, (inputs, value))
    return value
