"""What a correction for the sampler drops of a file: the same weights as the loss takes, and long answers first."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sapo_viz.figures.corrected import corrected_figure, takeaway
from sapo_viz.rollouts.analysis.corrected import TRL_DEFAULT, USUAL, corrected
from tests.rollouts.made import rollouts

CALM = rollouts()
DRIFTED = rollouts(sampler_logprobs=CALM.old_logprobs - 0.02)


@pytest.mark.parametrize("label", USUAL)
def test_weights_are_those_of_the_correction_on_each_sequence(label: str) -> None:
    noisy = CALM.old_logprobs + 0.3 * np.random.default_rng(0).standard_normal(len(CALM.tokens))
    file = rollouts(sampler_logprobs=noisy)
    found = corrected(file, USUAL[label])
    assert found is not None
    total, zero = 0.0, 0
    for sequence in (file[i] for i in range(len(file))):
        assert sequence.sampler_logprobs is not None
        flat = (sequence.old_logprobs, sequence.sampler_logprobs, sequence.mask)
        row = USUAL[label].correction.weights(*(torch.from_numpy(np.array(values))[None] for values in flat))
        total, zero = total + float(row.sum()), zero + int((row == 0).sum())
    assert found.weight == pytest.approx(total / len(file.tokens)) and 0 < found.ess <= 1
    assert found.tokens_dropped == pytest.approx(zero / len(file.tokens))


def test_trls_default_drops_long_answers_and_keeps_short_ones() -> None:
    """0.02 nats a token: exp of the sum passes 3 after ln 3 / 0.02 = 54.9 tokens."""
    found = corrected(DRIFTED, USUAL[TRL_DEFAULT])
    assert found is not None
    assert np.array_equal(found.dropped, DRIFTED.lengths >= 55)
    assert found.length_kept < 55 <= found.length_dropped
    assert "answers" in takeaway(found) and "dropped whole" in takeaway(found)
    figure = corrected_figure(found)
    assert [len(trace.x) for trace in figure.figure.data] == [(~found.dropped).sum(), found.dropped.sum()]
    token = corrected(DRIFTED, USUAL["token, truncated"])
    assert token is not None and not token.dropped.any() and token.tokens_dropped == 0


def test_without_the_samplers_log_probs_there_is_nothing() -> None:
    assert corrected(CALM, USUAL[TRL_DEFAULT]) is None
