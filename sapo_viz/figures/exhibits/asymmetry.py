"""Asymmetric temperatures: the logit gradient of one good and one bad update over a whole vocabulary.

∂(log π(y)·A·w)/∂logit_v = (1 − π(y))·A·w for v = y and −π(v)·A·w otherwise: the total on the unsampled tokens is
(1 − π(y))·|A|·w whatever the vocabulary; a larger one spreads it thinner (arXiv 2511.20347 argues for τ₋ > τ₊).
"""

from __future__ import annotations

from typing import Any

from sapo_viz.core.knobs import Knob
from sapo_viz.figures.exhibits.shared import control, knob_json, objective_json, usual_knobs

CONTROLS: dict[str, Knob] = {
    spec.name: spec
    for spec in (
        control("vocabulary", "V", 1000, 32, 150_000, log=True, step=1, help="Tokens in the vocabulary."),
        control("p", "π(y)", 0.3, 0.001, 0.999, step=0.001, help="Probability of the sampled token."),
        control("zipf", "Zipf", 1.0, 0.0, 2.5, step=0.05, help="The k-th other token has k^−Zipf; 0 is uniform."),
        control("ratio", "r", 1.2, 0.05, 20.0, ui=(0.1, 10.0), log=True, help="Ratio of the sampled token."),
    )
}
SCALES = ["weight", "coefficient"]


def start() -> dict[str, Any]:
    """What the browser's values are at first: the knobs of the paper."""
    return dict(
        numbers={name: spec.default for name, spec in CONTROLS.items()},
        knobs=usual_knobs(["sapo"])["sapo"],
        scale=SCALES[0],
    )


def cases() -> dict[str, dict[str, Any]]:
    """name -> the values that make the case; the words on them are the page's."""
    numbers, knobs = start()["numbers"], start()["knobs"]
    return {
        "usual": dict(numbers=numbers, knobs=knobs),
        "large": dict(numbers=numbers | dict(vocabulary=150_000), knobs=knobs),
        "uniform": dict(numbers=numbers | dict(vocabulary=150_000, zipf=0.0), knobs=knobs),
        "far": dict(numbers=numbers | dict(ratio=2.5), knobs=knobs),
        "sharp": dict(numbers=numbers | dict(ratio=2.5), knobs=knobs | dict(tau_neg=2.0)),
        "sure": dict(numbers=numbers | dict(p=0.95), knobs=knobs),
    }


def asymmetry_data(
    values: dict[str, Any], labels: dict[str, Any], case_words: dict[str, tuple[str, str]]
) -> dict[str, Any]:
    """Everything that browser/exhibits/asymmetry.js draws from."""
    return dict(
        name="asymmetry",
        objective=objective_json("sapo"),
        controls={name: knob_json(spec) for name, spec in CONTROLS.items()},
        values=values,
        usual=start(),
        cases=[
            dict(name=name, label=case_words[name][0], note=case_words[name][1], values=made)
            for name, made in cases().items()
        ],
        labels=labels,
    )
