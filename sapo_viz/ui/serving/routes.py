"""The routes that sit beside Streamlit's own: plotly.js from the installed package, and the data of runs."""

from __future__ import annotations

import gzip
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sapo_viz.figures.vendor import PLOTLY_JS
from sapo_viz.ui.serving.export_routes import export_routes
from sapo_viz.ui.serving.run_routes import run_routes
from sapo_viz.ui.serving.snapshot_routes import snapshot_routes


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


def routes() -> list[BaseRoute]:
    """All of them; the address of plotly.js carries its version, so that it may be cached for good."""
    return [
        Route("/vendor/plotly-{version}.min.js", _serve_plotly),
        *run_routes(),
        *snapshot_routes(),
        *export_routes(),
    ]
