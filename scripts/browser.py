"""A server of the app and a Chromium to look at it: for the browser tests, the benchmarks and the pictures."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

ROOT = Path(__file__).resolve().parents[1]
EXHIBITS = {"outlier": "/outlier", "coherence": "/coherence", "asymmetry": "/asymmetry"}
MAIN = ("curves", "tokens", "train", "experiments", "reference")
PAGES = {"home": "/"} | {name: f"/{name}" for name in MAIN} | EXHIBITS
WIDTHS = {1440: 900, 390: 844}  # width -> height: a laptop and a phone

# No GPU on a test machine, no sandbox in a container, and nothing that talks to the outside by itself.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OUR_FAULT = "Something went wrong on our side"  # what the shell shows in place of a traceback


def chromium_path() -> str | None:
    """`CHROMIUM`, or the first of the usual names on PATH."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if name and (path := shutil.which(name))), None)


@contextlib.contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """The browser; `flags` come on top of FLAGS."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=[*FLAGS, *flags])
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def chromium_with_profile(folder: Path, *flags: str) -> Iterator[BrowserContext]:
    """The browser's own context, with a profile in `folder`: there it keeps what it has compiled of a page's scripts.
    The contexts that one makes compile them anew for every page. `.browser` is the browser, for those too."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder, executable_path=chromium_path(), args=[*FLAGS, *flags]
        )
        try:
            yield context
        finally:
            context.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A server process of its own; `log` holds what it printed."""

    url: str
    process: subprocess.Popen[bytes]
    log_file: Path

    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """By its own process id; whoever does not listen within five seconds is killed."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def launch(
    folder: Path,
    script: str = "app.py",
    *,
    address: str = "127.0.0.1",
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Server:
    """Start `streamlit run` on a free port of this machine, with runs and log in `folder`; do not wait for it."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.headless", "true"]
    command += ["--server.address", address, "--server.port", str(port), "--server.fileWatcherType", "none"]
    log_file = folder / "server.log"
    log: IO[bytes]
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "SAPO_VIZ_RUNS_DIR": str(folder / "runs"), **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    return Server(f"http://127.0.0.1:{port}", process, log_file)


def wait_until_up(server: Server, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if server.process.poll() is not None:
            raise RuntimeError(f"the server ended with status {server.process.returncode}:\n{server.log()}")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=1):
            return
        time.sleep(0.02)
    server.stop()
    raise RuntimeError(f"no answer from the server within {seconds:g} s:\n{server.log()}")


@contextlib.contextmanager
def serving(
    folder: Path,
    script: str = "app.py",
    *,
    address: str = "127.0.0.1",
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Server]:
    """A server that answers, ended at the end."""
    server = launch(folder, script, address=address, environment=environment)
    try:
        wait_until_up(server)
        yield server
    finally:
        server.stop()


def settle(page: Page, timeout_ms: int = 120_000) -> None:
    """Wait until the script has run to its end and every figure on the page is drawn."""
    app = page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')
    app.wait_for(state="visible", timeout=timeout_ms)
    page.wait_for_function(
        """() => document.querySelector('[data-testid="stMain"] :is(h1, h2, h3)')
              && [...document.querySelectorAll('.lab, .tok')].every((lab) => lab.dataset.ready === 'true')
              && !document.querySelector('[data-testid="stSkeleton"]')""",
        timeout=timeout_ms,
    )
