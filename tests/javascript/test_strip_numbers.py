"""What the strip shows of a token: w and c of its table, and the value at the end of each formula, are Python's.

The modules are those that the page imports; the numbers come as the page writes them, four digits of text.
"""

from __future__ import annotations

import base64
import json
import math
import random
from typing import Any

import pytest
import torch

from sapo_viz import CATALOG, Correction
from sapo_viz.core.correction import CHOICES, correction_of
from sapo_viz.core.surrogate import evaluate
from sapo_viz.figures.packed import pack_arrays
from sapo_viz.figures.strip.data import strip_data
from sapo_viz.figures.strip.words import strip_words
from sapo_viz.rollouts.analysis.analyse import Analysis, analyse
from sapo_viz.rollouts.readers.read import parse_rollouts
from tests.javascript.node import run

SHOWN = """\
import { show } from "./shared/numbers.js";
import { unpackArrays } from "./shared/packed.js";
import { texOfToken } from "./strip/formula.js";
import { StripNumbers } from "./strip/numbers.js";
export default ({ packed, tokens }) => {
  const data = unpackArrays(new Uint8Array(Buffer.from(packed, "base64")));
  const numbers = new StripNumbers(data);
  numbers.correct(data.values.correction);
  for (const objective of data.objectives) numbers.weigh(objective, data.values[objective.name]);
  return tokens.map((i) => Object.fromEntries(data.objectives.map((objective) => {
    const { w, c } = numbers.of(objective.name);
    const tex = texOfToken(objective, numbers, data.values[objective.name], i);
    return [objective.name, { w: show(w[i]), c: show(c[i]), tex }];
  })));
};
"""
TOKENS = (0, 1, 3, 4)  # the third is masked


def analysed(advantage: float, correction: Correction | None = None) -> Analysis:
    """Five tokens around their old policy, one of them masked, under every objective."""
    rng = random.Random(3)
    old = [-rng.expovariate(1) - 0.05 for _ in range(5)]
    new = [min(0.0, value + rng.gauss(0, 0.5)) for value in old]
    row = {"tokens": list("abcde"), "logprobs": new, "old_logprobs": old, "advantage": advantage}
    sampler = None if correction is None else [old[0] - 0.9, old[1] + 0.1, old[2], old[3] - 0.3, old[4] + 0.2]
    data = json.dumps(row | {"mask": [1, 1, 0, 1, 1]} | ({"sampler_logprobs": sampler} if sampler else {})).encode()
    return analyse(parse_rollouts(data, "x"), {name: cls() for name, cls in CATALOG.items()}, correction)


def shown(analysis: Analysis) -> list[dict[str, dict[str, Any]]]:
    packed = base64.b64encode(pack_arrays(*strip_data(analysis, 0, labels=strip_words()))).decode()
    found: list[dict[str, dict[str, Any]]] = run(SHOWN, {"packed": packed, "tokens": TOKENS})
    return found


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def value_of(tex: str) -> float:
    """`\\displaystyle \\approx -1.2\\times10^{-7}` as a number."""
    return float(tex.split(r"\approx")[1].replace(r"\times10^{", "e").replace("}", ""))


@pytest.mark.parametrize("advantage", [1.0, -0.7, 0.0])
def test_weights_and_coefficients_are_those_of_the_analysis_for_every_objective(advantage: float) -> None:
    analysis = analysed(advantage)
    table = analysis.token_table(0)
    for index, objectives in zip(TOKENS, shown(analysis), strict=True):
        assert list(objectives) == list(CATALOG)
        for name, found in objectives.items():
            for text, column in ((found["w"], "weight"), (found["c"], "coefficient")):
                python = pytest.approx(table[f"{column}_{name}"][index], rel=2e-3, abs=1e-6)
                assert number(text) == python, (name, column, index)


@pytest.mark.parametrize("choice", CHOICES)
def test_with_a_correction_they_are_the_analysis_too(choice: str) -> None:
    """ρ of the tokens: e^0.9, e^-0.1, (masked), e^0.3, e^-0.2; of the sequence e^0.9, in the mean e^0.225."""
    high = 2.0 if choice.startswith("token") else 1.1
    correction = correction_of(choice, 0.85, high)
    analysis = analysed(1.0, correction)
    table, plain = analysis.token_table(0), analysed(1.0).token_table(0)
    for index, objectives in zip(TOKENS, shown(analysis), strict=True):
        for name, found in objectives.items():
            python = pytest.approx(table[f"weight_{name}"][index], rel=2e-3, abs=1e-6)
            assert number(found["w"]) == python, (name, index)
    counts = (table["weight_unclipped"] / plain["weight_unclipped"])[list(TOKENS)].to_numpy()
    expected = {
        "token-truncate": [2.0, math.exp(-0.1), math.exp(0.3), 0.85],
        "token-mask": [0.0, math.exp(-0.1), math.exp(0.3), 0.0],
        "sequence-truncate": [1.1] * 4,
        "sequence-mask": [0.0] * 4,
        "sequence-mean-mask": [0.0] * 4,
    }
    assert counts == pytest.approx(expected[choice])


@pytest.mark.parametrize("advantage", [1.0, -0.7])
def test_the_value_of_each_formula_is_pythons_for_every_objective(advantage: float) -> None:
    analysis = analysed(advantage)
    item = analysis.rollouts[0]
    batch = [torch.from_numpy(values.copy())[None] for values in (item.logprobs, item.old_logprobs, item.advantages)]
    mask = torch.from_numpy(item.mask.copy())[None]
    values = {}
    for name, cls in CATALOG.items():  # one that looks at other sequences has none here, as in the analysis
        values[name] = evaluate(cls(), *batch, mask, alone=cls().reads_other_sequences())[1][0]
    for index, objectives in zip(TOKENS, shown(analysis), strict=True):
        for name, cls in CATALOG.items():
            formula, _, value, _ = objectives[name]["tex"]
            length = 4 if name == "luspo" else 1  # its formula counts the sequence by its length
            python = pytest.approx(length * float(values[name][index]), rel=2e-3, abs=1e-6)
            assert value_of(value) == python, (name, index)
            assert cls.formula in formula
