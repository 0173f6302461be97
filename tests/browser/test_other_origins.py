"""Pages of other origins, in a browser for which evil.example and lab.example lead to this machine.

The other site is a web server of this machine with a port of its own: to the app the nearest stranger there is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.browser import FLAGS, PAGES, Server, chromium_path, settle
from tests.browser.conftest import noting_outgoing, outgoing, watched_server

TRIES = """async (app) => {
  const socket = (address) => new Promise((done) => {
    const socket = new WebSocket(address, ["streamlit"]);
    socket.onopen = () => done("open");
    socket.onerror = () => done("refused");
  });
  const answer = (path, options) => fetch(app + path, options).then((r) => `${r.type} ${r.status}`, () => "refused");
  return {
    socket: await socket(app.replace("http", "ws") + "/_stcore/stream"),
    page: await answer("/", {}),
    data: await answer("/api/runs/events?from=none:0", {}),
    data_unread: await answer("/api/runs/events?from=none:0", { mode: "no-cors" }),
    upload: await answer("/_stcore/upload_file/a/b", { method: "PUT", body: "x" }),
    post: await answer("/_stcore/agent/interact", { method: "POST", body: "{}" }),
  };
}"""
FRAME = "(address) => { document.body.append(Object.assign(document.createElement('iframe'), { src: address })); }"


class OtherSite(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>another site</title><body>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def other_port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), OtherSite) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield site.server_port
        site.shutdown()


@pytest.fixture(scope="module")
def rebound(browser: Browser) -> Iterator[Browser]:
    """A Chromium that a hostile name server has told that both names are this machine."""
    rule = "--host-resolver-rules=MAP evil.example 127.0.0.1, MAP lab.example 127.0.0.1"
    other = browser.browser_type.launch(executable_path=chromium_path(), args=[*FLAGS, rule])
    yield other
    other.close()


@pytest.fixture
def page(rebound: Browser) -> Iterator[Page]:
    page = rebound.new_page()
    yield page
    page.close()


def port_of(server: Server) -> str:
    return server.url.rpartition(":")[2]


def test_a_name_that_was_rebound_to_this_machine_gets_neither_page_nor_data_nor_socket(
    server: Server, page: Page
) -> None:
    app = f"http://evil.example:{port_of(server)}"
    for path in (*PAGES.values(), "/_stcore/health", "/api/runs/events?from=none:0", "/vendor/plotly-1.min.js"):
        answer = page.goto(app + path)
        assert answer is not None and answer.status == 403, path
    expect(page.get_by_text("SAPO Viz does not answer to the name evil.example.")).to_be_visible()
    assert page.evaluate(TRIES, app)["socket"] == "refused"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "evil.example"])
def test_a_page_of_another_server_gets_nothing_from_the_app(
    server: Server, page: Page, other_port: int, host: str
) -> None:
    page.goto(f"http://{host}:{other_port}/")
    found = page.evaluate(TRIES, server.url)
    assert set(found.values()) == {"refused"}, found


def test_the_apps_own_page_gets_it_all(server: Server, page: Page) -> None:
    """The same tries, so that what is refused above is refused for the origin."""
    page.goto(server.url + "/_stcore/health")
    found = page.evaluate(TRIES, server.url)
    assert found["socket"] == "open" and found["page"] == "basic 200" and found["data"] == "basic 404", found


def test_a_page_of_another_site_cannot_frame_the_app(server: Server, page: Page, other_port: int) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"http://127.0.0.1:{other_port}/")
    with page.expect_event("console", lambda message: "frame-ancestors" in message.text):
        page.evaluate(FRAME, server.url)
    assert not any(frame.url.startswith(server.url) for frame in page.frames[1:])


def test_the_owner_opens_the_app_to_a_name_and_to_a_frame(tmp_path: Path, rebound: Browser, other_port: int) -> None:
    """The host that the owner names is a full visit; the origin that may frame it shows it; still no word outside."""
    environment = {"SAPO_VIZ_HOSTS": "lab.example", "SAPO_VIZ_EMBED": f"http://lab.example:{other_port}"}
    with watched_server(tmp_path, environment=environment) as server:
        page = rebound.new_page()
        page.goto(f"http://lab.example:{port_of(server)}/curves")
        settle(page)
        page.goto(f"http://lab.example:{other_port}/")
        page.evaluate(FRAME, f"{server.url}/curves")
        frame = page.frame_locator("iframe")
        expect(frame.get_by_role("heading", level=1)).to_be_visible()
        expect(frame.locator(".lab").first).to_have_attribute("data-ready", "true")
        page.close()


def test_a_server_for_everyone_answers_to_addresses_and_asks_nobody_for_its_own(
    tmp_path: Path, rebound: Browser
) -> None:
    """Told to listen on all addresses, Streamlit would ask a service on the internet which is its own."""
    with watched_server(tmp_path, address="0.0.0.0") as server:
        page = rebound.new_page()
        page.goto(f"http://127.0.0.2:{port_of(server)}/")
        settle(page)
        refused = page.goto(f"http://evil.example:{port_of(server)}/")
        assert refused is not None and refused.status == 403
        page.close()
        assert "From elsewhere: this machine's IP addresses" in server.log()


def test_a_break_of_the_policy_is_seen(server: Server, page: Page) -> None:
    """A check that cannot fail would be none: the tests of all pages rely on the console for it."""
    page.goto(server.url)
    settle(page)
    with page.expect_console_message(lambda message: message.type == "error" and "Content Security" in message.text):
        page.evaluate("document.head.append(Object.assign(document.createElement('script'), { textContent: '1' }))")
    with page.expect_console_message(lambda message: message.type == "error" and "Content Security" in message.text):
        page.evaluate("fetch('http://evil.example:9/').catch(() => {})")


def test_a_word_to_the_outside_is_noted(tmp_path: Path) -> None:
    """A check that cannot fail would be none. 192.0.2.1 is nobody's (RFC 5737)."""
    code = (
        "import socket\n"
        "s = socket.socket(); s.settimeout(0.01)\n"
        "for host in ('127.0.0.1', '192.0.2.1'):\n"
        "    try: s.connect((host, 9))\n"
        "    except OSError: pass\n"
        "for name in ('localhost', 'nobody.invalid'):\n"
        "    try: socket.getaddrinfo(name, 80)\n"
        "    except OSError: pass\n"
    )
    subprocess.run([sys.executable, "-c", code], env=os.environ | noting_outgoing(tmp_path), check=True)
    assert [line.split(" by ")[0] for line in outgoing(tmp_path)] == [
        "socket.connect ('192.0.2.1', 9)",
        "socket.getaddrinfo 'nobody.invalid'",
    ]
