"""From samples to docs/benchmarks.md: median, spread and n of each, and the machine they come from."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
from dataclasses import dataclass
from pathlib import Path

import plotly
import streamlit

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Row:
    """One quantity and its samples, in `unit`. `digits` behind the point are shown."""

    what: str
    unit: str
    samples: list[float]
    digits: int = 0

    def cells(self) -> str:
        values = sorted(self.samples)
        p95 = values[min(len(values) - 1, round(0.95 * (len(values) - 1)))]
        numbers = (statistics.median(values), values[0], values[-1], p95)
        median, low, high, tail = (f"{number:,.{self.digits}f}" for number in numbers)
        tail = tail if len(values) >= 20 else "–"
        return f"| {self.what} | {median} {self.unit} | {low} – {high} | {tail} | {len(values)} |"


@dataclass(frozen=True)
class Section:
    """One benchmark: its question, how it was measured, its rows, and what to take from them."""

    title: str
    how: str
    rows: list[Row]
    notes: list[str]

    def markdown(self) -> str:
        table = ["| what | median | lowest – highest | 95 % | n |", "|---|---|---|---|---|"]
        table += [row.cells() for row in self.rows]
        notes = [f"- {note}" for note in self.notes]
        return "\n".join([f"## {self.title}", "", self.how, "", *table, *([""] if notes else []), *notes, ""])


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


def write(where: str, sections: list[Section]) -> None:
    text = (
        "# Benchmarks\n\n"
        "Made by `make bench`; run it to see your machine's numbers. Nothing here is asserted by a test.\n\n"
        f"Machine: {where}, at the end {os.getloadavg()[0]:.1f} (the benchmarks' own work included).\n\n"
    )
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text + "\n".join(section.markdown() for section in sections), encoding="utf-8")
