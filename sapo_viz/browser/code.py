"""The browser's code for the catalogue as it is now: linked once for each entry, anew when an objective joins."""

from __future__ import annotations

import re
from functools import lru_cache

from sapo_viz.browser.link import Linked, link, read
from sapo_viz.core.objective import CATALOG

FORMULAS = "formulas.js"


def code(entry: str) -> Linked:
    """`entry`, a module of this folder such as `curves/curves.js`, with everything that it imports."""
    return _linked(entry, tuple(CATALOG))


def formulas(names: tuple[str, ...]) -> str:
    """The module of formulas as shipped, and those of objectives that a user has registered since."""
    text = read(FORMULAS)
    shipped = set(re.findall(r"^(\w+): function", text, re.MULTILINE))
    added = {name: CATALOG[name] for name in names if name not in shipped}
    if added:  # traced now, which imports torch
        from sapo_viz.printed.javascript import halves, javascript

        text += "".join(f"FORMULAS.{name} = {javascript(cls)};\n{halves(cls)}" for name, cls in added.items())
    return text


@lru_cache
def _linked(entry: str, names: tuple[str, ...]) -> Linked:
    return link(entry, lambda path: formulas(names) if path == FORMULAS else read(path))
