"""What is said of a run while it is watched: each rule once, with its number; sent only where an address is given."""

from __future__ import annotations

import http.server
import json
import runpy
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sapo_viz.cli import main
from sapo_viz.errors import RunError
from sapo_viz.experiments.alerts import Alerts
from sapo_viz.experiments.watching import Watched, checked_address, post
from sapo_viz.rollouts.audit.audit import Audit
from sapo_viz.runs.folder.store import RunStore
from tests.recorder.recording import record_run
from tests.rollouts.audit.test_audit import RECORDED


def fed(rules: Alerts, name: str, values: list[float], start: int = 1) -> list[tuple[int, str]]:
    found = []
    for step, value in enumerate(values, start):
        event = {"type": "step", "step": step, "time": 0.0, "metrics": {"reward": 0.5, name: value}}
        found += [(alert.step, alert.kind) for alert in rules.add(event)]
    return found


@pytest.mark.parametrize(
    ("kind", "metric", "well", "ill"),
    [
        ("ratio", "ratio_p99", 1.2, 9.0),
        ("ratio_max", "ratio_max", 3.0, 900.0),
        ("dead_groups", "dead_groups", 0.1, 1.0),
        ("entropy", "entropy", 1.0, 0.001),
        ("length", "length", 50.0, 100.0),
        ("mismatch", "kl_sampler", 4e-4, 0.05),
    ],
)
def test_each_rule_speaks_once_when_it_begins_to_hold(kind: str, metric: str, well: float, ill: float) -> None:
    assert fed(Alerts(most_tokens=100), metric, [well] * 30) == []
    found = fed(Alerts(most_tokens=100), metric, [well] * 10 + [ill] * 10)
    assert [name for _, name in found] == [kind] and 11 <= found[0][0] <= 15


def test_what_holds_again_after_a_while_is_said_again() -> None:
    found = fed(Alerts(), "ratio_p99", [9.0] * 6 + [1.0] * 20 + [9.0] * 6)
    assert [kind for _, kind in found] == ["ratio", "ratio"]


def test_an_alert_has_number_and_rule() -> None:
    rules = Alerts()
    said = [a.text for step in range(1, 7) for a in rules.add(
        {"type": "step", "step": step, "time": 0.0, "metrics": {"reward": 0.5, "ratio_p99": 4.0}})]  # fmt: skip
    assert said == [
        "Step 5: 1 % of the tokens have ratios above 4. Rule: the mean 99 % quantile of 5 steps is above 2."
    ]


def test_a_collapse_is_an_alert() -> None:
    rules, found = Alerts(), []
    for step in range(1, 41):
        metrics = {"reward": 0.9 if step <= 20 else 0.0, "entropy": 1.0, "grad_norm": 1.0}
        found += rules.add({"type": "step", "step": step, "time": 0.0, "metrics": metrics})
    assert [alert.kind for alert in found] == ["collapse"] and "reward 0.9" in found[0].sentence


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


def copied(store: RunStore, kind: str) -> Watched:
    """A run of TRL's trainer whose log says that it kept the tokens of steps 2 and 4."""
    folder = store.root / kind
    shutil.copytree(RECORDED / kind, folder)
    lines: list[dict[str, Any]] = [{"type": "start", "step": 0, "time": 1.0}]
    lines += [{"type": "sample", "step": step, "time": 1.0 + step, "file": ""} for step in (2, 4)]
    (folder / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Watched(store, kind)


def test_a_faulty_loss_is_an_alert_and_a_healthy_one_is_none(store: RunStore) -> None:
    assert [alert.kind for alert in copied(store, "healthy").look() if alert.kind == "loss_audit"] == []
    watched = copied(store, "advantages")
    found = [alert for alert in watched.look() if alert.kind == "loss_audit"]
    assert len(found) == 1 and "the advantages are missing" in found[0].sentence
    assert watched.look() == [] and found[0] in watched.alerts


def test_a_loss_that_nothing_explains_is_said_once_and_again_after_it_has_fitted() -> None:
    nan = float("nan")
    unexplained = Audit("unexplained", "sapo", (), "The loss is none that is known.", (), nan, nan, nan, 3, 1, False)
    fitting = replace(unexplained, status="matches")
    rules = Alerts()
    said = [len(rules.add_tokens(step, [], audit)) for step, audit in enumerate([unexplained] * 3 + [fitting] * 2)]
    assert said == [1, 0, 0, 0, 0]
    assert [alert.kind for alert in rules.add_tokens(6, [], unexplained)] == ["loss_audit"]


def test_a_run_that_grows_is_looked_at_from_where_it_was(store: RunStore) -> None:
    run = record_run(store.root / "live", 2, end=None)
    watched = Watched(store, "live")
    watched.look()
    run.end("failed", "diverged", "loss is not a number")
    assert "collapse" in [alert.kind for alert in watched.look()]


@pytest.fixture
def taken() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address on this machine, and what was sent to it."""
    bodies: list[dict[str, Any]] = []

    class Taking(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook", bodies
    server.shutdown()


def test_the_command_says_it_and_sends_it_where_it_is_asked_to(
    store: RunStore, taken: tuple[str, list[dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    address, bodies = taken
    folder = str(copied(store, "temperature").store.root / "temperature")
    assert main(["watch", folder, "--once"]) == 0
    assert "the temperature of positive tokens is used for negative ones" in capsys.readouterr().out
    assert bodies == []  # nothing leaves the machine unasked
    assert main(["watch", folder, "--once", "--webhook", address]) == 0
    assert len(bodies) == 1 and bodies[0]["run"] == "temperature"
    assert "loss_audit" in [alert["kind"] for alert in bodies[0]["alerts"]]
    assert main(["watch", folder, "--once", "--webhook", "file:///etc/passwd"]) == 2
    assert "begins with http" in capsys.readouterr().err


def test_an_address_that_does_not_answer_is_said_and_stops_nothing() -> None:
    assert "did not take the alert" in post("http://127.0.0.1:9/", "x", [])
    with pytest.raises(RunError, match="http"):
        checked_address("ftp://example.org")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", "302"),
        (b"HTTP/1.1 307 Temporary Redirect\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", "307"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "SSH-2.0"),
        (b"", "without response"),
    ],
)
def test_an_address_that_sends_on_or_speaks_another_language_has_not_taken_the_alert(
    answer: bytes, says: str, taken: tuple[str, list[dict[str, Any]]]
) -> None:
    elsewhere, bodies = taken
    with socket.create_server(("127.0.0.1", 0)) as server:

        def once() -> None:
            talk, _ = server.accept()
            with talk:
                talk.recv(65536)
                talk.sendall(answer.replace(b"%s", elsewhere.encode()))

        thread = threading.Thread(target=once, daemon=True)
        thread.start()
        said = post(f"http://127.0.0.1:{server.getsockname()[1]}/", "x", [])
        thread.join()
    assert "did not take the alert" in said and says in said and not bodies


def test_a_server_does_not_start_with_a_webhook_that_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPO_VIZ_WEBHOOK", "ftp://example.org")
    said = "SAPO_VIZ_WEBHOOK: the webhook is 'ftp://example.org'; it takes an address"
    with pytest.raises(SystemExit, match=said):
        runpy.run_path(str(Path(__file__).parents[2] / "app.py"))


def test_the_page_is_told_once_the_thread_has_looked(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from sapo_viz.ui.serving import alerts

    monkeypatch.setattr(alerts, "_KEEPS", 2.0)
    copied(store, "mask")
    told = alerts.alerts_of(store, "mask")
    while not told:  # pytest's own limit ends a thread that never looks
        assert alerts._thread is not None and alerts._thread.is_alive()
        alerts._thread.join(0.2)
        told = alerts.alerts_of(store, "mask")
    assert told[0]["kind"] == "loss_audit" and "the mask is shifted by one" in told[0]["sentence"]
