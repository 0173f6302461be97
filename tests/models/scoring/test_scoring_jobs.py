"""Jobs of a server: one after the other in a process of its own, which a cancel or a full memory ends and no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sapo_viz.errors import ModelError
from sapo_viz.models import jobs
from sapo_viz.models.policy import load_policy
from sapo_viz.models.scoring.jobs import ScoreJob, Scorer, ScoreRequest
from sapo_viz.models.scoring.score import score_text
from sapo_viz.models.source import locate
from tests.models.tiny import byte_level, save_model
from tests.waiting import PATIENCE, wait_until

PROMPT, COMPLETION = "^864+394=", "4+4+0=08,6+9+0=15,8+3+1=12;1258$"


def request(*completions: str, new: str = "addition-rl", old: str = "addition-start") -> ScoreRequest:
    return ScoreRequest(new, old, (PROMPT,) * len(completions), completions)


@pytest.fixture(scope="module")
def scorer() -> Iterator[Scorer]:
    scorer = Scorer()
    yield scorer
    scorer.close()


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that takes minutes for its longest text."""
    folder = tmp_path_factory.mktemp("slow")
    save_model(folder, byte_level(), length=200_000, num_hidden_layers=4)
    return str(folder)


def until_at_work(job: ScoreJob) -> None:
    """The worker has begun with it; the stages may follow one another faster than anyone looks."""
    wait_until(lambda: job.state.stage in ("loading", "scoring"))
    assert not job.state.over, job.state


def test_a_job_gives_what_scoring_gives_and_the_next_time_it_is_known(scorer: Scorer) -> None:
    first = scorer.submit(request(COMPLETION))
    state = first.wait(PATIENCE)
    assert state.status == "done" and state.share == 1 and state.done == state.total == 2
    assert first.new[0] == score_text(load_policy("addition-rl"), PROMPT, COMPLETION)
    assert first.old[0] == score_text(load_policy("addition-start"), PROMPT, COMPLETION)
    again = scorer.submit(request(COMPLETION))
    assert again.wait(PATIENCE).status == "done" and again.new == first.new and "made before" in again.notes[0]


@pytest.mark.parametrize(("text", "word"), [("é", "U\\+00E9"), ("1" * 99, "reads up to 64"), ("", "is empty")])
def test_what_is_wrong_is_one_sentence(scorer: Scorer, text: str, word: str) -> None:
    state = scorer.submit(request(text)).wait(PATIENCE)
    assert state.status == "failed"
    with pytest.raises(ModelError, match=word):
        raise ModelError(state.message)
    assert "\n" not in state.message


def test_a_job_is_cancelled_at_once_and_the_next_one_runs(scorer: Scorer, slow: str) -> None:
    long = scorer.submit(request("the cat " * 60_000, new=slow, old=slow))
    after = scorer.submit(request("1258$"))
    until_at_work(long)
    assert after.state.status == "waiting" and after.state.ahead == 1
    long.cancel()
    assert long.state.status == "cancelled"
    assert after.wait(PATIENCE).status == "done"
    long.cancel()  # nothing happens


def test_a_worker_that_the_system_kills_is_a_sentence_and_the_next_job_runs(scorer: Scorer, slow: str) -> None:
    job = scorer.submit(request("the cat " * 60_000, new=slow, old=slow))
    until_at_work(job)
    assert scorer._worker
    scorer._worker.kill()  # as Linux does when memory runs out
    state = job.wait(PATIENCE)
    assert state.status == "failed" and "when memory runs out; take a smaller model" in state.message
    assert scorer.submit(request("1258$")).wait(PATIENCE).status == "done"


def test_a_line_that_is_too_long_is_refused(slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_WAITING", 2)
    scorer = Scorer()
    try:
        sent = [scorer.submit(request("the cat " * 60_000, new=slow, old=slow)) for _ in range(2)]
        with pytest.raises(ModelError, match="2 texts wait to be scored already"):
            scorer.submit(request("1"))
    finally:
        scorer.close()
    assert [job.state.status for job in sent] == ["cancelled"] * 2


def test_a_job_that_nobody_looks_at_is_given_up(scorer: Scorer, slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "ABANDONED", 60.0)
    job = scorer.submit(request("1", new=slow, old=slow))
    job._looked -= 61
    assert job.abandoned
    assert scorer.submit(request("1258$")).wait(PATIENCE).status == "done"
    assert job._state.status in ("cancelled", "done")


def test_a_job_whose_worker_never_says_a_word_is_given_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model's files may be a stranger's: a chat template that does not end, a pipe in place of weights."""
    monkeypatch.setattr(jobs, "ABANDONED", 0.5)
    monkeypatch.setattr(jobs, "_LOOK", 0.05)
    scorer = Scorer()
    scorer._module = "tests.models.silent"
    try:
        job = scorer.submit(request("1"))
        wait_until(lambda: job._state.status == "cancelled")
        wait_until(lambda: scorer.ahead_of(job) == 0 and not scorer._line)
    finally:
        scorer.close()


def test_the_worker_ends_with_its_server(slow: str) -> None:
    """stdin ends in the middle of the work, as when the server is killed."""
    source = locate(slow).to_dict()
    message = {"policy": source, "old_policy": source, "prompts": ["the"], "completions": ["the cat " * 60_000]}
    message |= {"chat": False, "device": "cpu", "dtype": "float32", "known": {}}
    worker = subprocess.Popen(
        [sys.executable, "-m", "sapo_viz.models.scoring.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        env=os.environ,
    )
    try:
        assert worker.stdin and worker.stdout
        worker.stdin.write(json.dumps(message) + "\n")
        worker.stdin.flush()
        assert json.loads(worker.stdout.readline())["stage"] == "fetching"
        worker.stdin.close()
        assert worker.wait(PATIENCE) == 0
    finally:
        worker.kill()
        worker.wait()
