"""The words on the token strip: the page translates them, a report and a notebook have them in English."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sapo_viz.figures.correction import correction_words


def strip_words(_: Callable[[str], str] = str) -> dict[str, Any]:
    """Key -> words, each through `_`."""
    return dict(
        correction=correction_words(_),
        reset=_("Reset to defaults"),
        no_knobs=_("No knobs."),
        takes=_("It takes values from {lo} to {hi}."),
        number=_("as a number"),
        strip=_("Tokens. Arrow keys move from token to token, Enter opens its numbers."),
        view=_("Rows"),
        compare=_("Compare"),
        shown=_("Colour:"),
        weight=_("what is lost, 1 − w"),
        lost=_("lost:"),
        lost_most=_("lost, the most of any:"),
        coefficient=_("coefficient c"),
        change=_("log-prob change z"),
        middle=_("middle: {x}"),
        kept=_("Share of this sequence's gradient that is kept"),
        above=_("amplified: w above 1"),
        cut=_("cut: no gradient"),
        reversed=_("turned round: w below 0"),
        bars=_("Bars: what each loses"),
        fate_cut=_("cut"),
        fate_keeps=_("keeps {x} %"),
        fate_more=_("amplified × {x}"),
        fate_reversed=_("turned round × {x}"),
        call=_("tool call"),
        result=_("tool's answer"),
        thought=_("thought"),
        image=_("image"),
        video=_("video"),
        audio=_("audio"),
        masked=_("masked: not part of the loss"),
        masked_note=_("Masked: this token is not part of the loss and gets no gradient."),
        no_gradient=_("A = 0: no gradient flows here. The weights are those of a small negative A."),
        point=_("Hover over a token, tap it, or use the arrow keys to see its numbers."),
        panel=_("The chosen token's numbers and formulas. Escape returns to the token."),
        place=_("token {i} of {n}"),
        token_id=_("id"),
        objective=_("Objective"),
        ratio=_("ratio r"),
        empty=_("empty token"),
        find=_("Find in the tokens"),
        find_next=_("Next match (Enter)"),
        find_before=_("Previous match (Shift + Enter)"),
        found=_("{i} of {n}"),
        found_none=_("not found"),
        found_elsewhere=_("{here} here, {n} in {k} others"),
        found_also=_("{i} of {here}; {n} in {k} others"),
        shared_mean=_(
            "s = exp(mean z) over the sequence's {n} response tokens = {x}: every token of the sequence shares it."
        ),
        shared_own=_(
            "One ratio for the sequence, {x}: exp of the mean over its {n} response tokens, after each token's z went "
            "through this objective's own rule. Every token shares it."
        ),
        shared_product=_(
            "W = Π r over the sequence's {n} response tokens = {x}, held within exp(±20): every token shares it."
        ),
        on_release=_("These numbers update when you release the knob."),
    )
