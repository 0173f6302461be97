"""What a page asks of a finished run, by the process that does it."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sapo_viz.errors import ModelError, RunError
from sapo_viz.models.policy import load_policy
from sapo_viz.runs.folder.asked import Asking, answer_tokens, read_answers
from sapo_viz.runs.folder.files import part_of
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.workers import merging
from sapo_viz.runs.workers.after import Merging, begin, line, merged_path
from sapo_viz.runs.workers.merging import merge_run
from sapo_viz.ui.serving.routes import routes
from tests.models.tiny import byte_level, save_model
from tests.runs.small_runs import small
from tests.runs.workers.test_merging import finished
from tests.waiting import PATIENCE


@pytest.fixture(autouse=True)
def no_worker_stays(monkeypatch: pytest.MonkeyPatch, store: RunStore) -> Iterator[None]:
    monkeypatch.setenv("SAPO_VIZ_RUNS_DIR", str(store.root))
    yield
    line().close()


def test_a_run_is_asked_then_merged_then_downloaded(store: RunStore) -> None:
    run_id = finished(store, lora_rank=4, lr=1e-2)
    asked = begin(store, run_id, Asking(("^864+394=",), max_tokens=20))
    assert asked.wait(PATIENCE).status == "done", asked.state
    assert asked.number == 1
    assert read_answers(store, run_id, 1).max_tokens == 20
    assert len(answer_tokens(store, run_id, 1).read_text().splitlines()) == 2
    merged = begin(store, run_id, Merging("bfloat16"))
    assert merged.wait(PATIENCE).status == "done", merged.state
    assert load_policy(str(merged_path(store, run_id))).parameters == 75_776
    with pytest.raises(RunError, match="has its merged model already"):
        begin(store, run_id, Merging())
    client = TestClient(Starlette(routes=routes()))
    for part, folder in (("policy", store.policy_path(run_id)), ("merged", merged_path(store, run_id))):
        answer = client.get("/api/runs/policy", params={"run": run_id, "part": part})
        assert answer.headers["content-disposition"] == f'attachment; filename="{run_id}-{part}.zip"'
        archive = zipfile.ZipFile(io.BytesIO(answer.content))
        assert archive.testzip() is None and folder
        assert {Path(name).name: archive.read(name) for name in archive.namelist()} == {
            path.name: path.read_bytes() for path in folder.iterdir()
        }


@pytest.mark.parametrize(
    ("run", "part", "said"),
    [("no-such", "policy", "there is no run"), ("../x", "merged", "the run id is"), ("", "secret", "part is")],
)
def test_what_is_not_there_is_a_sentence(store: RunStore, run: str, part: str, said: str) -> None:
    answer = TestClient(Starlette(routes=routes())).get("/api/runs/policy", params={"run": run, "part": part})
    assert answer.status_code == 404 and said in answer.json()["error"]


def test_links_in_a_run_lead_nowhere(store: RunStore, tmp_path: Path) -> None:
    run_id = store.create(small())
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("mine")
    merged_path(store, run_id).symlink_to(secret)
    client = TestClient(Starlette(routes=routes()))
    assert client.get("/api/runs/policy", params={"run": run_id, "part": "merged"}).status_code == 404
    policy = store.path(run_id) / "policy"
    policy.mkdir()
    (policy / "key").symlink_to(secret / "key")
    (policy / "README.md").write_text("a card")
    answer = client.get("/api/runs/policy", params={"run": run_id})
    assert zipfile.ZipFile(io.BytesIO(answer.content)).namelist() == [f"{run_id}-policy/README.md"]
    with pytest.raises(RunError, match="a link is among the files of its policy"):
        begin(store, run_id, Asking(("1",)))


def test_a_page_asks_no_run_that_has_not_ended_and_no_model_that_pages_may_not_read(
    store: RunStore, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="what it has trained is there once it is finished"):
        begin(store, store.create(small()), Asking(("1",)))
    save_model(tmp_path / "model", byte_level())
    run_id = finished(store, task="mood", policy=str(tmp_path / "model"), lora_rank=2, max_tokens=4)
    for what in (Asking(("1",)), Merging()):
        state = begin(store, run_id, what).wait(PATIENCE)
        assert state.status == "failed" and "there is no model" in state.message
    assert not merged_path(store, run_id).exists()


def test_a_disk_without_room_is_a_sentence_and_leaves_nothing(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, out = finished(store, lora_rank=2), tmp_path / "merged"
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _path: usage(9, 9, 1_000_000))
        with pytest.raises(RunError, match="needs about 34 MB, and 1 MB are free on the disk"):
            merge_run(store, run_id, out)

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(merging, "write_whole", full)
    with pytest.raises(RunError, match="needs about 34 MB, and .* are free on the disk"):
        merge_run(store, run_id, out)
    assert not out.exists() and not part_of(out).exists()


def test_a_cancelled_merge_leaves_nothing(store: RunStore) -> None:
    run_id = finished(store, lora_rank=2)
    job = begin(store, run_id, Merging())
    part_of(merged_path(store, run_id)).mkdir()
    (part_of(merged_path(store, run_id)) / "model.safetensors").write_bytes(b"half")
    job.cancel()
    assert job.state.status == "cancelled"
    assert not part_of(merged_path(store, run_id)).exists()


def test_a_run_that_is_deleted_while_it_is_merged_stays_deleted(store: RunStore) -> None:
    run_id = finished(store, lora_rank=2)

    def told(stage: str, _share: float) -> None:
        if stage == "writing":
            store.delete(run_id)

    with pytest.raises(RunError, match="there is no run"):
        merge_run(store, run_id, merged_path(store, run_id), for_page=True, told=told)
    assert not store.path(run_id).exists()


def test_a_download_leaves_out_names_that_are_no_text_or_lead_elsewhere(store: RunStore) -> None:
    run_id = finished(store)
    policy = store.policy_path(run_id)
    assert policy is not None
    there = {path.name for path in policy.iterdir()}
    for name in (b"\xff.json", b"..\\..\\x.bat", b"a\nb", b"C:x", b"\x1b[31m"):
        open(os.fsencode(policy) + b"/" + name, "w").close()
    answer = TestClient(Starlette(routes=routes())).get("/api/runs/policy", params={"run": run_id})
    assert {Path(name).name for name in zipfile.ZipFile(io.BytesIO(answer.content)).namelist()} == there


def test_what_is_refused_waits_in_no_line(store: RunStore) -> None:
    run_id = finished(store)
    with pytest.raises((RunError, ModelError), match="it takes a temperature"):
        begin(store, run_id, Asking(("1",), temperature=-1))
    job = begin(store, run_id, Merging())
    assert "trained all weights" in job.wait(PATIENCE).message
