"""How long from starting the server to something to see? Beside an empty Streamlit page in the same rounds."""

from __future__ import annotations

import contextlib
import json
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks.report import Row, Section
from scripts.browser import EXHIBITS, Server, chromium, launch

ROUNDS = 7
EMPTY = 'import streamlit as st\n\nst.title("empty")\n'
TEXT = '[data-testid="stMain"] h1'
FIGURE = ".lab path.first-line, .lab .main-svg path.js-line, .exh-figure svg > g > *"
HOVER = '.lab[data-ready="true"] .main-svg path.js-line'

# The page itself notes when it first sees what is waited for: a wait from outside looks only every half second.
WATCH = """([selector]) => {
  const look = () => {
    if (document.querySelector(selector)) window.sapoSeen ??= Date.now();
    else setTimeout(look, 5);
  };
  look();
}"""


def measure() -> Section:
    samples: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        empty = Path(folder) / "empty_page.py"
        empty.write_text(EMPTY)
        targets = [
            ("empty Streamlit page: text", str(empty), "/", TEXT),
            ("home: text", "app.py", "/", TEXT),
            ("home: figure drawn", "app.py", "/", FIGURE),
            ("curves: text", "app.py", "/curves", TEXT),
            ("home: hover and zoom", "app.py", "/", HOVER),
            ("curves: figure drawn", "app.py", "/curves", FIGURE),
            ("curves: hover and zoom", "app.py", "/curves", HOVER),
            *((f"{name}: figure drawn", "app.py", path, FIGURE) for name, path in EXHIBITS.items()),
        ]
        for _ in range(ROUNDS):
            for name, script, path, selector in targets:
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                page.add_init_script(f"({WATCH})({json.dumps([selector])})")
                began = time.time()
                server = launch(Path(folder) / "run", script)
                try:
                    _wait(server)
                    page.goto(server.url + path, wait_until="commit")
                    seen = page.wait_for_function("() => window.sapoSeen", timeout=60_000).json_value()
                    samples.setdefault(name, []).append(seen / 1000 - began)
                finally:
                    page.close()
                    server.stop()
    return Section(
        "Start → first content",
        "From starting the server's process to the first content in Chromium (no GPU, empty cache, already open). "
        "The kinds take turns, so that a slow moment of the machine meets all of them.",
        [Row(name, "s", values, digits=2) for name, values in samples.items()],
        _against_floor(samples)
        + [
            "The first figure follows its sliders; hover and zoom come with plotly.js, 4.8 MB to parse.",
            "Home, curves and exhibits import neither torch nor transformers (a test says so).",
        ],
    )


def _against_floor(samples: dict[str, list[float]]) -> list[str]:
    floor = statistics.median(samples["empty Streamlit page: text"])
    ratios = ", ".join(
        f"{page} {statistics.median(samples[f'{page}: figure drawn']) / floor:.2f}"
        for page in ("home", "curves", *EXHIBITS)
    )
    return [f"First figure as a multiple of the empty page (aimed at: 1.3): {ratios}."]


def _wait(server: Server) -> None:
    while server.process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=1):
            return
        time.sleep(0.01)
    raise RuntimeError(server.log())
