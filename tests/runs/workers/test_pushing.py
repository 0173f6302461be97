"""What a run has trained goes to the Hub by its owner's command alone; a server of this test's stands for the Hub."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants

from sapo_viz.cli import main
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.workers.card import model_card
from sapo_viz.runs.workers.worker import work
from tests.runs.small_runs import small


@dataclass
class Hub:
    """The part of the Hub's interface that its library asks when a folder is published."""

    repositories: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    refuses: int = 0  # the status of its next commit
    asked: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, body: bytes, token: str) -> tuple[int, Any]:
        self.asked.append(f"{method} {path}")
        if token != "Bearer hf_own":
            return 401, {"error": "Invalid credentials"}
        if path == "/api/whoami-v2":
            return 200, {"name": "ada", "type": "user"}
        if path == "/api/repos/create":
            wanted = json.loads(body)
            name = f"{wanted.get('organization') or 'ada'}/{wanted['name']}"
            url = {"url": f"{constants.ENDPOINT}/{name}"}
            if name in self.repositories:
                return 409, url | {"error": "You already created this model repo"}
            self.repositories[name] = wanted
            return 200, url
        if path.endswith("/preupload/main"):
            names = [file["path"] for file in json.loads(body)["files"]]
            return 200, {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path.endswith("/commit/main"):
            if self.refuses:
                return self.refuses, {"error": "this account is full"}
            for entry in map(json.loads, body.splitlines()):
                if entry["key"] == "file":
                    self.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            return 200, {"commitUrl": f"{constants.ENDPOINT}/ada/mine/commit/1", "commitOid": "1", "success": True}
        return 404, {"error": f"{method} {path}"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, said = hub.answer(self.command, self.path, body, self.headers.get("Authorization", ""))
            data = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_own")
    yield hub
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of all weights and one of an adapter, each finished."""
    store = RunStore(tmp_path_factory.mktemp("runs"))
    ids = {
        "whole": store.create(small(steps=1, validate_every=0)),
        "adapter": store.create(small(steps=1, validate_every=0, lora_rank=2)),
    }
    for run_id in ids.values():
        assert work(store.path(run_id)).type == "finished"
    return {name: store.path(run_id) for name, run_id in ids.items()}


def test_a_policy_and_its_card_go_into_a_private_repository(
    hub: Hub, runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (runs["whole"] / "policy" / "notes.py").write_text("mine")
    assert main(["push", str(runs["whole"]), "mine", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "To ada/mine on the Hugging Face Hub (private), as ada: " in said
    assert said.endswith(f"{constants.ENDPOINT}/ada/mine\n")
    assert hub.repositories["ada/mine"]["visibility"] == "private"
    assert {"config.json", "model.safetensors", "README.md"} <= set(hub.files)
    assert "notes.py" not in hub.files  # what else lies there stays there
    assert hub.files["model.safetensors"] == (runs["whole"] / "policy" / "model.safetensors").read_bytes()


def test_what_is_there_is_replaced_only_when_that_is_said(
    hub: Hub, runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    hub.repositories["ada/mine"] = {}
    assert main(["push", str(runs["whole"]), "ada/mine", "--yes"]) == 2
    assert "there is one of this name; take another, or say --update" in capsys.readouterr().err
    assert not hub.files
    assert main(["push", str(runs["whole"]), "ada/mine", "--yes", "--update"]) == 0
    assert "model.safetensors" in hub.files


def test_an_adapter_names_a_model_that_others_can_load(
    hub: Hub, runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(runs["adapter"]), "mine", "--yes"]) == 2
    assert "the adapter's model is 'addition-start', which is on this machine alone; name" in capsys.readouterr().err
    assert not hub.asked
    assert main(["push", str(runs["adapter"]), "mine", "--yes", "--base", "ada/start"]) == 0
    assert json.loads(hub.files["adapter_config.json"])["base_model_name_or_path"] == "ada/start"
    assert main(["push", str(runs["whole"]), "mine", "--yes", "--base", "ada/start"]) == 2


def test_nothing_goes_unasked_or_without_a_login(
    hub: Hub, runs: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["push", str(runs["whole"]), "mine"]
    assert main(command) == 2
    assert "nobody is there to be asked" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _question: "")
    assert main(command) == 1
    assert capsys.readouterr().out.endswith("Nothing was sent.\n")
    monkeypatch.setenv("HF_TOKEN", "hf_old")
    assert main(command) == 2
    assert "the login is not valid any more; run `hf auth login` again" in capsys.readouterr().err
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    assert main(command) == 2
    assert "nobody is logged in to the Hugging Face Hub" in capsys.readouterr().err
    assert not hub.repositories and not hub.files


def test_what_the_hub_refuses_is_said_in_a_sentence(
    hub: Hub, runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.refuses = 400
    assert main(["push", str(runs["whole"]), "mine", "--yes"]) == 2
    assert "the Hub answered 400: this account is full." in capsys.readouterr().err
    assert main(["push", str(tmp_path), "mine", "--yes"]) == 2
    assert "holds no weights; it takes a finished run" in capsys.readouterr().err
    waiting = RunStore(tmp_path).create(small())
    assert main(["push", str(tmp_path / waiting), "mine", "--yes"]) == 2
    assert "its policy is there once it is finished" in capsys.readouterr().err


def test_a_card_says_nothing_of_the_folders_of_this_machine() -> None:
    places = dict(policy="/srv/ada/models/smol", data="/srv/ada/sums.csv@1a2b3c4d", reward="/srv/ada/earns.py")
    card = model_card(RunConfig(task="questions", **places), [])
    assert "/srv" not in card and "base_model" not in card
    assert "from `smol`, on the questions of `sums.csv`, rewarded by `earns.py`" in card
    assert 'base_model: "Qwen/Qwen3-0.6B"' in model_card(RunConfig(policy="Qwen/Qwen3-0.6B"), [])


@pytest.mark.parametrize("wrong", ["many", None, [1], {}, True])
def test_a_card_is_made_of_a_strangers_log_too(wrong: object) -> None:
    start = {
        "type": "start",
        "step": 0,
        "parameters": 75776,
        "trained": wrong,
        "held_out": wrong,
        "held_out_low": wrong,
    }
    card = model_card(RunConfig(), [start, {"type": "step", "step": 1, "metrics": {"held_out": 0.5, "reward": None}}])
    assert "75,776 trained" in card and "0.000 (0.000 to 0.000) before" in card
