"""Outlier tokens on its page: the sequence of the address in, what the hand made of it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sapo_viz.core.objective import CATALOG
from sapo_viz.figures.exhibits.outlier import CONTROLS, MOST_TOKENS, can_be_shown, outlier_data, start
from sapo_viz.ui.address import Number, Read, Word, read, read_values, write, write_number, write_values
from sapo_viz.ui.exhibits.shared import exhibit, read_option, shared_words, write_option
from sapo_viz.ui.words import _

_AXES, _SHOWN = ["linear", "log"], ["weight", "coefficient"]
_SIGN = Word(("1", "-1"), "1")  # of the advantage


def outlier_choices() -> list[str]:
    """The objectives that the exhibit can show, in the order of the catalogue."""
    return [name for name in CATALOG if can_be_shown(name)]


def left_out() -> str:
    """Labels of those that it cannot show."""
    return ", ".join(cls.label for name, cls in CATALOG.items() if not can_be_shown(name))


def outlier(names: list[str]) -> None:
    """The exhibit for the chosen objectives."""
    usual = start(names)
    knobs = read_values(names)
    values = dict(
        ratios=read("ratios", _Ratios(usual["ratios"])),
        more=int(read("more", Number(CONTROLS["more"], _("Outlier tokens")))),
        sign=int(read("A", _SIGN) or 1),
        axis=read_option("axis", _AXES),
        show=read_option("show", _SHOWN),
        old=read("old", Number(CONTROLS["old"], _("Outlier tokens"))),
        knobs={name: knobs[name] for name in names},
    )
    exhibit("outlier", outlier_data(names, values, _labels(), _cases()), _keep)


@dataclass(frozen=True)
class _Ratios:
    """The tokens' ratios, with commas between them."""

    usual: list[float]

    def read(self, key: str, text: str) -> Read[list[float]]:
        spec = CONTROLS["ratio"]
        try:
            ratios = [float(part) for part in text.split(",")]
        except ValueError:
            ratios = []
        if 1 <= len(ratios) <= MOST_TOKENS and all(spec.lo <= ratio <= spec.hi for ratio in ratios):
            return Read(ratios)
        said = _(
            "The link's ratios are ignored: it takes 1 to {most} numbers from {lo:g} to {hi:g}, separated by commas."
        )
        return Read(self.usual, said.format(most=MOST_TOKENS, lo=spec.lo, hi=spec.hi))

    def write(self, value: list[float]) -> str:
        return ",".join(f"{ratio:.4g}" for ratio in value)

    def fit(self, value: list[float]) -> list[float]:
        return value


def _keep(values: dict[str, Any]) -> None:
    write("ratios", _Ratios(start([])["ratios"]), [float(ratio) for ratio in values["ratios"][:MOST_TOKENS]])
    write("A", _SIGN, "-1" if values["sign"] < 0 else "1")
    for name in ("more", "old"):
        write_number(name, Number(CONTROLS[name], _("Outlier tokens")), values[name])
    write_option("axis", _AXES, values["axis"])
    write_option("show", _SHOWN, values["show"])
    write_values(values["knobs"])


def _labels() -> dict[str, Any]:
    return shared_words() | dict(
        title=_("The sequence: drag a token up or down"),
        ratio=_("ratio r"),
        sequence=_("Sequence"),
        chosen=_("chosen token"),
        chosen_ratio=_("ratio of the chosen token"),
        length=_("tokens in all"),
        add=_("Add a token"),
        remove=_("Remove it"),
        axis=_("Axis"),
        show=_("Bars"),
        weight=_("weight w"),
        coefficient=_("r·w"),
        handle=_("ratio of token {n}"),
        band=_("{label}'s band"),
        more=_("+ {n} at r = 1"),
        kept=_("gradient kept"),
        tally=_("{alive} of {total} tokens"),
        table=_("What is kept, s = {s}; the outlier is the token with r = {r}"),
        columns=[_("Objective"), _("gradient kept"), _("tokens kept"), _("w of the outlier"), _("its coefficient r·w")],
        alt=_(
            "A sequence of tokens with ratios {ratios}, and {more} more at ratio 1, {sign}, sequence ratio s {s}. "
            "{rows}."
        ),
        alt_row=_("{label} keeps {share} of the gradient, {alive} of {total} tokens"),
    )


def _cases() -> dict[str, tuple[str, str]]:
    """Case -> what is on its button, and what to see in it."""
    return {
        "worked": (
            _("The argument"),
            _(
                "Three tokens are nearly on-policy, one is not. The outlier lifts s out of GSPO's band, so GSPO loses "
                "all four; GRPO cuts the one; SAPO keeps three and dims the one."
            ),
        ),
        "negative": (
            _("… with A < 0"),
            _(
                "The same ratios with bad news: nothing bounds r from above for A < 0. GRPO and GSPO now keep the "
                "outlier whole, with coefficients r·w of 2.5 and s = 1.26; SAPO dims it and loses no token."
            ),
        ),
        "wide": (
            _("… with a wide band"),
            _(
                "With a band of 0.3 the argument is gone: s stays inside and GSPO keeps everything, the outlier at "
                "full weight too. How much GSPO loses is a matter of its band."
            ),
        ),
        "long": (
            _("… in a long sequence"),
            _(
                "Among 2,400 tokens one outlier moves s by 0.04 % only, and even the paper's narrow band keeps the "
                "whole sequence, with the outlier at full weight: what is lost or kept depends on the length."
            ),
        ),
        "below": (
            _("… with a corrective move"),
            _(
                "A good token that has become unlikely (r = 0.3): this step would put it right. GRPO and GSPO help "
                "at full weight; here SAPO is the one that dims."
            ),
        ),
    }
