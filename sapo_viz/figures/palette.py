"""One colour and one line style for each objective, everywhere.

They follow from the place in the catalogue, so a new objective has its own without a second list. The
first three are SAPO blue, GRPO orange and GSPO green, as in figure 1 of arXiv 2511.20347; the colours
are Okabe and Ito's (yellow left out: too faint on white), told apart by line style as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sapo_viz.core.objective import CATALOG

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D46", "#7F7F7F")
UNKNOWN = "#8A8A8A"  # of what has no objective that is known
DASHES = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot")


@dataclass(frozen=True)
class LineStyle:
    color: str  # hex
    dash: str  # Plotly's name


def style_of(name: str) -> LineStyle:
    """The line of an objective of the catalogue."""
    place = list(CATALOG).index(name)
    turn = place // math.lcm(len(COLORS), len(DASHES))  # after 24 the pairs would come round again
    return LineStyle(COLORS[place % len(COLORS)], DASHES[(place + turn) % len(DASHES)])


# Token weights: 0 pale to 1 deep on one perceptually even blue scale (single hue, so safe for every
# reader), and above 1 an orange that no weight in [0, 1] has.
WEIGHT_SCALE = ("#F4F6F8", "#D6E4F0", "#A9CBE4", "#74ABD4", "#3D86BD", "#0B5C94")
ABOVE_ONE = "#E8A33D"
# The same on a dark page: weight 0 recedes into the background there too.
WEIGHT_SCALE_DARK = ("#22282F", "#203A50", "#1F4E75", "#27679B", "#4389BF", "#86C1EC")
