"""How lines are told apart where several settings of one objective are drawn: by colour and by line style.

The first of an objective has the objective's own look. Each further one has a look of its own, not a shade of the
first: these colours lie at least 12 apart (CIE76) from one another and from the main three for readers with any of the
three kinds of colour blindness (Machado et al. 2009), with 2.9:1 or more on the light and the dark page.
"""

from __future__ import annotations

from collections.abc import Sequence

from sapo_viz.figures.palette import LineStyle, style_of

COLORS = ("#CC79A7", "#999933", "#AA3377", "#6699CC", "#8C6D46")
DASHES = ("dot", "longdash", "longdashdot", "10px,3px,2px,3px,2px,3px", "3px,8px")  # the main three have others

# Pairs of which no two are alike: all colours, then all again with the next line style.
FURTHER = tuple(
    LineStyle(color, DASHES[(place + turn) % len(DASHES)])
    for turn in range(len(DASHES))
    for place, color in enumerate(COLORS)
)


def looks(objectives: Sequence[str]) -> list[LineStyle]:
    """The look of each line, in order, of lines with these objectives."""
    own = {style_of(name).color for name in objectives}
    free = [look for look in FURTHER if look.color not in own]
    seen: set[str] = set()
    chosen = []
    for name in objectives:
        chosen.append(free.pop(0) if name in seen else style_of(name))
        seen.add(name)
    return chosen
