"""A step of several ranks as one set of sequences: nothing is lost on the way, and what is missing is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.apart.asking import Given
from sapo_viz.rollouts.apart.step import reading_step
from sapo_viz.rollouts.joined import joined
from sapo_viz.rollouts.readers.read import read_rollouts
from sapo_viz.rollouts.steps import finish
from tests.recorder.recording import Letters, batch, load_recorder


def rank_file(folder: Path, rank: int, tokenizer: object = None, **more: object) -> Path:
    recorder = load_recorder()
    rows = recorder.token_rows([batch(recorder, rank, **more)], 5, rank, 64, recorder.Texts(tokenizer))
    return Path(recorder.write_tokens(folder / f"step-00005.rank-{rank}", rows))


def given(*files: Path) -> list[Given]:
    return [Given.of_path(file, file.name) for file in files]


def test_each_sequence_of_each_rank_is_there_as_its_own_file_has_it(tmp_path: Path) -> None:
    files = [
        rank_file(tmp_path, 0, Letters()),
        rank_file(tmp_path, 1, Letters(), sampler_logprobs=None, ref_logprobs=batch(load_recorder()).old_logprobs),
    ]
    whole = finish(reading_step("step-00005", given(*files)))
    parts = [read_rollouts(file) for file in files]
    assert whole.name == "step-00005" and whole.notes == () and len(whole) == 10
    assert whole.ids[5:] == parts[1].ids and whole.prompts == parts[0].prompts + parts[1].prompts
    for index, sequence in enumerate([part[i] for part in parts for i in range(len(part))]):
        other = whole[index]
        assert list(other.tokens) == list(sequence.tokens) and other.id == sequence.id
        for name in ("logprobs", "old_logprobs", "advantages", "mask", "token_ids", "sampler_logprobs", "ref_logprobs"):
            ours, theirs = getattr(other, name), getattr(sequence, name)
            assert (ours is None) == (theirs is None), (index, name)
            assert ours is None or np.array_equal(ours, theirs, equal_nan=True), (index, name)


def test_a_rank_that_is_missing_or_cannot_be_read_is_named_and_the_others_shown(tmp_path: Path) -> None:
    good, bad = rank_file(tmp_path, 0, Letters()), rank_file(tmp_path, 2, Letters())
    bad.write_bytes(bad.read_bytes()[:-100])
    whole = finish(reading_step("step-00005", given(good, bad), (1, 3)))
    assert len(whole) == 5
    [left_out, missing] = whole.notes
    assert left_out.startswith("A file of this step is left out: step-00005.rank-2.parquet: this Parquet file")
    assert missing == "Ranks that have no tokens of this step here: 1, 3."


def test_where_no_file_can_be_read_the_first_one_says_why(tmp_path: Path) -> None:
    (tmp_path / "step-00005.rank-0.parquet").write_bytes(b"PAR1")
    with pytest.raises(RolloutError, match="rank-0.parquet"):
        finish(reading_step("step-00005", given(tmp_path / "step-00005.rank-0.parquet")))


def test_what_both_say_is_said_once(tmp_path: Path) -> None:
    parts = [read_rollouts(rank_file(tmp_path, rank)) for rank in (0, 1)]
    assert parts[0].notes == joined("both", parts).notes and len(parts[0].notes) == 1
