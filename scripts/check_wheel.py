"""Build the wheel, install it into a fresh environment outside the checkout and use it there: `make check-wheel`.

The first page opens, `inspect` reads a sample and a run of three steps leaves its folder where one stands, not in
site-packages. Versions are those of requirements.txt, so that the test fails for our reasons only.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="sapo-viz-wheel-") as folder:
        outside = Path(folder)
        wheel = build(outside)
        python = install(wheel, outside / "env")
        command = python.with_name("sapo-viz")
        elsewhere = outside / "elsewhere"
        elsewhere.mkdir()
        inspects(command, elsewhere)
        trains(command, elsewhere)
        opens(command, elsewhere)
    print("the installed package inspects, trains and opens its first page")
    return 0


def build(outside: Path) -> Path:
    """The wheel, built in an environment of its own as pip does it for everyone."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(outside), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = outside.glob("sapo_viz-*.whl")
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")
    return wheel


def install(wheel: Path, place: Path) -> Path:
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--constraint", str(ROOT / "requirements.txt"), str(wheel)], check=True)
    return python


def inspects(command: Path, folder: Path) -> None:
    sample = ROOT / "assets" / "samples" / "outlier.jsonl"
    out = subprocess.run([command, "inspect", sample], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert "sapo" in out.lower(), out


def trains(command: Path, folder: Path) -> None:
    run = folder / "runs" / "three"
    flags = ["--steps", "3", "--prompts", "4", "--completions", "4", "--device", "cpu", "--out", str(run)]
    subprocess.run([command, "train", *flags], cwd=folder, capture_output=True, check=True)
    assert (run / "events.jsonl").read_text(encoding="utf-8").count('"type": "step"') == 3


def opens(command: Path, folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    server = subprocess.Popen([command, "app", "--port", str(port)], cwd=folder, env=environment)
    try:
        body = first_answer(f"http://127.0.0.1:{port}/", server)
        assert b'<div id="root">' in body, body[:500]
        plotly = first_answer(f"http://127.0.0.1:{port}/vendor/plotly-{version('plotly')}.min.js", server)
        assert len(plotly) > 1_000_000
    finally:
        server.terminate()
        server.wait(20)


def first_answer(address: str, server: subprocess.Popen[bytes]) -> bytes:
    for _ in range(240):
        assert server.poll() is None, "the server ended before it answered"
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                body: bytes = answer.read()
                return body
        except OSError:
            time.sleep(0.25)
    raise AssertionError(f"{address} did not answer within a minute")


if __name__ == "__main__":
    sys.exit(main())
