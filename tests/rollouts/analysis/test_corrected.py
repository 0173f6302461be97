"""What a correction for the sampler drops of a file: the same weights as the loss takes, and long answers first."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sapo_viz import CATALOG
from sapo_viz.core.correction_choices import TRL_DEFAULT, USUAL
from sapo_viz.figures.corrected import corrected_figure
from sapo_viz.rollouts.analysis.analyse import analyse, analysing
from sapo_viz.rollouts.analysis.corrected import corrected
from sapo_viz.rollouts.analysis.disagree import tokens_apart
from sapo_viz.rollouts.steps import finish
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
    assert "answers" in found.takeaway and "dropped whole" in found.takeaway
    figure = corrected_figure(found)
    assert [len(trace.x) for trace in figure.figure.data] == [(~found.dropped).sum(), found.dropped.sum()]
    token = corrected(DRIFTED, USUAL["token-truncate"])
    assert token is not None and not token.dropped.any() and token.tokens_dropped == 0


def test_without_the_samplers_log_probs_there_is_nothing() -> None:
    assert corrected(CALM, USUAL[TRL_DEFAULT]) is None


@pytest.mark.parametrize("label", USUAL)
def test_an_analysis_keeps_what_the_objective_and_the_correction_leave_together(label: str) -> None:
    """At r = 1 every gate is 1, so that what is kept is the mean of the correction's weights over |A|."""
    noisy = CALM.old_logprobs + 0.02 * np.random.default_rng(0).standard_normal(len(CALM.tokens)) - 0.01
    file = rollouts(logprobs=CALM.old_logprobs, sampler_logprobs=noisy, advantages=np.ones(len(CALM.tokens)))
    analysis = analyse(file, {"sapo": CATALOG["sapo"]()}, USUAL[label].correction)
    found = corrected(file, USUAL[label])
    assert found is not None and analysis.share("sapo").kept == pytest.approx(found.weight)
    assert analysis.share("sapo").clip_fraction == pytest.approx(found.tokens_dropped)
    assert analysis.share("sapo").ess == pytest.approx(found.ess)
    again = finish(analysing(file, analysis.objectives, analysis))
    assert again.share("sapo").kept == pytest.approx(1.0), "totals of another correction must not be taken"


def test_a_file_that_names_no_sampler_is_not_corrected() -> None:
    analysis = analyse(CALM, {"grpo": CATALOG["grpo"]()}, USUAL[TRL_DEFAULT].correction)
    assert analysis.correction is None and analysis.share("grpo").kept > 0.9


def test_tokens_of_a_dropped_answer_are_no_disagreement() -> None:
    """Its Σ log ρ is 0.5 in each of 40 tokens or more; nothing else is corrected."""
    sampler = CALM.old_logprobs.copy()
    sampler[: CALM.offsets[1]] -= 0.5
    objectives = {"sapo": CATALOG["sapo"](), "unclipped": CATALOG["unclipped"]()}
    apart = tokens_apart(rollouts(sampler_logprobs=sampler), objectives, 10_000, USUAL[TRL_DEFAULT].correction)
    dropped = apart["sequence"] == 0
    assert (apart["difference"][dropped] == 0).all() and (apart["difference"][~dropped] > 0).any()
