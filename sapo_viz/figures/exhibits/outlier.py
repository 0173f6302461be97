"""Outlier tokens: what the picture starts from, and the cases in which the argument holds and does not.

Worked case: r = (1.02, 1.01, 0.99, 2.5), so s = exp(mean log r) = 1.264: beyond GSPO's band, which drops all
four tokens; SAPO keeps three of them above 0.999 and dims the fourth to 0.60.
"""

from __future__ import annotations

from typing import Any

from sapo_viz.core.knobs import Knob
from sapo_viz.core.objective import CATALOG
from sapo_viz.figures.exhibits.shared import control, knob_json, objective_json, usual_knobs

WORKED = (1.02, 1.01, 0.99, 2.5)
MOST_TOKENS = 64
USUAL_OBJECTIVES = ["sapo", "grpo", "gspo"]

CONTROLS: dict[str, Knob] = {
    "ratio": control("ratio", "r", 1.0, 0.05, 20.0, log=True, help="Ratio of the chosen token."),
    "more": control("more", "", 0, 0, 100_000, step=1, help="Further tokens at r = 1, which have no handle."),
    "length": control(
        "length", "T", 4, 1, 100_064, ui=(1, 10_000), log=True, step=1, help="Tokens in all; those added have r = 1."
    ),
    "old": control(
        "π_old",
        "π",
        0.05,
        1e-6,
        1.0,
        log=True,
        help="Probability of each token when it was sampled (at most 1/r): DPPO looks at how far it moved.",
    ),
}


def can_be_shown(name: str) -> bool:
    """Whether the browser's formulas of one token say what each token of a sequence receives.

    Not for a product of ratios through which the gradient flows: each token would receive it T times over. Nor where
    other tokens have a say. VESPO's product is a stopped factor. Tokens that are treated before the mean (GMPO) have
    formulas of their own.
    """
    cls = CATALOG[name]
    return not cls.reads_batch and (cls.ratio_level != "sequence-product" or cls.reads_logprobs)


def start(names: list[str]) -> dict[str, Any]:
    """The worked case at the usual knobs, as the browser's values."""
    return dict(
        ratios=list(WORKED),
        more=0,
        sign=1,
        axis="linear",
        show="weight",
        old=CONTROLS["old"].default,
        knobs=usual_knobs(names),
    )


def cases(names: list[str]) -> dict[str, dict[str, Any]]:
    """name -> the values that make the case; the words on them are the page's."""
    usual = start(names)
    wide = usual_knobs(names)
    wide.setdefault("gspo", {}).update(eps_low=0.3, eps_high=0.3)
    plain = dict(ratios=usual["ratios"], more=0, sign=1, knobs=usual["knobs"])
    return {
        "worked": plain,
        "negative": plain | dict(sign=-1),
        "wide": plain | dict(knobs=wide),
        "long": plain | dict(more=2396),
        "below": plain | dict(ratios=[1.02, 1.01, 0.99, 0.3]),
    }


def outlier_data(
    names: list[str], values: dict[str, Any], labels: dict[str, Any], case_words: dict[str, tuple[str, str]]
) -> dict[str, Any]:
    """Everything that browser/exhibits/outlier.js draws from. `case_words`: case -> (button, sentence)."""
    return dict(
        name="outlier",
        objectives=[objective_json(name) for name in names],
        controls={name: knob_json(spec) for name, spec in CONTROLS.items()},
        values=values,
        usual=start(names),
        cases=[
            dict(name=name, label=case_words[name][0], note=case_words[name][1], values=made)
            for name, made in cases(names).items()
        ],
        most=MOST_TOKENS,
        labels=labels,
    )
