"""A real server and a real Chromium. Every page that a test opens is watched until the test ends:
no exception on the page, no uncaught error in its scripts, no error in its console, no traceback in the server's log.

A page shows what an action did a frame later, or an answer of the server later: nothing is read once right after it.
Playwright's `expect` waits for what it can say; `eventually` waits for everything else.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import expect

from scripts.browser import OUR_FAULT, WIDTHS, Server, chromium, chromium_path, serving, settle

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page

HERE = Path(__file__).parent
PATIENCE = 60.0  # seconds that a busy machine is given; what is true at once costs none of them
expect.set_options(timeout=PATIENCE * 1000)

# On a deep link Streamlit's own script asks /curves/_stcore/… before it finds /_stcore/…: a 404 by design.
STREAMLIT_PROBES = re.compile(r"/[\w-]+/_stcore/(health|host-config)$")
NO_SUCH_PAGE = "The page that you have requested does not seem to exist."  # said on the page as well


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if chromium_path() is None:
        reason = "no Chromium on PATH (chromium, chromium-browser, google-chrome) and CHROMIUM is not set"
        if os.environ.get("SAPO_VIZ_BROWSER_REQUIRED"):
            pytest.fail(reason)
        pytest.skip(reason)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests, with a runs folder of its own."""
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server
        assert "Traceback" not in server.log(), server.log()


@pytest.fixture
def fresh_server(browser: Browser, tmp_path: Path) -> Iterator[Server]:
    """A server that nobody has visited: what a first visitor to a deep link meets.

    Ask for it before `visit`: then the pages are closed before their server is.
    """
    with serving(tmp_path / "fresh") as server:
        yield server
        assert "Traceback" not in server.log(), server.log()


class Watch:
    """What must not happen on any page."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self.errors: list[str] = []

    def follow(self, page: Page) -> None:
        self.pages.append(page)
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        page.on("console", self._console)

    def _console(self, message: ConsoleMessage) -> None:
        url = message.location.get("url", "")
        streamlits_own = STREAMLIT_PROBES.search(url) or message.text.startswith(NO_SUCH_PAGE)
        if message.type == "error" and not streamlits_own:
            self.errors.append(f"console: {message.text} ({url})")

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


def listen(page: Page) -> list[str]:
    """Everything that leaves the browser from now on, which is from when it has been quiet for half a second."""
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
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


def hold(page: Page, thing: Locator) -> tuple[float, float, float, float]:
    """Bring something under the hand, once it stands still; its box. The pointer is in its middle."""
    thing.hover()
    box = thing.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"], box["height"]


Visit = Callable[..., "Page"]


@pytest.fixture(scope="session")
def context_of(browser: Browser) -> Iterator[Callable[[int, str, int], BrowserContext]]:
    """context_of(width, scheme, place): what it has fetched and compiled once (the app's scripts, plotly.js) it keeps.

    `place` counts the pages that a test opens: a context has one at a time, so that each is in the foreground.
    """

    @cache
    def context_of(width: int, scheme: str, place: int) -> BrowserContext:
        context = browser.new_context(
            viewport={"width": width, "height": WIDTHS[width]},
            color_scheme=scheme,  # type: ignore[arg-type]
            accept_downloads=True,
        )
        context.set_default_timeout(PATIENCE * 1000)
        contexts.append(context)
        return context

    contexts: list[BrowserContext] = []
    yield context_of
    for context in contexts:
        context.close()


@pytest.fixture
def visit(context_of: Callable[[int, str, int], BrowserContext], request: pytest.FixtureRequest) -> Iterator[Visit]:
    """visit(path, width=1440, scheme="light", server=…) -> a page that has settled, of a visitor nobody knows."""
    watch = Watch()

    def visit(path: str = "/", *, width: int = 1440, scheme: str = "light", server: Server | None = None) -> Page:
        server = server or request.getfixturevalue("server")
        context = context_of(width, scheme, len(watch.pages))
        context.clear_cookies()
        page = context.new_page()
        watch.follow(page)
        page.goto(server.url + path)
        settle(page)
        return page

    yield visit
    try:
        watch.check()
    finally:
        for page in watch.pages:
            page.close()
