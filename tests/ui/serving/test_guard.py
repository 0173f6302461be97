"""Whom the app answers: by Host and by Origin, for every kind of request, before anything else is asked.

Browsers send both headers by themselves and no page can change them (Fetch standard: forbidden request headers).
"""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from sapo_viz.errors import SettingError
from sapo_viz.ui.serving.guard import Allowed, Guard, content_security_policy

LOCAL = Allowed.of("127.0.0.1", {})
WIDE = Allowed.of("0.0.0.0", {})
NAMED = Allowed.of("127.0.0.1", {"SAPO_VIZ_HOSTS": "lab.example, other.example:8443"})


async def _page(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.headers["host"])


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(socket.headers["host"])
    await socket.close()


def client(rules: Allowed) -> TestClient:
    routes = [Route("/", _page, methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"]), WebSocketRoute("/ws", _socket)]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(Guard, rules=rules)]))


@pytest.mark.parametrize(
    ("rules", "host", "answered"),
    [
        (LOCAL, "127.0.0.1:8501", True),
        (LOCAL, "localhost:8501", True),
        (LOCAL, "LOCALHOST.", True),
        (LOCAL, "[::1]:8501", True),
        (LOCAL, "127.0.0.2", True),
        (LOCAL, "app.localhost:8501", True),
        (LOCAL, "evil.example:8501", False),
        (LOCAL, "localhost.evil.example", False),
        (LOCAL, "127.0.0.1.evil.example", False),
        (LOCAL, "evil-localhost", False),
        (LOCAL, "192.168.1.5:8501", False),  # it does not listen there
        (LOCAL, "0.0.0.0:8501", False),  # a way to loopback that some browsers leave open to other sites
        (LOCAL, "2130706433", False),  # 127.0.0.1 as one number: browsers write it out, so none sends it
        (LOCAL, "", False),
        (LOCAL, "127.0.0.1:8501@evil.example", False),
        (LOCAL, "127.0.0.1, evil.example", False),
        (WIDE, "192.168.1.5:8501", True),  # an address is never looked up, so no site can own it
        (WIDE, "[2001:db8::5]:8501", True),
        (WIDE, "mybox:8501", False),
        (WIDE, "evil.example", False),
        (Allowed.of("192.168.1.5", {}), "192.168.1.5:8501", True),
        (Allowed.of("192.168.1.5", {}), "192.168.1.6:8501", False),
        (Allowed.of("2001:db8::5", {}), "[2001:db8::5]:8501", True),
        (Allowed.of("lab.example", {}), "lab.example:8501", True),
        (NAMED, "lab.example", True),
        (NAMED, "Lab.Example:8501", True),
        (NAMED, "other.example", True),  # a name is the owner's at every port
        (NAMED, "www.lab.example", False),
    ],
)
def test_the_app_answers_to_its_own_names_only(rules: Allowed, host: str, answered: bool) -> None:
    answer = client(rules).get("/", headers={"Host": host})
    assert (answer.status_code == 200) == answered
    if not answered:
        assert answer.status_code == 403
        assert answer.headers["content-type"].startswith("text/plain") and answer.text.count("\n") == 1


@pytest.mark.parametrize(
    ("rules", "host", "origin", "answered"),
    [
        (LOCAL, "127.0.0.1:8501", "http://127.0.0.1:8501", True),
        (LOCAL, "127.0.0.1:8501", "http://127.0.0.1:8502", False),  # another server of this machine
        (LOCAL, "127.0.0.1:8501", "http://127.0.0.1", False),
        (LOCAL, "127.0.0.1:8501", "http://localhost:8501", False),
        (LOCAL, "localhost", "http://localhost:80", True),
        (LOCAL, "localhost:443", "https://localhost", True),
        (LOCAL, "127.0.0.1:8501", "http://evil.example:8501", False),
        (LOCAL, "127.0.0.1:8501", "null", False),  # a file, a sandboxed frame
        (LOCAL, "127.0.0.1:8501", "", False),
        (LOCAL, "127.0.0.1:8501", "chrome-extension://abcdefgh", False),
        (LOCAL, "127.0.0.1:8501", "http://127.0.0.1:8501@evil.example", False),
        (LOCAL, "127.0.0.1:8501", "http://127.0.0.1:8501/", False),  # no browser sends a path
        (WIDE, "192.168.1.5:8501", "http://192.168.1.5:8501", True),
        (WIDE, "192.168.1.5:8501", "http://192.168.1.6:8501", False),
        (NAMED, "127.0.0.1:8501", "https://lab.example", True),  # behind a proxy that keeps the Host to itself
        (NAMED, "lab.example", "https://lab.example", True),
        (NAMED, "127.0.0.1:8501", "https://lab.example:9000", False),
        (NAMED, "127.0.0.1:8501", "https://other.example:8443", True),
        (NAMED, "127.0.0.1:8501", "https://other.example", False),
    ],
)
def test_a_page_of_another_origin_gets_nothing_port_included(
    rules: Allowed, host: str, origin: str, answered: bool
) -> None:
    caller, headers = client(rules), {"Host": host, "Origin": origin}
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        answer = caller.request(method, "/", headers=headers)
        assert (answer.status_code == 200) == answered
        assert "access-control-allow-origin" not in answer.headers
    if answered:
        with caller.websocket_connect("/ws", headers=headers) as socket:
            # Streamlit compares exactly these two, and asks a service on the internet when they differ.
            assert f"//{socket.receive_text()}" == origin.partition(":")[2]
    else:
        with pytest.raises(WebSocketDisconnect), caller.websocket_connect("/ws", headers=headers):
            pass


def test_a_program_without_an_origin_is_answered() -> None:
    assert client(LOCAL).get("/", headers={"Host": "127.0.0.1:8501"}).text == "127.0.0.1:8501"


def test_two_hosts_or_a_second_origin_are_refused() -> None:
    caller = client(LOCAL)
    twice = [("Host", "127.0.0.1"), ("Host", "evil.example")]
    assert caller.get("/", headers=twice).status_code == 403
    origins = [("Host", "127.0.0.1"), ("Origin", "http://127.0.0.1"), ("Origin", "http://evil.example")]
    assert caller.get("/", headers=origins).status_code == 403


def test_every_answer_tells_the_browser_what_a_page_may_do() -> None:
    headers = client(LOCAL).get("/", headers={"Host": "127.0.0.1:8501"}).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy and "object-src 'none'" in policy
    assert "'unsafe-eval'" not in policy and "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    assert "ws://127.0.0.1:8501" in policy


def test_the_owner_opens_the_frame_to_the_origins_that_he_names() -> None:
    rules = Allowed.of("127.0.0.1", {"SAPO_VIZ_EMBED": "https://course.example http://localhost:3000"})
    policy = content_security_policy("127.0.0.1", rules.embedded_in)
    assert policy.endswith("frame-ancestors https://course.example http://localhost:3000")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SAPO_VIZ_HOSTS", "https://lab.example"),
        ("SAPO_VIZ_HOSTS", "*"),
        ("SAPO_VIZ_HOSTS", "lab.example:port"),
        ("SAPO_VIZ_EMBED", "course.example"),
        ("SAPO_VIZ_EMBED", "https://course.example/path"),
        ("SAPO_VIZ_EMBED", "https://course.example;script-src"),
        ("SAPO_VIZ_EMBED", "*"),
    ],
)
def test_a_setting_that_means_nothing_is_said_in_one_sentence(variable: str, value: str) -> None:
    with pytest.raises(SettingError) as error:
        Allowed.of("127.0.0.1", {variable: value})
    sentence = str(error.value)
    assert sentence.startswith(variable) and repr(value) in sentence and sentence.endswith(".") and "\n" not in sentence


@pytest.mark.parametrize(
    ("site", "mode", "answered"),
    [
        ("cross-site", "no-cors", False),  # an image or a script in another site's page
        ("same-site", "no-cors", False),  # in that of another server of this machine
        ("same-site", "cors", False),
        ("same-origin", "no-cors", True),
        ("none", "navigate", True),  # typed
        ("cross-site", "navigate", True),  # a link; frames are the policy's matter
    ],
)
def test_a_page_elsewhere_has_nothing_loaded_that_names_no_origin(site: str, mode: str, answered: bool) -> None:
    headers = {"Host": "127.0.0.1:8501", "Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
    assert (client(LOCAL).get("/", headers=headers).status_code == 200) == answered
    named = client(NAMED).get("/", headers=headers | {"Host": "lab.example", "Origin": "http://lab.example"})
    assert named.status_code == 200
