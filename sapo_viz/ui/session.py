"""What a visit remembers: the one place that touches Streamlit's session state.

A key is the name of a widget, of a component, or of something kept between two runs of a page. Widgets and pages share
one dictionary, so keys say whose they are: "tokens: upload".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

T = TypeVar("T")

OPEN_FILE = "tokens: shown"  # what the Tokens page shows (tokens.source.Source), for other pages too
OPEN_SEQUENCE = "tokens: strip shows"  # what its strip draws: (analysis, index)
WORK = "tokens: work"  # what was worked out from it (work.py)
MADE_ANEW = (OPEN_FILE, OPEN_SEQUENCE, WORK)  # large, and made again from what the visitor chose or uploaded


def get(key: str, usual: Any = None) -> Any:
    """What is kept under `key`; for a widget its value, while it is shown."""
    return st.session_state.get(key, usual)


def has(key: str) -> bool:
    """Whether anything is kept. Streamlit forgets a widget that is not shown."""
    return key in st.session_state


def put(key: str, value: T) -> T:
    """Keep `value`. For a widget only before it is made, or in a callback."""
    st.session_state[key] = value
    return value


def take(key: str, usual: Any = None) -> Any:
    """What is kept, which is kept no longer."""
    return st.session_state.pop(key, usual)


def get_or_put(key: str, make: Callable[[], T]) -> T:
    """What is kept; `make()` is kept where nothing is."""
    if key not in st.session_state:
        st.session_state[key] = make()
    return st.session_state[key]  # type: ignore[no-any-return]


def my_runs() -> list[str]:
    """The ids of the runs that this visit has started, to be added to: quotas are counted by them."""
    return get_or_put("runs: started by this visit", list[str])


def sent(key: str, name: str) -> Any:
    """What the component or dataframe `key` sent under `name` last; None if it sent nothing."""
    return st.session_state[key].get(name)
