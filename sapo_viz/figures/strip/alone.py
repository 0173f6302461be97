"""The token strip without the app: in a report, or in a notebook's cell, with its sliders and no server behind them."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass
from typing import Any

from sapo_viz.browser.code import code
from sapo_viz.figures.packed import pack_arrays
from sapo_viz.figures.page import html_page, text
from sapo_viz.figures.strip.data import strip_data
from sapo_viz.figures.strip.words import strip_words
from sapo_viz.rollouts.analysis.analyse import Analysis
from sapo_viz.rollouts.findings.summary import most_telling_token

MOST_BYTES = 600_000  # of one strip's data; a token may be a megabyte of text, an objective may need numbers of its own
_SIZES = ((8192, 1000), (2048, 200), (512, 40), (128, 10))  # tokens, characters of a token: the first that fits


def strip_block(analysis: Analysis, index: int, token: int | None = None) -> dict[str, Any] | None:
    """What the browser draws sequence `index` from, around its most telling token; None if nothing of it fits.

    Args:
        token: position (from 0) that is chosen at first; if not given, where the objectives disagree most.

    Returns:
        bytes (base64 of `pack_arrays`), token (its place in what is sent), first, shown and total tokens.
    """
    token = most_telling_token(analysis, index) if token is None else token
    for page, characters in _SIZES:
        header, arrays = strip_data(analysis, index, part=token // page, page=page, labels=strip_words())
        header["texts"] = [own if len(own) <= characters else own[:characters] + "…" for own in header["texts"]]
        packed = pack_arrays(header | {"typesetter": ""}, arrays)
        if len(packed) <= MOST_BYTES:
            return {
                "bytes": base64.b64encode(packed).decode(),
                "token": token - header["first"],
                "first": header["first"],
                "shown": len(arrays["token"]),
                "total": header["total"],
            }
    return None


@dataclass(frozen=True)
class StripView:
    """A sequence's strip as a notebook shows it; `html()` is a whole page, to be saved or framed."""

    analysis: Analysis
    index: int
    height: int = 640

    def html(self) -> str:
        block = strip_block(self.analysis, self.index)
        name = self.analysis.rollouts.ids[self.index][:80]
        place = f'<div data-strip="strip-0" role="group" aria-label="{text(name)}"></div>'
        linked = code("report/report.js")
        return html_page(
            f"Tokens of {name}",
            f'<main class="alone">{place}</main>',
            style=linked.css,
            scripts=[("module", linked.js)],
            data={} if block is None else {"strip-0": block},
        )

    def _repr_html_(self) -> str:
        """In a frame of its own: the notebook's styles stay outside, and the token text has no way to its page."""
        return (
            f'<iframe sandbox="allow-scripts" title="Tokens" style="width:100%;height:{self.height}px;border:0" '
            f'srcdoc="{html.escape(self.html(), quote=True)}"></iframe>'
        )


def token_strip(analysis: Analysis, index: int = 0, *, height: int = 640) -> StripView:
    """The live strip of sequence `index` (from 0) for a notebook: colours, rows and sliders work without a server.

    Raises:
        IndexError: there is no such sequence.
    """
    return StripView(analysis, range(len(analysis.rollouts))[index], height)
