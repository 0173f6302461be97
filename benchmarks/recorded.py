"""A recorded run of 100 million tokens in the data folder: how long until its curves, and until any step's tokens?

Rows and metrics are the recorder's own (`token_rows`, `write_tokens`, `measure`, `merge`), of batches drawn here. It
writes sixteen steps; the others are copies of these, file by file: what is opened has their size, and a hundred million
draws would take longer than all of the rest.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.memory import resident
from benchmarks.report import ROOT, Row, Section
from scripts.browser import chromium, serving, settle

if TYPE_CHECKING:
    from playwright.sync_api import Page

MILLIONS = 100
SEQUENCES, LENGTH, VOCABULARY = 64, 1024, 30_000
EVERY = 4  # steps between two that keep their tokens
_WRITTEN = 16  # steps that the recorder writes
_PATIENCE = 120_000  # milliseconds
_LOOKS = 12  # steps that are opened
_CURVES = """steps => {
  const plot = document.querySelector('[data-testid=panel-reward] .live-plot');
  return plot?.data?.some(({ y }) => y.length === steps);
}"""


def measure(millions: int = MILLIONS) -> Section:
    with tempfile.TemporaryDirectory() as name:
        data, app = Path(name, "data"), Path(name, "app")
        kept = write(data / "run", millions)
        size = sum(path.stat().st_size for path in (data / "run" / "tokens").iterdir())
        log = (data / "run" / "events.jsonl").stat().st_size
        os.environ["SAPO_VIZ_DATA_DIR"] = str(data)
        try:
            with serving(app) as server, chromium() as browser:
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                page.goto(f"{server.url}/tokens")
                settle(page)
                idle = resident(server.process.pid)
                curves, curves_cpu = _timed(lambda: _curves(page, server.url, len(kept) * EVERY), 3)
                drawn = resident(server.process.pid)
                rng = random.Random(0)
                chosen = [kept[0], kept[-1], *rng.sample(kept, _LOOKS - 2)]
                opened, opened_cpu, peak = [], [], drawn
                for step in chosen:
                    wall, cpu = _timed(functools.partial(_step, page, server.url, step))
                    opened, opened_cpu = opened + wall, opened_cpu + cpu
                    peak = max(peak, resident(server.process.pid))
                walked, walked_cpu = _timed(lambda: _previous(page), 3)
        finally:
            del os.environ["SAPO_VIZ_DATA_DIR"]
    met = max(curves) <= 5 and max(opened + walked) <= 3 and peak <= 2000
    return Section(
        f"A recorded run of {millions} million tokens",
        f"{len(kept):,} steps of {SEQUENCES} sequences of {LENGTH:,} tokens, Parquet as the recorder writes it "
        f"({size / 1e9:.1f} GB; {_WRITTEN} steps written by it, the others copies of these), one step in {EVERY} of "
        f"{len(kept) * EVERY:,} ({log / 1e6:.0f} MB of log), below the data folder. Chromium on the same machine; from "
        "the address to all steps in the reward's panel, and to the tokens of a step's first sequence. Processor time "
        "is that of server and browser together until the page has settled, which a busy machine changes less. Memory "
        "is that of the server and all of its processes.",
        [
            Row("the run's curves", "s", curves, digits=1),
            Row("the run's curves, processor time", "s", curves_cpu, digits=1),
            Row("any step's tokens, by address", "s", opened, digits=1),
            Row("any step's tokens, processor time", "s", opened_cpu, digits=1),
            Row("the step before, by its button: all of the view", "s", walked, digits=1),
            Row("the step before, processor time", "s", walked_cpu, digits=1),
            Row("memory, before", "MB", [idle]),
            Row("memory, curves drawn", "MB", [drawn]),
            Row("memory, largest after a step was opened", "MB", [peak]),
        ],
        [
            f"Aimed at: curves within 5 s, any step within 3 s, 2 GB: {'met' if met else 'not met'} by the slowest of "
            "these, at the load that is named below."
        ],
    )


def _timed(action: Callable[[], float], times: int = 1) -> tuple[list[float], list[float]]:
    """What each call returns, and the processor time that it took here and in all processes below."""
    found, spent = [], []
    for _ in range(times):
        before = _processor_time()
        found.append(action())
        spent.append(_processor_time() - before)
    return found, spent


def _processor_time() -> float:
    own = psutil.Process()
    total = 0.0
    for process in [own, *own.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])  # its own and that of its children that have ended
    return total


def _curves(page: Page, url: str, steps: int) -> float:
    began = time.perf_counter()
    page.goto(f"{url}/train?runs=data%3Arun")
    page.wait_for_function(_CURVES, arg=steps, timeout=_PATIENCE)
    spent = time.perf_counter() - began
    settle(page, _PATIENCE)
    return spent


def _step(page: Page, url: str, step: int) -> float:
    began = time.perf_counter()
    page.goto(f"{url}/tokens?run=data%3Arun&step={step}")
    page.locator(".tok[data-ready=true]").wait_for(timeout=_PATIENCE)
    spent = time.perf_counter() - began
    settle(page, _PATIENCE)
    return spent


def _previous(page: Page) -> float:
    before = page.url
    began = time.perf_counter()
    page.get_by_role("button", name="Previous step").click()
    page.wait_for_function("before => location.href !== before", arg=before, timeout=_PATIENCE)
    settle(page, _PATIENCE)
    return time.perf_counter() - began


def write(folder: Path, millions: int) -> list[int]:
    """The run's folder; returns the steps that keep their tokens."""
    sys.path.insert(0, str(ROOT / "recorder"))
    import sapo_recorder as recorder
    import torch

    loss = recorder.Loss("sapo", "token", "sapo", {"tau_pos": 1.0, "tau_neg": 1.05})
    texts = recorder.Texts(_Words())
    draw = torch.Generator().manual_seed(0)
    (folder / "tokens").mkdir(parents=True)
    count = -(-millions * 1_000_000 // (SEQUENCES * LENGTH))
    kept = [1, *range(EVERY, count * EVERY, EVERY)]
    metrics: list[dict[str, float]] = []
    for number, step in enumerate(kept):
        stem = folder / "tokens" / f"step-{step:05d}.rank-0"
        if number < _WRITTEN:
            batch = _batch(recorder, draw)
            metrics.append(recorder.merge([recorder.measure([batch], loss)]))
            recorder.write_tokens(stem, recorder.token_rows([batch], step, 0, SEQUENCES, texts))
        else:
            first = folder / "tokens" / f"step-{kept[number % _WRITTEN]:05d}.rank-0.parquet"
            shutil.copyfile(first, f"{stem}.parquet")
        done = {"step": step, "files": [f"tokens/{stem.name}.parquet"], "sequences": SEQUENCES}
        (folder / "tokens" / f"step-{step:05d}.done").write_text(json.dumps(done))
    config = {
        "kind": "recorded", "framework": "trl", "version": "1.16.0", "recorder": recorder.__version__, "loss": "sapo",
        "level": "token", "objective": "sapo", "knobs": dict(loss.knobs), "model": "drawn", "world": 1, "every": EVERY,
        "sequences": SEQUENCES, "settings": {},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    _write_log(folder, kept, count * EVERY, metrics)
    return kept


def _write_log(folder: Path, kept: list[int], steps: int, metrics: list[dict[str, float]]) -> None:
    began, rng, there = time.time() - steps, random.Random(0), frozenset(kept)
    with (folder / "events.jsonl").open("w") as file:

        def say(type: str, step: int, **more: Any) -> None:
            file.write(json.dumps({"type": type, "step": step, "time": round(began + step, 3), **more}) + "\n")

        say("start", 0, resumed=False, world=1, framework="trl", version="1.16.0")
        for step in range(1, steps + 1):
            measured = {name: value * rng.uniform(0.95, 1.05) for name, value in rng.choice(metrics).items()}
            say("step", step, metrics=measured, dropped=0, write_errors=0)
            if step in there:
                file_name = f"tokens/step-{step:05d}.rank-0.parquet"
                say("sample", step, file=file_name, files=[file_name], sequences=SEQUENCES, complete=True)
        say("finished", steps, kind="trained", seconds=steps)


def _batch(recorder: Any, draw: Any) -> Any:
    import torch

    shape = SEQUENCES, LENGTH
    old = -torch.empty(shape).exponential_(1.0, generator=draw) - 1e-3
    new = (old + 0.1 * torch.randn(shape, generator=draw)).clamp(max=0)
    rank = torch.empty(shape).uniform_(0, 1, generator=draw)
    return recorder.Batch(
        logprobs=new,
        old_logprobs=old,
        sampler_logprobs=(old + 0.01 * torch.randn(shape, generator=draw)).clamp(max=0),
        ref_logprobs=old - 0.05,
        advantages=torch.randn(SEQUENCES, generator=draw),
        mask=torch.ones(shape, dtype=torch.int64),
        ids=(VOCABULARY**rank).long(),  # a few are often there, most are rare
        rewards=torch.rand(SEQUENCES, generator=draw),
        groups=torch.arange(SEQUENCES) // 8,
        prompt_ids=torch.ones(SEQUENCES, 8, dtype=torch.int64),
    )


class _Words:
    """A tokenizer as far as the recorder needs one."""

    def decode(self, ids: list[int]) -> str:
        return "".join(f" t{token}" for token in ids)
