"""Small rollouts that the tests of this folder share."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from sapo_viz.rollouts.readers.read import parse_rollouts
from sapo_viz.rollouts.schema import Rollouts

WORKED_RATIOS = (1.02, 1.01, 0.99, 2.5)  # DESIGN, "Worked case"


def sequence(**changes: Any) -> dict[str, Any]:
    """A valid sequence of the four worked ratios; `changes` replace fields, and None takes one away."""
    base: dict[str, Any] = {
        "tokens": ["<think>", " <", "\n", "é,\"'&amp;"],
        "logprobs": [math.log(ratio) - 2.0 for ratio in WORKED_RATIOS],
        "old_logprobs": [-2.0] * 4,
        "advantage": 1.0,
    }
    return {name: value for name, value in (base | changes).items() if value is not None}


def jsonl(*sequences: dict[str, Any]) -> bytes:
    return "".join(json.dumps(item) + "\n" for item in sequences).encode()


@pytest.fixture(scope="session")
def mixed() -> Rollouts:
    """Four sequences of unlike lengths with everything optional in some of them."""
    return parse_rollouts(
        jsonl(
            sequence(id="a", advantage=None, reward=1.0, group="p", prompt="2+2=", step=3),
            sequence(id="b", advantage=None, reward=0.0, group="p", mask=[1, 1, 0, 1], token_ids=[5, 6, 7, 8]),
            sequence(id="c", advantage=0.0, tokens=["NA"], logprobs=[-0.5], old_logprobs=[-9.0]),
            sequence(
                id="d",
                advantage=None,
                advantages=[-1.0, -0.5, 0.25],
                tokens=["\u202e", "�", " "],
                logprobs=[-0.5, -60.0, -0.1],
                old_logprobs=[-0.6, -0.7, -7.0],
                ref_logprobs=[-1.0, -1.0, -1.0],
            ),
        ),
        "mixed.jsonl",
    )
