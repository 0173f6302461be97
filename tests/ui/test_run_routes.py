"""GET /api/runs/events: what happened in runs since a byte offset, and one sentence for a wrong question."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import RunEvent
from sapo_viz.runs.log import append_event
from sapo_viz.runs.store import RunStore
from sapo_viz.ui.routes import routes

ADDRESS = "/api/runs/events"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(tmp_path))
    return RunStore()


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=routes()))


def write_run(store: RunStore, name: str, steps: int) -> str:
    """A finished run with `steps` steps, as the worker would have left it."""
    run_id = store.create(RunConfig(), run_id=name)
    for step in range(1, steps + 1):
        append_event(store.folder(run_id), RunEvent("step", step, {"metrics": {"reward": step / steps}}))
    append_event(store.folder(run_id), RunEvent("finished", steps, {"seconds": 1.0}))
    return run_id


def test_all_events_come_from_offset_0_and_none_from_the_end(store: RunStore, client: TestClient) -> None:
    write_run(store, "a", steps=3)
    [first] = client.get(f"{ADDRESS}?from=a:0").json()["runs"]
    assert [event["type"] for event in first["events"]] == ["step", "step", "step", "finished"]
    assert first["status"] == "finished"
    assert first["next"] == (store.folder("a") / "events.jsonl").stat().st_size
    [second] = client.get(f"{ADDRESS}?from=a:{first['next']}").json()["runs"]
    assert second["events"] == [] and second["next"] == first["next"]


def test_a_line_that_is_still_being_written_waits_for_the_next_question(store: RunStore, client: TestClient) -> None:
    write_run(store, "a", steps=2)
    whole = (store.folder("a") / "events.jsonl").stat().st_size
    line = RunEvent("step", 3, {"metrics": {}}).to_json() + "\n"
    with open(store.folder("a") / "events.jsonl", "a", encoding="utf-8") as file:
        file.write(line[:20])
    [answer] = client.get(f"{ADDRESS}?from=a:0").json()["runs"]
    assert answer["next"] == whole and len(answer["events"]) == 3
    with open(store.folder("a") / "events.jsonl", "a", encoding="utf-8") as file:
        file.write(line[20:])
    [answer] = client.get(f"{ADDRESS}?from=a:{whole}").json()["runs"]
    assert [event["step"] for event in answer["events"]] == [3]


def test_one_question_serves_several_runs_each_from_its_own_offset(store: RunStore, client: TestClient) -> None:
    write_run(store, "a", steps=2)
    write_run(store, "b", steps=1)
    end = (store.folder("a") / "events.jsonl").stat().st_size
    a, b = client.get(f"{ADDRESS}?from=a:{end}&from=b:0").json()["runs"]
    assert (a["id"], len(a["events"]), b["id"], len(b["events"])) == ("a", 0, "b", 2)


def test_a_long_answer_is_compressed_for_whoever_can_read_it(store: RunStore, client: TestClient) -> None:
    write_run(store, "a", steps=200)
    packed = client.get(f"{ADDRESS}?from=a:0", headers={"Accept-Encoding": "gzip"})
    plain = client.get(f"{ADDRESS}?from=a:0", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 4
    assert packed.json() == plain.json()


def test_a_run_that_is_gone_has_a_sentence_and_the_others_their_events(store: RunStore, client: TestClient) -> None:
    write_run(store, "a", steps=1)
    answer = client.get(f"{ADDRESS}?from=a:0&from=gone:0")
    assert answer.status_code == 200
    a, gone = answer.json()["runs"]
    assert len(a["events"]) == 2 and "there is no run 'gone'" in gone["error"]


def test_404_if_none_of_the_runs_is_there(store: RunStore, client: TestClient) -> None:
    assert client.get(f"{ADDRESS}?from=gone:0").status_code == 404


@pytest.mark.parametrize(
    "question",
    ["", "?from=a", "?from=a:-1", "?from=a:1e3", "?from=a:9999999999999999", "?from=:0", "?from=../secret:0",
     "?from=%2Fetc%2Fpasswd:0", "?from=.deleted-a:0", "?from=a%00b:0", "?" + "&".join(["from=a:0"] * 101)],
)  # fmt: skip
def test_400_and_one_sentence_for_a_wrong_question(store: RunStore, client: TestClient, question: str) -> None:
    write_run(store, "a", steps=1)
    answer = client.get(ADDRESS + question)
    assert answer.status_code == 400
    sentence = answer.json()["error"]
    assert sentence.endswith(".") and "\n" not in sentence and "Traceback" not in sentence


def test_a_damaged_log_does_not_hide_the_lines_that_are_whole(store: RunStore, client: TestClient) -> None:
    write_run(store, "a", steps=2)
    with open(store.folder("a") / "events.jsonl", "ab") as file:
        file.write(b"\xff\xfe not json\n" + json.dumps({"type": "step", "step": 3, "metrics": {}}).encode() + b"\n")
    [answer] = client.get(f"{ADDRESS}?from=a:0").json()["runs"]
    assert [event["step"] for event in answer["events"]] == [1, 2, 2, 3]
