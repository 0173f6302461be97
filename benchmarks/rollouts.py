"""How large a rollout file may be: time and memory of a whole look at it, beside a plain pandas reading of it.

Each sample is a process of its own: what is printed holds the start of Python, every import (torch among
them), and the peak of the whole process.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import ROOT, Row, Section
from scripts.browser import chromium, serving, settle

LENGTH = 500  # tokens per sequence
VOCABULARY = 30_000
_PATIENCE = 300_000  # ms; the machine may be busy

# The page's summary and batch view under three objectives; seconds by part, as the last line of output.
OURS = """
import json, sys, time
began = time.perf_counter()
from sapo_viz import CATALOG
from sapo_viz.rollouts.readers.read import read_rollouts
import torch
seconds = {"imports": time.perf_counter() - began}
def part(name, began):
    seconds[name] = time.perf_counter() - began
began = time.perf_counter(); rollouts = read_rollouts(sys.argv[1]); part("read", began)
from sapo_viz.rollouts.analysis.analyse import analyse
began = time.perf_counter()
analysis = analyse(rollouts, {key: CATALOG[key]() for key in ("sapo", "grpo", "gspo")}); part("analyse", began)
began = time.perf_counter()
analysis.batch, analysis.sequences, [analysis.histogram(what) for what in ("log_ratio", "log_s", "variance")]
part("views", began)
print(json.dumps(seconds))
"""
PANDAS = """
import sys, pandas
name = sys.argv[1]
kind = name.rsplit(".", 1)[1]
if kind == "parquet": pandas.read_parquet(name)
elif kind == "jsonl": pandas.read_json(name, lines=True)
else: pandas.read_csv(name, keep_default_na=False)
"""


def measure() -> Section:
    rows: list[Row] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, millions, rounds in (("parquet", 1, 3), ("jsonl", 1, 3), ("csv", 1, 3), ("parquet", 10, 1)):
            path = Path(folder) / f"{millions}m.{kind}"
            write(path, millions * 1_000_000)
            name = f"{millions}M tokens, {kind}"
            samples: dict[str, list[tuple[float, float, str]]] = {}
            for _ in range(rounds):  # in turns, so that a slow moment of the machine meets all of them
                for what, command in _commands(path).items():
                    samples.setdefault(what, []).append(run(command))
            for what, found in samples.items():
                rows.append(Row(f"{name}: {what}", "s", [seconds for seconds, _, _ in found], digits=2))
                rows.append(Row(f"{name}: {what}, peak memory", "MB", [peak for _, peak, _ in found]))
            notes.append(f"{name} ({path.stat().st_size / 1e6:,.0f} MB): " + _parts(samples["summary and batch view"]))
            if millions == 10:
                rows += [Row(f"{name}, on the page: {what}", "s", [spent], digits=1) for what, spent in on_page(path)]
            path.unlink()
    return Section(
        "Rollout files",
        f"Files made here (seeded; sequences of {LENGTH} tokens, {VOCABULARY:,} distinct ones, reward and group), read "
        "and looked at under three objectives: shares by sign, sequence table, three histograms. Every sample is a "
        "fresh process, from its start to its end, imports included. pandas only reads the file into a frame. On the "
        "page: opened from the data folder, in Chromium on the same machine, by a server that has shown a sample.",
        rows,
        notes,
    )


def on_page(path: Path) -> list[tuple[str, float]]:
    """Seconds that a visitor waits, for one thing after the other."""
    found: list[tuple[str, float]] = []
    os.environ["SAPO_VIZ_DATA_DIR"] = str(path.parent)
    try:
        with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server, chromium() as browser:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(f"{server.url}/tokens")
            settle(page)
            began = time.perf_counter()
            page.goto(f"{server.url}/tokens?source=folder&file={path.name}")
            page.locator(".tok[data-ready=true]").wait_for(timeout=_PATIENCE)
            found.append(("open → its tokens", time.perf_counter() - began))
            page.get_by_text(re.compile(r"Findings \(\d+\)")).wait_for(timeout=_PATIENCE)
            settle(page, _PATIENCE)
            found.append(("open → all of the view, findings too", time.perf_counter() - began))
            for what, label, shown in (
                ("whole file", "Whole file", "Where do they disagree most?"),
                ("back to the sequence", "One sequence", "What to notice"),
                ("which τ, which ε", "Which τ, which ε", "Equal shares are not equal training"),
                ("back to the sequence again", "One sequence", "What to notice"),
            ):
                began = time.perf_counter()
                page.get_by_text(label, exact=True).click()
                page.get_by_text(shown).first.wait_for(timeout=_PATIENCE)
                settle(page, _PATIENCE)
                found.append((what, time.perf_counter() - began))
            knob = page.get_by_label("SAPO tau_pos, as a number")
            began = time.perf_counter()
            knob.fill("2")
            knob.press("Enter")
            page.wait_for_url("**sapo.tau_pos=2**", timeout=_PATIENCE)
            settle(page, _PATIENCE)
            found.append(("a knob let go → all of the view", time.perf_counter() - began))
    finally:
        del os.environ["SAPO_VIZ_DATA_DIR"]
    return found


def _commands(path: Path) -> dict[str, list[str]]:
    return {
        "summary and batch view": [sys.executable, "-c", OURS, str(path)],
        "`inspect --json`": [sys.executable, "-m", "sapo_viz", "inspect", str(path), "--json"],
        "pandas reads it": [sys.executable, "-c", PANDAS, str(path)],
    }


def run(command: list[str]) -> tuple[float, float, str]:
    """Seconds, peak of resident memory in MB, and the last line that it printed."""
    with tempfile.TemporaryFile() as out:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command[:3])
        out.seek(max(0, out.seek(0, os.SEEK_END) - 2000))
        last = out.read().decode(errors="replace").strip().rsplit("\n", 1)[-1]
    return seconds, usage.ru_maxrss / 1024, last


def _parts(found: list[tuple[float, float, str]]) -> str:
    """Where the time goes: median seconds of each part."""
    parts: dict[str, list[float]] = {}
    for _, _, line in found:
        for name, seconds in json.loads(line).items():
            parts.setdefault(name, []).append(seconds)
    return ", ".join(f"{name} {statistics.median(seconds):.2f} s" for name, seconds in parts.items()) + "."


def write(path: Path, tokens: int) -> None:
    """A file of `tokens` tokens, some 250 sequences at a time."""
    match path.suffix:
        case ".parquet":
            _write_parquet(path, tokens)
        case ".jsonl":
            with path.open("w", encoding="utf-8") as file:
                for sequence in _sequences(tokens):
                    file.write(json.dumps(sequence) + "\n")
        case ".csv":
            with path.open("w", encoding="utf-8") as file:
                file.write("sequence,token,logprob,old_logprob,reward,group\n")
                for item in _sequences(tokens):
                    ends = f"{item['reward']},{item['group']}\n"
                    columns = zip(item["tokens"], item["logprobs"], item["old_logprobs"], strict=True)
                    file.writelines(f"{item['id']},{text},{new!r},{old!r},{ends}" for text, new, old in columns)


def _sequences(tokens: int) -> Iterator[dict[str, Any]]:
    for index, (texts, new, old, reward) in enumerate(_draws(tokens)):
        yield {
            "id": f"s{index}",
            "tokens": texts.tolist(),
            "logprobs": new.tolist(),
            "old_logprobs": old.tolist(),
            "reward": reward,
            "group": f"g{index // 8}",
        }


def _draws(tokens: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
    """Texts with a heavy-tailed frequency, log-probs, and a reward of each sequence."""
    rng = np.random.default_rng(0)
    vocabulary = np.array([f" t{number}" for number in range(VOCABULARY)], dtype=object)
    for _ in range(tokens // LENGTH):
        old = -rng.exponential(1.0, LENGTH)
        new = np.minimum(old + rng.normal(0, 0.1, LENGTH), 0.0)
        codes = np.minimum(rng.zipf(1.2, LENGTH) - 1, VOCABULARY - 1)
        yield vocabulary[codes], new, old, float(rng.integers(2))


def _write_parquet(path: Path, tokens: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = pa.list_(pa.float64())
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("tokens", pa.list_(pa.string())),
            ("logprobs", numbers),
            ("old_logprobs", numbers),
            ("reward", pa.float64()),
            ("group", pa.string()),
        ]
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        rows: list[dict[str, Any]] = []
        for sequence in _sequences(tokens):
            rows.append(sequence)
            if len(rows) == 250:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows.clear()
        if rows:
            writer.write_table(pa.Table.from_pylist(rows, schema))
