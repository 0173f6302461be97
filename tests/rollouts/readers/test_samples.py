"""The samples are what they say: real language as TRL trained on it, one rollout in four formats, a real outlier."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sapo_viz.rollouts.audit.audit import audit
from sapo_viz.rollouts.readers.read import read_rollouts
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.runs.folder.claims import claim_beside
from sapo_viz.ui.tokens.source import sample_files, sample_runs

SAMPLES = Path(__file__).parents[3] / "assets" / "samples"


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


def steps_of(objective: str) -> dict[int, Rollouts]:
    """The recorded steps of a run in real language."""
    (run,) = (run for name, run in sample_runs().items() if f"/{objective}/" in name)
    return {step: read_rollouts(SAMPLES / files.files[0]) for step, files in run.steps.items()}


@pytest.mark.parametrize("objective", ["sapo", "grpo", "gspo"])
def test_each_recorded_run_has_the_loss_of_its_objective(objective: str) -> None:
    """TRL's own gradients, as the recorder kept them, computed again; on the first update every ratio is 1."""
    claim = claim_beside(SAMPLES / "recorded" / objective)
    assert claim is not None and claim.objective.name == objective
    for step, rollouts in steps_of(objective).items():
        found = audit(rollouts, claim)
        assert found.status == "matches" and found.on_policy == (step == 1), (step, found.sentence)
        assert len(rollouts) == 16 and set(rollouts.steps) == {step}


def test_the_recorded_runs_begin_with_the_same_sentences_and_part_then() -> None:
    sapo, grpo, gspo = (steps_of(name) for name in ("sapo", "grpo", "gspo"))
    assert list(sapo) == list(grpo) == list(gspo) == [1, 4, 8, 12, 16, 20]
    assert list(sapo[1].tokens) == list(grpo[1].tokens) == list(gspo[1].tokens)
    for step in sapo:  # one seed: the same questions
        assert sapo[step].prompts == grpo[step].prompts == gspo[step].prompts
    assert list(sapo[20].tokens) != list(grpo[20].tokens) != list(gspo[20].tokens)


def test_the_first_sample_is_a_step_of_the_run_and_home_shows_its_ratios() -> None:
    first, recorded = read_rollouts(sample_files()[0]), steps_of("sapo")[12]
    assert list(first.tokens) == list(recorded.tokens) and first.rewards == recorded.rewards
    np.testing.assert_allclose(first.log_ratio, recorded.log_ratio, atol=1e-6)
    kept = json.loads((SAMPLES.parent / "home.json").read_text(encoding="utf-8"))
    z = first.log_ratio[first.mask]
    assert kept["tokens"] == len(z) and kept["step"] == 12
    np.testing.assert_allclose(
        kept["log_ratios"], np.quantile(z, np.linspace(0, 1, len(kept["log_ratios"]))), atol=6e-5
    )


def test_samples_are_small() -> None:
    assert all(file.stat().st_size < 300_000 for file in SAMPLES.iterdir())
    assert sum(file.stat().st_size for file in (SAMPLES / "recorded").rglob("*")) < 5_000_000
