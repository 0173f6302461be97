"""A module of browser code as a component of a page."""

from __future__ import annotations

import posixpath
from functools import lru_cache
from typing import Any

import streamlit as st

from sapo_viz.browser.code import code
from sapo_viz.browser.link import Linked


def component(entry: str) -> Any:
    """What mounts `entry`, say `curves/curves.js`; call it with `key`, `data` and what is to happen on a change."""
    name = posixpath.basename(entry).removesuffix(".js")
    return _registered(name, code(entry))


@lru_cache
def _registered(name: str, linked: Linked) -> Any:
    """Once for each code, under a name of its own: an objective that joins the catalogue changes what is linked."""
    unique = f"sapo_viz.{name}_{hash(linked.js) & 0xFFFFFFFF:x}"
    return st.components.v2.component(unique, js=linked.js, css=linked.css, isolate_styles=False)
