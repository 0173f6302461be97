"""Sequence coherence: is the mean of the token gates one gate on the sequence?

D_i = |mean_t sech²(τ z_t/2) − sech²(τ/2 · log s_i)|. With f(z) = sech²(τz/2), |f″| ≤ τ²/2, so Taylor around the
mean gives D_i ≤ (τ²/4)·Var_i, for the gate taken in z. The gate that is trained is taken in r; its second
derivative in z is larger, and it can exceed the line (arXiv 2511.20347; about 2.9 times on random input).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sapo_viz.core.knobs import Knob
from sapo_viz.figures.exhibits.shared import control, knob_json
from sapo_viz.figures.palette import style_of

if TYPE_CHECKING:
    from sapo_viz.rollouts.schema import Rollouts

MOST_TOKENS = 100_000  # of a file: what a browser computes within a frame or two

CONTROLS: dict[str, Knob] = {
    spec.name: spec
    for spec in (
        control("tau", "τ", 1.0, 0.05, 20.0, ui=(0.1, 20.0), log=True, help="Temperature of the gate, for any sign."),
        control("within", "σ_in", 0.2, 0.0, 2.0, help="Spread of log r among the tokens of one sequence (A2)."),
        control("between", "σ_s", 0.1, 0.0, 2.0, help="Spread of log s between sequences."),
        control("sequences", "B", 200, 10, 500, step=1, help="Sequences drawn."),
        control("length", "T", 64, 2, 200, step=1, help="Tokens in each of them."),
        control("seed", "seed", 0, 0, 9999, step=1, help="The same seed gives the same draws, on every machine."),
    )
}
AXES, TAILS = ["linear", "log"], ["normal", "heavy"]


def start() -> dict[str, Any]:
    """What the browser's values are at first."""
    return dict(numbers={name: spec.default for name, spec in CONTROLS.items()}, axes=AXES[0], tail=TAILS[0])


def cases(file: bool) -> dict[str, dict[str, Any]]:
    """name -> the values that make the case. A file's sequences are as they are: only τ is varied there."""
    drawn = {name: CONTROLS[name].default for name in ("within", "between", "sequences", "length")}
    both = {
        "gentle": dict(numbers=drawn | dict(tau=1.0), tail="normal"),
        "sharp": dict(numbers=drawn | dict(tau=5.0), tail="normal"),
        "spread": dict(numbers=drawn | dict(tau=1.0, within=1.0), tail="normal"),
        "high": dict(numbers=drawn | dict(tau=1.0, within=0.3, between=0.6), tail="normal"),
        "heavy": dict(numbers=drawn | dict(tau=1.0, within=0.4), tail="heavy"),
    }
    return {} if file else both


def file_data(rollouts: Rollouts) -> dict[str, Any]:
    """The log-ratios of the response tokens, sequence after sequence; the first MOST_TOKENS of a long file."""
    import numpy as np  # when there is a file; the drawn sequences do without

    z, starts, ids = [], [0], []
    for i in range(len(rollouts)):
        part = slice(int(rollouts.offsets[i]), int(rollouts.offsets[i + 1]))
        own = np.clip(rollouts.log_ratio[part][rollouts.mask[part]], -20.0, 20.0)
        if not len(own):
            continue
        if starts[-1] + len(own) > MOST_TOKENS:
            break
        z.append(own)
        ids.append(rollouts.ids[i])
        starts.append(starts[-1] + len(own))
    flat = np.concatenate(z) if z else np.zeros(0)
    return dict(name=rollouts.name, z=np.round(flat, 7).tolist(), starts=starts, ids=ids)


def coherence_data(
    values: dict[str, Any],
    labels: dict[str, Any],
    case_words: dict[str, tuple[str, str]],
    file: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything that browser/exhibits/coherence.js draws from."""
    return dict(
        name="coherence",
        controls={name: knob_json(spec) for name, spec in CONTROLS.items()},
        values=values,
        usual=start(),
        cases=[
            dict(name=name, label=case_words[name][0], note=case_words[name][1], values=made)
            for name, made in cases(file is not None).items()
        ],
        color=style_of("sapo").color,
        file=file,
        labels=labels,
    )
