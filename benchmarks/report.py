"""From samples to docs/benchmarks.md: median, spread and n of each, and the machine they come from."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import plotly
import streamlit

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Row:
    """One quantity and its samples, in `unit`. `digits` behind the point are shown.

    `busy` are samples of the same beside a process that keeps a core occupied.
    """

    what: str
    unit: str
    samples: list[float]
    digits: int = 0
    busy: list[float] | None = None

    def cells(self, with_busy: bool = False) -> str:
        values = sorted(self.samples)
        p95 = values[min(len(values) - 1, round(0.95 * (len(values) - 1)))]
        numbers = (statistics.median(values), values[0], values[-1], p95)
        median, low, high, tail = (f"{number:,.{self.digits}f}" for number in numbers)
        tail = tail if len(values) >= 20 else "–"
        line = f"| {self.what} | {median} {self.unit} | {low} – {high} | {tail} | {len(values)} |"
        if not with_busy:
            return line
        return line + (f" {statistics.median(self.busy):,.{self.digits}f} {self.unit} |" if self.busy else " – |")


@dataclass(frozen=True)
class Section:
    """One benchmark: its question, how it was measured, its rows, and what to take from them."""

    title: str
    how: str
    rows: list[Row]
    notes: list[str]

    def markdown(self) -> str:
        busy = any(row.busy for row in self.rows)
        table = ["| what | median | lowest – highest | 95 % | n |", "|---|---|---|---|---|"]
        if busy:
            table = [table[0] + " busy: median |", table[1] + "---|"]
        table += [row.cells(busy) for row in self.rows]
        notes = [f"- {note}" for note in self.notes]
        return "\n".join([f"## {self.title}", "", self.how, "", *table, *([""] if notes else []), *notes, ""])


@contextlib.contextmanager
def occupied() -> Iterator[None]:
    """A process beside us that keeps one core occupied, for the column *busy*."""
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def beside(quiet: list[Row], busy: list[Row]) -> list[Row]:
    """The rows of a quiet measurement with the same of a busy one in their last column."""
    return [replace(row, busy=other.samples) for row, other in zip(quiet, busy, strict=True)]


def machine() -> str:
    """Processor, cores that this process may use, versions, date, and what else the machine was doing."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{model}, {cores} cores, {platform.system()}; Python {platform.python_version()}, "
        f"Streamlit {streamlit.__version__}, Plotly {plotly.__version__}; {datetime.date.today().isoformat()}; "
        f"load at the start {os.getloadavg()[0]:.1f}"
    )


def write(where: str, section: Section) -> None:
    """Put the section in the place of the one with its title, or behind the others; it says where it was measured."""
    head, *others = TARGET.read_text(encoding="utf-8").split("\n## ")
    sections = {text.partition("\n")[0]: f"## {text.rstrip()}\n" for text in others}
    sections[section.title] = f"{section.markdown()}\nMachine: {where}, at the end {os.getloadavg()[0]:.1f}.\n"
    TARGET.write_text("\n".join([head.rstrip() + "\n", *sections.values()]), encoding="utf-8")
