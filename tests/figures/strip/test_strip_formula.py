"""The formula with a token's numbers put in: read back as arithmetic, it is the J that training computes."""

from __future__ import annotations

import math
import re

import pytest
import torch

from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.core.surrogate import evaluate
from sapo_viz.figures.strip.formula import formula_pieces

# Those whose formula is arithmetic in one token; the others name a product or an indicator in words.
IN_WORDS = ("gmpo", "vespo", "dppo_tv", "dppo_kl", "dgpo", "maspo", "prime_dppo", "prime_ipo", "icepop", "aspo")
ARITHMETIC = [name for name, cls in CATALOG.items() if name not in IN_WORDS and not cls.reads_batch]


def put_in(cls: type[Objective], *, z: float, advantage: float, logp: float) -> str:
    symbols = {
        **{"r": math.exp(z), "s": math.exp(z), "W": math.exp(z), "z": z, "A": advantage, "logp": logp},
        **{"logp_old": logp - z, "p": math.exp(logp), "p_old": math.exp(logp - z), "length": 1},
    }
    knobs = {name: knob.default for name, knob in cls.knobs().items()}
    put = (
        piece
        if isinstance(piece, str)
        else f"{{({(knobs[piece['knob']] if 'knob' in piece else symbols[piece['token']])!r})}}"
        for piece in formula_pieces(cls, advantage > 0)
    )
    return "".join(put)


def arithmetic(tex: str) -> float:
    """The value of TeX made of fractions, roots, powers, products and named functions."""
    text = re.sub(r"\\(?:big|Big|[!, ])\s*", "", tex)
    text = re.sub(r"\\operatorname\s*\{(\w+)\}", r"\1", text)
    text = re.sub(r"\|([^|]*)\|", r"\\abs{(\1)}", text)
    text = text.replace(r"\cdot", "*").replace("[", "(").replace("]", ")").replace("^", "**")
    text = re.sub(r"\\(\w+)\s*", r"\1 ", text)
    # a fraction's first part is a digit or a group; its second follows at once
    text = re.sub(r"t?frac\s*(\d)\s*\{", r"frac{\1}{", text)
    while "frac" in text:
        at = text.rindex("frac")  # the innermost comes last
        first, rest = group(text[at:].partition("{")[2])
        second, rest = group(rest.lstrip().removeprefix("{"))
        text = text[: at - (text[at - 1 : at] == "t")] + f"(({first})/({second}))" + rest
    text = re.sub(r"sqrt\s*(\d)", r"sqrt(\1)", text).replace("{", "(").replace("}", ")")
    text = re.sub(r"([)\d])\s*(?=[a-z(])", r"\1*", text)
    names = {"sigma": lambda x: 1 / (1 + math.exp(-x)), "clip": lambda x, lo, hi: min(max(x, lo), hi), "sg": float}
    names |= {name: getattr(math, name) for name in ("sqrt", "erf", "pi", "tanh", "log")} | {"abs": abs}
    return float(eval(text, {"__builtins__": {}}, names | {"min": min, "max": max, "arctan": math.atan}))


def group(text: str) -> tuple[str, str]:
    """What stands before the brace that closes, and what follows it."""
    depth = 1
    for place, char in enumerate(text):
        depth += (char == "{") - (char == "}")
        if depth == 0:
            return text[:place], text[place + 1 :]
    raise AssertionError(f"a brace is open in {text!r}")


def check(cls: type[Objective], z: float, advantage: float) -> None:
    logp = -1.2
    batch = (torch.tensor([[value]], dtype=torch.float64) for value in (logp, logp - z, advantage))
    _, expected = evaluate(cls(), *batch, torch.tensor([[True]]))
    found = arithmetic(put_in(cls, z=z, advantage=advantage, logp=logp))
    assert found == pytest.approx(float(expected), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("advantage", [0.8, -0.71])
@pytest.mark.parametrize("z", [-1.5, -0.1, 0.0, 0.02, 0.9, 1.4])
@pytest.mark.parametrize("name", ARITHMETIC)
def test_the_numbers_put_in_give_the_surrogate_that_training_computes(name: str, z: float, advantage: float) -> None:
    check(CATALOG[name], z, advantage)


def test_an_objective_that_joined_the_catalogue_is_filled_in_too(toy_objective: type[Objective]) -> None:
    check(toy_objective, 0.4, -0.5)
    assert {"knob": "kappa"} in formula_pieces(toy_objective, True)


def test_the_knob_of_the_advantages_sign_stands_for_the_bare_symbol() -> None:
    places = {side: [p for p in formula_pieces(CATALOG["sapo"], side) if isinstance(p, dict)] for side in (True, False)}
    assert {"knob": "tau_pos"} in places[True] and {"knob": "tau_neg"} not in places[True]
    assert {"knob": "tau_neg"} in places[False] and {"knob": "tau_pos"} not in places[False]


@pytest.mark.parametrize("name", list(CATALOG))
@pytest.mark.parametrize("positive", [True, False])
def test_no_knob_and_no_ratio_is_left_as_a_symbol(name: str, positive: bool) -> None:
    """Braces are balanced, and no symbol of a knob is left; letters inside names are none."""
    cls = CATALOG[name]
    pieces = formula_pieces(cls, positive)
    text = "".join(piece if isinstance(piece, str) else "" for piece in pieces)
    assert text.count("{") == text.count("}") and "cases" not in text
    bare = re.sub(r"\\(?:text|operatorname|mathrm|mathbf)\s*\{[^}]*\}|\\tilde\s+r_t|\\[a-zA-Z]+", "", text)
    assert not re.search(r"[rsWA]", bare), text
    assert all(knob.latex not in text for knob in cls.knobs().values() if "\\" in knob.latex)
