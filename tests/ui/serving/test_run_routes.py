"""GET /api/runs/events: what happened in runs since a byte offset, and one sentence for a wrong question."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import Failure, RunEvent
from sapo_viz.runs.folder.log import append_event
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.ui.serving.routes import routes

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


def test_where_a_run_collapsed_is_said_whatever_offset_is_asked_from(store: RunStore, client: TestClient) -> None:
    """The rule sees the whole log, and a run that goes on is looked at on from where it was."""
    run_id = store.create(RunConfig(), run_id="a")
    for step in range(1, 11):
        append_event(store.folder(run_id), RunEvent("step", step, {"metrics": {"reward": 0.8, "entropy": 0.2}}))
    [well] = client.get(f"{ADDRESS}?from=a:0").json()["runs"]
    for step in range(11, 21):
        append_event(store.folder(run_id), RunEvent("step", step, {"metrics": {"reward": 0.0, "entropy": 0.2}}))
    [broken] = client.get(f"{ADDRESS}?from=a:{well['next']}").json()["runs"]
    assert well["collapse"] is None
    # means over 5 from step 10 on: 0.8, 0.64, 0.48, 0.32 < 0.4
    assert (broken["collapse"]["step"], broken["collapse"]["kind"]) == (13, "reward")
    assert broken["collapse"]["told"]["reward"] == [0.8, 0.0]
    [again] = client.get(f"{ADDRESS}?from=a:{broken['next']}").json()["runs"]
    assert again["collapse"] == broken["collapse"]


def test_a_run_of_the_same_name_is_judged_afresh(store: RunStore, client: TestClient) -> None:
    run_id = store.create(RunConfig(), run_id="a")
    append_event(store.folder(run_id), Failure("diverged", "At step 1 …").at(0))
    [first] = client.get(f"{ADDRESS}?from=a:0").json()["runs"]
    assert first["collapse"]["kind"] == "diverged"
    (store.folder(run_id) / "events.jsonl").unlink()
    store.folder(run_id).rename(store.root / "elsewhere")
    write_run(store, "a", steps=3)
    [second] = client.get(f"{ADDRESS}?from=a:0").json()["runs"]
    assert second["collapse"] is None


def test_an_export_is_a_zip_of_its_run_and_a_wrong_question_one_sentence(store: RunStore, client: TestClient) -> None:
    run_id = store.create(RunConfig("vespo", steps=2), run_id="a")
    answer = client.get(f"/api/runs/export?run={run_id}&to=trl")
    assert answer.headers["content-disposition"] == 'attachment; filename="a-trl.zip"'
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        assert b"loss_type='vespo'" in archive.read("a-trl/train.py")
        assert len(archive.read("a-trl/train.jsonl").splitlines()) == 2 * 16
    for wrong, said in (
        (
            "run=a&to=verl",
            "verl 0.9.1 has no VESPO, so the run cannot be exported to it. Frameworks that have it: trl.",
        ),
        ("run=a&to=", "there is no export to ''; it takes trl, verl, ms-swift, skyrl, areal."),
        ("run=../a&to=trl", "the run id is"),
        ("run=gone&to=trl", "gone"),
    ):
        refused = client.get(f"/api/runs/export?{wrong}")
        assert refused.status_code == 404 and said in refused.json()["error"], wrong
