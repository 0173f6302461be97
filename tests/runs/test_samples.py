"""The sample files are what they say: one rollout in four formats, and one with a real outlier."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sapo_viz.rollouts.read import read_rollouts
from sapo_viz.rollouts.schema import Rollouts

SAMPLES = Path(__file__).parents[2] / "assets" / "samples"


def ratios(rollouts: Rollouts, *, sign: int) -> np.ndarray:
    """r of every token whose advantage has this sign."""
    sequences = [rollouts[i] for i in range(len(rollouts))]
    z = [(one.logprobs - one.old_logprobs)[np.sign(one.advantages) == sign] for one in sequences]
    return np.exp(np.concatenate(z))


def test_the_four_formats_hold_the_same_rollout() -> None:
    files = sorted(SAMPLES.glob("addition-step12.*"))
    assert [file.suffix for file in files] == [".csv", ".json", ".jsonl", ".parquet"]
    first, *others = [read_rollouts(file) for file in files]
    assert len(first) == 32
    for other in others:
        for i in range(32):
            assert first[i].tokens == other[i].tokens and first[i].group == other[i].group
            for name in ("logprobs", "old_logprobs", "advantages"):
                np.testing.assert_array_equal(getattr(first[i], name), getattr(other[i], name))


def test_the_calm_sample_is_calm_and_the_outlier_is_one() -> None:
    """The file was chosen for a token with A < 0 whose ratio grew about a hundredfold."""
    calm = ratios(read_rollouts(SAMPLES / "addition-step12.jsonl"), sign=-1)
    outlier = ratios(read_rollouts(SAMPLES / "outlier.jsonl"), sign=-1)
    assert calm.max() < 3 and outlier.max() > 50


def test_samples_are_small() -> None:
    assert all(file.stat().st_size < 300_000 for file in SAMPLES.iterdir())
