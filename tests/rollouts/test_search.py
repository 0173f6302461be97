"""Text in other sequences of a file: counted, and the nearest to go to."""

from __future__ import annotations

import json

import pytest

from sapo_viz.rollouts import search
from sapo_viz.rollouts.readers.read import parse_rollouts
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.search import Elsewhere, elsewhere


def rollouts(*sequences: list[str]) -> Rollouts:
    items = [{"tokens": s, "logprobs": [-1] * len(s), "old_logprobs": [-1] * len(s), "advantage": 1} for s in sequences]
    return parse_rollouts("".join(json.dumps(item) + "\n" for item in items).encode(), "x.jsonl")


FILE = (["a", " b"], ["Need", "le", " needle"], ["b"], [" need", " le"], ["NEEDLE"])


def test_text_is_counted_across_tokens_and_without_regard_to_case() -> None:
    assert elsewhere(rollouts(*FILE), 0, "needle") == Elsewhere(3, 2, before=4, after=1, whole=True)


def test_the_sequence_on_the_screen_does_not_count_and_the_way_is_a_circle() -> None:
    assert elsewhere(rollouts(*FILE), 4, "needle") == Elsewhere(2, 1, before=1, after=1, whole=True)
    assert elsewhere(rollouts(*FILE), 1, "b") == Elsewhere(2, 2, before=0, after=2, whole=True)


@pytest.mark.parametrize("text", ["", "nowhere"])
def test_what_is_nowhere_leads_nowhere(text: str) -> None:
    assert elsewhere(rollouts(*FILE), 0, text) == Elsewhere(0, 0, None, None, True)


def test_of_a_large_file_the_nearest_are_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MOST_TOKENS", 4)
    assert elsewhere(rollouts(*FILE), 0, "needle") == Elsewhere(3, 2, before=4, after=1, whole=False)
    assert elsewhere(rollouts(*FILE), 2, "needle") == Elsewhere(2, 1, before=1, after=1, whole=False)
