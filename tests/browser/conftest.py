"""A real server and a real Chromium. Every page that a test opens is watched until the test ends:
no exception on the page, no uncaught error in its scripts, no error in its console (a break of the app's
Content-Security-Policy is one), no traceback in the server's log. Neither server nor page talks to anyone outside.

A page shows what an action did a frame later, or an answer of the server later: nothing is read once right after it.
Playwright's `expect` waits for what it can say; `eventually` waits for everything else.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import expect

from sapo_viz import CATALOG
from sapo_viz.figures.strip.alone import token_strip
from sapo_viz.rollouts.analysis.analyse import analyse
from sapo_viz.rollouts.readers.read import parse_rollouts
from scripts.browser import OUR_FAULT, WIDTHS, Server, chromium_path, chromium_with_profile, serving, settle

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request

    from sapo_viz.core.objective import Objective

HERE = Path(__file__).parent
SCHEMES = ("light", "dark")
PATIENCE = 60.0  # seconds that a busy machine is given; what is true at once costs none of them
expect.set_options(timeout=PATIENCE * 1000)

# A page is looked at for a second: compiling its scripts for speed costs more than it brings, and so does a process of
# its own for each page of a visitor, which would read all scripts again.
THRIFTY = ("--js-flags=--no-maglev --no-turbofan", "--renderer-process-limit=1")
# On a deep link Streamlit's own script asks /curves/_stcore/… before it finds /_stcore/…: a 404 by design.
STREAMLIT_PROBES = re.compile(r"/[\w-]+/_stcore/(health|host-config)$")
NO_SUCH_PAGE = "The page that you have requested does not seem to exist."  # said on the page as well


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    again = config.getoption("reruns", default=0) is None  # `--reruns 0` shows a failure at once
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("browser")
            if again:
                item.add_marker(pytest.mark.flaky(reruns=1))  # the run's last lines name each that needed it


@pytest.fixture(scope="session")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    if chromium_path() is None:
        reason = "no Chromium on PATH (chromium, chromium-browser, google-chrome) and CHROMIUM is not set"
        if os.environ.get("SAPO_VIZ_BROWSER_REQUIRED"):
            pytest.fail(reason)
        pytest.skip(reason)
    with chromium_with_profile(tmp_path_factory.mktemp("profile"), *THRIFTY) as context:
        yield context


@pytest.fixture(scope="session")
def browser(profile: BrowserContext) -> Browser:
    assert profile.browser
    return profile.browser


@contextlib.contextmanager
def watched_server(
    folder: Path, *, address: str = "127.0.0.1", environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A server that must neither fail nor talk to anyone outside, and no worker of its either."""
    folder.mkdir(parents=True, exist_ok=True)
    with serving(folder, address=address, environment=noting_outgoing(folder) | dict(environment or {})) as server:
        yield server
        assert "Traceback" not in server.log(), server.log()
        assert outgoing(folder) == []


def noting_outgoing(folder: Path) -> dict[str, str]:
    """The environment in which a Python process notes whom it wants to talk to: see tests/outgoing/sitecustomize.py."""
    path = os.pathsep.join(filter(None, [str(HERE.parent / "outgoing"), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path, "SAPO_VIZ_OUTGOING": str(folder / "outgoing.txt")}


def outgoing(folder: Path) -> list[str]:
    """What was noted: one line for each connection, datagram and look-up that did not stay on this machine."""
    file = folder / "outgoing.txt"
    return file.read_text().splitlines() if file.exists() else []


@pytest.fixture(scope="session")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests, with a runs folder of its own."""
    with watched_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def fresh_server(browser: Browser, tmp_path: Path) -> Iterator[Server]:
    """A server that nobody has visited: what a first visitor to a deep link meets.

    Ask for it before `visit`: then the pages are closed before their server is.
    """
    with watched_server(tmp_path / "fresh") as server:
        yield server


class Watch:
    """What must not happen on any page."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self.errors: list[str] = []

    def follow(self, page: Page) -> None:
        self.pages.append(page)
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        page.on("console", self._console)
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        url = message.location.get("url", "")
        streamlits_own = STREAMLIT_PROBES.search(url) or message.text.startswith(NO_SUCH_PAGE)
        if message.type == "error" and not streamlits_own:
            self.errors.append(f"console: {message.text} ({url})")

    def _request(self, request: Request) -> None:
        where = urlsplit(request.url)
        if where.scheme not in ("blob", "data") and where.hostname != "127.0.0.1":
            self.errors.append(f"outside: {request.url}")

    def check(self) -> None:
        for page in self.pages:
            if not page.is_closed():
                assert page.locator(".stException").count() == 0, page.locator(".stException").first.inner_text()
                assert page.get_by_text(OUR_FAULT).count() == 0, f"{page.url} shows: {OUR_FAULT}"
        assert self.errors == []


def eventually(page: Page, read: Callable[[], Any], wanted: object = None) -> Any:
    """Read until it is `wanted`, a value or a function that knows one, and return it; `read` may assert for itself."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            got = read()
            if callable(wanted):
                assert wanted(got), f"after {PATIENCE:g} s it is still {got!r}"
            else:
                assert got == wanted
            return got
        except (AssertionError, LookupError, TypeError, ValueError, PlaywrightError):
            if time.monotonic() > end:
                raise
        page.wait_for_timeout(50)


def turn(page: Page, scheme: str) -> None:
    """Day or night falls; the page follows. Mean of its ground's three channels: above 200 is light, below 60 dark."""
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.wait_for_function(
        """(dark) => {
          const app = document.querySelector('[data-testid=stApp]');
          const channels = getComputedStyle(app).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number);
          const mean = (channels[0] + channels[1] + channels[2]) / 3;
          return dark ? mean < 60 : mean > 200;
        }""",
        arg=scheme == "dark",
    )
    settle(page)


def listen(page: Page) -> list[str]:
    """Everything that leaves the browser from now on, which is from when it has been quiet for half a second.

    Left out: the Training page asks every ten seconds, whatever is done, whether a recorded run has come.
    """
    sent: list[str] = []
    page.on("request", lambda request: request.url.endswith("/api/runs/recorded") or sent.append(request.url))
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.webSocketFrameSent", lambda _frame: sent.append("frame"))
    end = time.monotonic() + PATIENCE
    while True:
        page.wait_for_timeout(500)
        if not sent:
            return sent
        assert time.monotonic() < end, f"the page does not come to rest: {sent[-5:]}"
        sent.clear()


def save(page: Page, button: str, folder: Path) -> Path:
    """Where the file lies that a click on `button` downloads."""
    with page.expect_download() as info:
        page.get_by_test_id(button).click()
    path = folder / info.value.suggested_filename
    info.value.save_as(path)
    return path


def hold(page: Page, thing: Locator) -> tuple[float, float, float, float]:
    """Bring something under the hand, once it stands still; its box. The pointer is in its middle."""
    thing.hover()
    box = thing.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"], box["height"]


Visit = Callable[..., "Page"]


@pytest.fixture(scope="session")
def context_of(profile: BrowserContext, browser: Browser, server: Server) -> Iterator[Callable[[int], BrowserContext]]:
    """context_of(place): the first of the pages that a test opens has the profile, the others each a context of their
    own, so that each is in the foreground. Behind it lies another with nothing on it, and keeps the process.
    """

    @cache
    def context_of(place: int) -> BrowserContext:
        context = profile if place == 0 else browser.new_context()
        context.set_default_timeout(PATIENCE * 1000)
        context.new_page().goto(f"{server.url}/_stcore/health")
        contexts.append(context)
        return context

    contexts: list[BrowserContext] = []
    yield context_of
    for context in contexts:
        if context is not profile:
            context.close()


def opened(context: BrowserContext, url: str, width: int, scheme: str, watch: Watch) -> Page:
    """A page that has settled. Painting Streamlit's grey shimmer would cost as much as the page that it stands for."""
    page = context.new_page()
    watch.follow(page)
    page.set_viewport_size({"width": width, "height": WIDTHS[width]})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page.goto(url)
    settle(page)
    return page


@pytest.fixture
def visit(context_of: Callable[[int], BrowserContext], request: pytest.FixtureRequest) -> Iterator[Visit]:
    """visit(path, width=1440, scheme="light", server=…) -> a page that has settled, of a visitor nobody knows."""
    watch = Watch()

    def visit(path: str = "/", *, width: int = 1440, scheme: str = "light", server: Server | None = None) -> Page:
        server = server or request.getfixturevalue("server")
        context = context_of(len(watch.pages))
        context.clear_cookies()
        return opened(context, server.url + path, width, scheme, watch)

    yield visit
    try:
        watch.check()
    finally:
        for page in watch.pages:
            page.close()


@pytest.fixture(scope="module")
def open_once(context_of: Callable[[int], BrowserContext], server: Server) -> Iterator[Visit]:
    """As `visit`, for a page that the tests of a module share: each leaves it as it has found it."""
    watch = Watch()

    def open_once(path: str) -> Page:
        context = context_of(-1 - len(watch.pages))  # no other test's page comes before it
        return opened(context, server.url + path, 1440, "light", watch)

    yield open_once
    try:
        watch.check()
    finally:
        for page in watch.pages:
            page.close()


Strip = Callable[..., "Page"]


@pytest.fixture(scope="session")
def bare_context(browser: Browser) -> Iterator[BrowserContext]:
    """For what is drawn without a server."""
    context = browser.new_context(viewport={"width": 1440, "height": WIDTHS[1440]}, offline=True)
    context.set_default_timeout(PATIENCE * 1000)
    yield context
    context.close()


@pytest.fixture
def strip(bare_context: BrowserContext) -> Iterator[Strip]:
    """strip(data, "sapo,grpo", name=objective…) -> the token strip of a file's first sequence as a notebook shows it:
    the page's own code without the page, its server and its upload, in a tenth of their time. What goes through them
    (address, files, other sequences, formulas as KaTeX sets them) needs `visit`."""
    watch = Watch()

    def strip(data: bytes, names: str = "sapo,grpo", **objectives: Objective) -> Page:
        shown = {name: CATALOG[name]() for name in names.split(",") if name} | objectives
        page = bare_context.new_page()
        watch.follow(page)
        page.set_content(token_strip(analyse(parse_rollouts(data, "mine.jsonl"), shown)).html())
        expect(page.locator(".tok[data-ready=true]")).to_be_visible()
        return page

    yield strip
    try:
        watch.check()
    finally:
        for page in watch.pages:
            page.close()
