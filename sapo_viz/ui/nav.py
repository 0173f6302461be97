"""Where the pages are, for the navigation, and for links from one page to another."""

from __future__ import annotations

from pathlib import Path

from sapo_viz.paths import PAGES


def page_file(name: str) -> Path:
    """The script of a page, such as home or train. `st.page_link` takes it as it is."""
    return PAGES / f"{name}.py"
