"""Twenty browsers on one live run: what does the server spend, how late are the rows, and is one lost?

The watchers are a process of their own with twenty connections, each asking as live.js does: the run's new events
from its own offset, then a pause of half a second. One Chromium is opened first to see that it asks in the same way;
twenty of them would measure Chromium. The run is a real one, on a core of the same machine.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.report import ROOT, Row, Section
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.workers.launcher import launch, stop
from scripts.browser import chromium, serving, settle

WATCHERS = 20
PAUSE = 0.5  # seconds, live.js: POLL_MS
WINDOW = 12  # seconds of measuring
LATE, BUSY = 2.0, 50.0  # aimed at: seconds until a row is seen, per cent of one core


def measure() -> Section:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = RunStore(folder / "runs")
        with serving(folder) as server:
            pid = server.process.pid
            run_id = launch(RunConfig(steps=100_000, device="cpu"), store)
            _wait_for_steps(store, run_id, 3)
            gaps, same = _chromium(server.url, run_id)
            time.sleep(2.0)  # the browser is gone, its session too
            alone = _cpu(pid, 3)
            out = folder / "watchers.json"
            command = [sys.executable, "-m", "benchmarks.watchers", server.url, run_id, str(out)]
            watchers = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
            assert watchers.stdout is not None
            watchers.stdout.readline()  # all of them watch
            busy = _cpu(pid, WINDOW)
            first = store.summary(run_id).step
            stop(run_id, store, timeout=5)
            watchers.wait(30)
            seen = json.loads(out.read_text())
        rows = [event["step"] for event in store.read_events(run_id)[0] if event["type"] == "step"]
    wrong = sum(steps != rows for steps in seen["steps"])
    late, errors = seen["late"], seen["errors"]
    verdict = "met" if max(late) <= LATE and max(busy) < BUSY and not wrong else "not met"
    return Section(
        f"{WATCHERS} browsers on one live run",
        f"A default run (about {first / max(1.0, seen['seconds']):.0f} steps a second here) and {WATCHERS} connections "
        f"that ask as the page's figure does, every {PAUSE:g} s, from a second process. Processor time of the server's "
        "process second by second; a row's age when a watcher has it.",
        [
            Row("server, of one core, nobody watching", "%", alone, digits=1),
            Row(f"server, of one core, {WATCHERS} watching", "%", busy, digits=1),
            Row("a row's age when it is seen", "s", late, digits=2),
            Row("answer to a question", "ms", seen["answers"], digits=1),
            Row("a watcher's traffic", "kB/s", seen["traffic"], digits=1),
        ],
        [
            f"{len(rows):,} rows were logged; watchers that have not each of them once, in order: {wrong} of "
            f"{WATCHERS}. Questions without an answer: {errors}.",
            f"Chromium asks the same address in the same way: {'yes' if same else 'no'}; its questions stood "
            f"{sorted(gaps)[len(gaps) // 2]:.2f} s apart (median of {len(gaps)}).",
            f"Aimed at: below {BUSY:g} % of one core in every second, every row within {LATE:g} s, none lost: "
            f"{verdict}.",
        ],
    )


def _wait_for_steps(store: RunStore, run_id: str, steps: int) -> None:
    end = time.monotonic() + 60
    while store.summary(run_id).step < steps:
        if time.monotonic() > end:
            raise RuntimeError(f"the run has not begun: {store.log(run_id)}")
        time.sleep(0.05)


def _chromium(url: str, run_id: str) -> tuple[list[float], bool]:
    """Seconds between the questions of a real page, and whether each is the one that the watchers ask."""
    asked: list[tuple[float, str]] = []
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.on("request", lambda r: asked.append((time.monotonic(), r.url)) if "/api/runs/events" in r.url else None)
        page.goto(f"{url}/train?runs={run_id}")
        settle(page)
        asked.clear()
        end = time.monotonic() + 15
        while len(asked) < 9 and time.monotonic() < end:
            page.wait_for_timeout(200)
        page.close()
    same = bool(asked) and all(
        [part.rpartition(":")[0] for part in parse_qs(urlsplit(address).query)["from"]] == [run_id]
        and urlsplit(address).path == "/api/runs/events"
        for _, address in asked
    )
    times = [moment for moment, _ in asked]
    return [later - earlier for earlier, later in zip(times, times[1:], strict=False)] or [float("nan")], same


def _cpu(pid: int, seconds: int) -> list[float]:
    """Per cent of one core that the process used in each of so many seconds."""
    samples, before, began = [], _ticks(pid), time.monotonic()
    for _ in range(seconds):
        time.sleep(1.0)
        now, moment = _ticks(pid), time.monotonic()
        samples.append(100 * (now - before) / os.sysconf("SC_CLK_TCK") / (moment - began))
        before, began = now, moment
    return samples


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


# -- the second process ------------------------------------------------------------------------------------


class Watcher(threading.Thread):
    """One connection that asks until the run has ended and its last row is here."""

    def __init__(self, url: str, run_id: str) -> None:
        super().__init__(daemon=True)
        self.address, self.run_id = urlsplit(url).netloc, run_id
        self.steps: list[int] = []
        self.late: list[float] = []
        self.answers: list[float] = []
        self.bytes = self.errors = self.offset = 0

    def run(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        first = True
        while True:
            began = time.perf_counter()
            try:
                news = self.ask(connection)
            except (OSError, http.client.HTTPException):
                self.errors += 1
                connection.close()
                time.sleep(3.0)
                continue
            self.answers.append(1000 * (time.perf_counter() - began))
            now = time.time()
            for event in news["events"]:
                if event["type"] == "step":
                    self.steps.append(event["step"])
                    if not first:  # what was there before the watcher came is not late
                        self.late.append(now - event["time"])
            self.offset, first = news["next"], False
            if news["status"] not in ("queued", "starting", "running"):
                return
            time.sleep(PAUSE)

    def ask(self, connection: http.client.HTTPConnection) -> dict[str, Any]:
        path = f"/api/runs/events?from={self.run_id}%3A{self.offset}"
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        body = answer.read()
        self.bytes += len(body)
        text = gzip.decompress(body) if answer.headers.get("Content-Encoding") == "gzip" else body
        [news] = json.loads(text)["runs"]
        return dict(news)


def watch(url: str, run_id: str, out: Path) -> None:
    watchers = [Watcher(url, run_id) for _ in range(WATCHERS)]
    began = time.monotonic()
    for watcher in watchers:
        watcher.start()
        time.sleep(PAUSE / WATCHERS)  # twenty people do not press a key in the same moment
    print("watching", flush=True)
    end = began + WINDOW + 20
    for watcher in watchers:
        watcher.join(max(0.0, end - time.monotonic()))
    seconds = time.monotonic() - began
    result = dict(
        steps=[watcher.steps for watcher in watchers],
        late=[age for watcher in watchers for age in watcher.late],
        answers=[each for watcher in watchers for each in watcher.answers],
        traffic=[watcher.bytes / 1000 / seconds for watcher in watchers],
        errors=sum(watcher.errors for watcher in watchers),
        seconds=seconds,
    )
    out.write_text(json.dumps(result))


if __name__ == "__main__":
    watch(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
