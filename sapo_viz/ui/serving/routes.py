"""The routes that sit beside Streamlit's own: plotly.js from the installed package, and the data of runs."""

from __future__ import annotations

import gzip
import importlib
from collections.abc import Callable
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sapo_viz.figures.vendor import PLOTLY_JS


@lru_cache
def _plotly_js(compressed: bool) -> bytes:
    text = PLOTLY_JS.read_bytes()
    return gzip.compress(text, compresslevel=6) if compressed else text


def _serve_plotly(request: Request) -> Response:
    """4.8 MB, or 1.4 MB compressed; on the machine itself compressing would only cost time."""
    local = request.client is not None and request.client.host in ("127.0.0.1", "::1")
    compressed = not local and "gzip" in request.headers.get("accept-encoding", "")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if compressed:
        headers["Content-Encoding"] = "gzip"
    return Response(_plotly_js(compressed), media_type="text/javascript", headers=headers)


def _later(module: str, name: str) -> Callable[[Request], Response]:
    """A handler whose module is imported when it is first asked for: the server listens before it can read runs.

    Not async, as the handlers are not: Starlette runs it in a thread, where files may be read.
    """

    def handler(request: Request) -> Response:
        handle: Callable[[Request], Response] = getattr(importlib.import_module(f"{__package__}.{module}"), name)
        return handle(request)

    return handler


def routes() -> list[BaseRoute]:
    """All of them; the address of plotly.js carries its version, so that it may be cached for good."""
    return [
        Route("/vendor/plotly-{version}.min.js", _serve_plotly),
        Route("/api/runs/events", _later("run_routes", "events")),
        Route("/api/runs/recorded", _later("run_routes", "recorded")),
        Route("/api/runs/snapshots", _later("snapshot_routes", "snapshots")),
        Route("/api/runs/export", _later("export_routes", "export_run")),
        Route("/api/runs/policy", _later("policy_routes", "trained_policy")),
    ]
