"""Who may talk to the app: checked before anything else, for pages, data and WebSockets alike.

A page from another site that is open in the same browser can send requests here. Two checks turn it away:

- **Host**: is the request meant for the app? A name that another site owns can be pointed at 127.0.0.1 ("DNS
  rebinding"), and the browser then takes that site's page for one of ours. So the app answers to loopback names, the
  address that it listens on, and the names in `SAPO_VIZ_HOSTS`. An IP address cannot be rebound, as no name is
  looked up: if the app listens on all addresses, it answers to each of them.
- **Origin**: does the request come from one of our pages? Browsers name the page with every WebSocket and every
  request that changes something or reads across sites. Scheme aside, it must equal the Host, port included, or be
  listed in `SAPO_VIZ_HOSTS`. Programs send no Origin and are not a danger of this kind. Browsers send none either
  when a page only shows or runs something, such as an image; then `Sec-Fetch-Site` reveals that another site's page
  is asking. Ordinary links still work.

Streamlit behind it is told the Host that the browser sees, so that its own check agrees at once. Left to itself, it
looks up this machine's address at a service on the internet for each Origin that it does not know.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sapo_viz.errors import SettingError
from sapo_viz.ui.streamlit_internals import inline_scripts

HOSTS, EMBED = "SAPO_VIZ_HOSTS", "SAPO_VIZ_EMBED"
WIDE = ("", "0.0.0.0", "::")  # addresses that stand for all of a machine's
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]{2,45}\]|[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?)\.?(:(?P<port>\d{1,5}))?")
_USUAL_PORTS = {"http": "80", "https": "443"}
_OTHERS = ("cross-site", "same-site")  # as a browser calls them that has no Origin to tell


@dataclass(frozen=True)
class Authority:
    """`name[:port]` of a URL, in small letters; an IPv6 address without its brackets. No port is the scheme's usual."""

    name: str
    port: str | None = None

    @staticmethod
    def of(text: str) -> Authority | None:
        match = _HOST.fullmatch(text.lower())
        return Authority(match["name"].strip("[]"), match["port"]) if match else None

    @property
    def address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        try:
            return ipaddress.ip_address(self.name)
        except ValueError:
            return None

    @property
    def loopback(self) -> bool:
        if self.address is not None:
            return self.address.is_loopback
        return self.name == "localhost" or self.name.endswith(".localhost")  # browsers look these up nowhere

    def seen_in(self, scheme: str) -> Authority:
        """The same without a port that goes without saying."""
        return Authority(self.name, None if self.port == _USUAL_PORTS.get(scheme) else self.port)


@dataclass(frozen=True)
class Allowed:
    """Whom the app answers: the host `names` that mean it, and any IP address if it listens on all of them.

    `pages` are where browsers see it besides at the Host that they name: a proxy may keep that to itself.
    """

    names: frozenset[str]
    any_address: bool
    pages: frozenset[Authority] = frozenset()
    embedded_in: tuple[str, ...] = ()

    @staticmethod
    def of(listening: str, environment: Mapping[str, str]) -> Allowed:
        """From the address that the server listens on and the two settings; `SettingError` if one means nothing."""
        named = frozenset(_authority(entry) for entry in _entries(environment, HOSTS))
        embedded_in = tuple(_origin(entry) for entry in _entries(environment, EMBED))
        names = {known.name for known in named} | {listening.lower()}
        return Allowed(frozenset(names), listening in WIDE, named, embedded_in)

    def answers_to(self, host: Authority) -> bool:
        return host.loopback or host.name in self.names or (self.any_address and host.address is not None)

    def comes_from_us(self, origin: str, host: Authority) -> bool:
        """Whether the page that asks is one of ours. "null" (a file, a sandbox) never is."""
        scheme, _, rest = origin.partition("://")
        page = Authority.of(rest)
        if page is None or scheme not in _USUAL_PORTS:
            return False
        return page.seen_in(scheme) in {host.seen_in(scheme), *(known.seen_in(scheme) for known in self.pages)}


def _entries(environment: Mapping[str, str], variable: str) -> list[str]:
    return [entry for entry in re.split(r"[\s,]+", environment.get(variable, "")) if entry]


def _authority(entry: str) -> Authority:
    found = Authority.of(entry)
    if found is None:
        raise SettingError(f"{HOSTS}: {entry!r} is not a host; it takes names such as lab.example or lab.example:8443.")
    return found


def _origin(entry: str) -> str:
    parts = urlsplit(entry)
    if (
        parts.scheme not in _USUAL_PORTS
        or entry != f"{parts.scheme}://{parts.netloc}"
        or not Authority.of(parts.netloc)
    ):
        raise SettingError(f"{EMBED}: {entry!r} is not an origin; it takes origins such as https://course.example.")
    return entry


def guard() -> Middleware:
    """For the app that this process serves; `SettingError` if a setting of its owner means nothing."""
    return Middleware(Guard, rules=Allowed.of(st.get_option("server.address") or "", os.environ))


def content_security_policy(host: str, embedded_in: tuple[str, ...]) -> str:
    """What a page of the app may load and run: what comes from the app.

    Components are made into modules by way of `blob:`, figures and components carry styles of their own, and one
    script is in Streamlit's page itself, known by its hash. Not every browser counts WebSockets as 'self'; a policy
    cannot name an IPv6 address.
    """
    sockets = [] if host.startswith("[") else [f"ws://{host}", f"wss://{host}"]
    parts = {
        "default-src": "'self'",
        "script-src": " ".join(["'self'", "blob:", *inline_scripts()]),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": " ".join(["'self'", *sockets]),
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": " ".join(embedded_in) or "'none'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in parts.items())


class Guard:
    """The ASGI middleware that asks them, and tells browsers what a page of the app may do."""

    def __init__(self, app: ASGIApp, rules: Allowed) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = _refusal(self._rules, headers)
        if refusal and scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # 403 as well; of an answer with words uvicorn writes a line each
            return
        if refusal:
            await PlainTextResponse(refusal, 403, _HEADERS)(scope, receive, send)
            return
        seen = urlsplit(headers["origin"]).netloc if "origin" in headers else headers["host"]
        policy = content_security_policy(seen, self._rules.embedded_in)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.update({**_HEADERS, "Content-Security-Policy": policy})
            await send(message)

        await self._app(_with_host(scope, seen), receive, send_with_headers)


_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",  # no other site's page shows or runs what the app serves
}


def _refusal(rules: Allowed, headers: Headers) -> str:
    """Why this request is turned away, in a sentence; empty if it is not."""
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    host = Authority.of(hosts[0]) if len(hosts) == 1 else None
    if host is None:
        return "This request does not say which host it is for.\n"
    if not rules.answers_to(host):
        return (
            f"SAPO Viz does not answer to the name {host.name}. Whoever runs it can allow the name: "
            f"{HOSTS}={host.name}\n"
        )
    if any(not rules.comes_from_us(origin, host) for origin in origins) or (not origins and _elsewhere(headers)):
        return f"SAPO Viz answers its own pages only. Behind a proxy, name the address that browsers see in {HOSTS}.\n"
    return ""


def _elsewhere(headers: Headers) -> bool:
    """Whether a page of another site, or of another port, wants to have something that is no page."""
    return headers.get("sec-fetch-site") in _OTHERS and headers.get("sec-fetch-mode") != "navigate"


def _with_host(scope: Scope, host: str) -> Scope:
    rest = [(name, value) for name, value in scope["headers"] if name != b"host"]
    return {**scope, "headers": [(b"host", host.encode("latin-1")), *rest]}
