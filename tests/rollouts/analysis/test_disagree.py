"""The largest disagreements are found without a full sort, chunk by chunk, and are those of a full sort."""

from __future__ import annotations

import numpy as np
import pytest

from sapo_viz import CATALOG
from sapo_viz.rollouts.analysis import passes
from sapo_viz.rollouts.analysis.analyse import analyse
from sapo_viz.rollouts.analysis.disagree import sequences_apart, tokens_apart, top
from tests.rollouts.made import rollouts

CALM = rollouts()
WILD = rollouts(
    logprobs=np.minimum(CALM.old_logprobs + 8 * (CALM.logprobs - CALM.old_logprobs), 0.0),
    mask=np.arange(len(CALM.mask)) % 7 != 0,
)
THREE = {name: CATALOG[name]() for name in ("sapo", "grpo", "gspo")}


def test_sequences_are_ordered_by_their_spread() -> None:
    analysis = analyse(WILD, THREE)
    frame = sequences_apart(analysis, 10)
    kept = analysis.sequences[[f"kept_{key}" for key in THREE]]
    spread = (kept.max(axis=1) - kept.min(axis=1)).to_numpy()
    assert frame["spread"].tolist() == sorted(spread, reverse=True)[:10]
    row = frame.iloc[0]
    assert row[f"kept_{row['most']}"] - row[f"kept_{row['least']}"] == row["spread"] == spread[row["sequence"]]


@pytest.mark.parametrize("chunk", [200, 1 << 17])
def test_tokens_are_those_of_a_full_sort(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "CHUNK", chunk)
    c = np.stack([analyse(WILD, THREE).tokens[key].coefficient[:] for key in THREE])
    size = np.where(WILD.mask, np.abs(WILD.advantages), 0.0)
    difference = (c.max(0) - c.min(0)) * size / size[size > 0].mean()
    frame = tokens_apart(WILD, THREE, 25)
    assert np.allclose(frame["difference"], np.sort(difference)[::-1][:25], rtol=1e-12)
    places = WILD.offsets[frame["sequence"]] + frame["position"]
    assert np.allclose(difference[places], frame["difference"])
    assert WILD.mask[places].all() and (frame["most"] != frame["least"]).all()
    assert np.allclose(frame["c_sapo"], c[0][places])


def test_where_they_agree_nothing_is_listed() -> None:
    same = {"grpo": CATALOG["grpo"](), "dapo": CATALOG["dapo"](eps_high=0.2)}
    assert len(tokens_apart(WILD, same)) == 0 and len(sequences_apart(analyse(WILD, same))) == 0


def test_without_a_gradient_nothing_is_listed() -> None:
    still = rollouts(advantages=np.zeros(len(CALM.mask)))
    assert len(tokens_apart(still, THREE)) == 0 and len(sequences_apart(analyse(still, THREE))) == 0


def test_huge_advantages_do_not_overflow() -> None:
    frame = tokens_apart(rollouts(logprobs=WILD.logprobs, advantages=CALM.advantages * 1e300), THREE, 5)
    assert np.isfinite(frame["difference"]).all() and len(frame) == 5


def test_top_takes_the_earlier_of_equals() -> None:
    assert top(np.array([1.0, 3.0, 2.0, 3.0, 3.0]), 2).tolist() == [1, 3]
    assert top(np.array([1.0]), 5).tolist() == [0] and top(np.zeros(0), 3).tolist() == []
