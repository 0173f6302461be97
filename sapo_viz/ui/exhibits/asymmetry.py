"""Asymmetric temperatures on its page."""

from __future__ import annotations

from typing import Any

from sapo_viz.figures.exhibits.asymmetry import CONTROLS, SCALES, asymmetry_data
from sapo_viz.ui.address import read_values, write_values
from sapo_viz.ui.exhibits.shared import exhibit, read_controls, read_option, shared_words, write_controls, write_option
from sapo_viz.ui.words import _


def asymmetry() -> None:
    """The exhibit, with what the address says."""
    owner = _("Asymmetric temperatures")
    numbers = read_controls(CONTROLS, owner)
    values = dict(
        numbers=numbers | dict(vocabulary=round(numbers["vocabulary"])),
        knobs=read_values(["sapo"])["sapo"],
        scale=read_option("scale", SCALES),
    )

    def keep(sent: dict[str, Any]) -> None:
        write_controls(CONTROLS, owner, sent["numbers"])
        write_option("scale", SCALES, sent["scale"])
        write_values({"sapo": sent["knobs"]})

    exhibit("asymmetry", asymmetry_data(values, _labels(), _cases()), keep)


def _labels() -> dict[str, Any]:
    return shared_words() | dict(
        scale=_("Scaled by"),
        weight=_("weight w"),
        coefficient=_("r·w"),
        policy=_("Policy at this position"),
        update=_("Update"),
        good=_("Good news, A = +1"),
        bad=_("Bad news, A = −1"),
        gradient=_("push on the logit"),
        sampled=_("sampled"),
        together=_("all others"),
        together_short=_("others"),
        rest=_("mean"),
        one_by_one=_("the others one by one: 6 largest, mean"),
        sizes=_("Lift of the unsampled, by vocabulary (A = −1)"),
        vocabulary=_("vocabulary V"),
        size=_("size"),
        total=_("total"),
        norm=_("L2 norm"),
        largest=_("largest one"),
        mean=_("mean of one"),
        by_tau=_("What τ₋ changes at this r"),
        tau_neg=_("τ₋"),
        mass=_("total on unsampled"),
        good_total=_("the same for A = +1, at τ₊"),
        table=_("At r = {ratio}, V = {vocabulary}. Having its own τ₋ changes the bad update by {change}."),
        columns=[
            _("Update"),
            _("factor"),
            _("sampled logit"),
            _("all others, sum"),
            _("mean of one"),
            _("L2 norm, all"),
            _("L2 norm, others"),
        ],
        good_row=_("A = +1"),
        bad_row=_("A = −1"),
        alt=_(
            "Gradient on the logits of a vocabulary of {vocabulary} tokens; the sampled one has probability {p}, ratio "
            "{ratio}. A = +1: sampled {good}, all others together {goodOthers}. A = −1: sampled {bad}, all others "
            "together {badOthers}, {mean} each on average. Having its own τ₋ changes the bad update by {change}."
        ),
    )


def _cases() -> dict[str, tuple[str, str]]:
    """Case -> what is on its button, and what to see in it."""
    return {
        "usual": (
            _("The argument"),
            _(
                "Good news pushes every other token down a little; bad news lifts every other token, wanted or not. "
                "Together they get exactly what the sampled one loses. The paper fades bad news sooner: τ₋ > τ₊."
            ),
        ),
        "large": (
            _("V = 150,000"),
            _(
                "The bar of all others is the same to the last digit: a larger vocabulary does not add lift, it "
                "spreads the same lift over more tokens. Vocabulary size alone makes no update larger."
            ),
        ),
        "uniform": (
            _("… and uniform"),
            _(
                "The extreme case: each of 149,999 tokens is lifted by 5 millionths. In one step that is nothing; "
                "whether many steps add up is a question that this picture cannot answer."
            ),
        ),
        "far": (
            _("r = 2.5"),
            _(
                "Away from r = 1 τ matters: 1.05 in place of 1 takes a few per cent off the bad update. At r = 1 it "
                "changes nothing at all, whatever its value."
            ),
        ),
        "sharp": (
            _("… with τ₋ = 2"),
            _(
                "To fade bad news by more than a few per cent τ₋ has to leave the neighbourhood of τ₊. The pushes "
                "then no longer match: a good and a bad update at the same r do not cancel."
            ),
        ),
        "sure": (
            _("a sure token"),
            _(
                "When the policy is sure of the token little is left for the others, and both updates are small. "
                "Diffuse lift is a matter of uncertain positions."
            ),
        ),
    }
