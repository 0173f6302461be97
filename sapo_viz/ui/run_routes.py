"""The data of runs, for the live figure and for scripts: what happened since a byte offset.

    GET /api/runs/events?from=<run id>:<offset>&from=<run id>:<offset>…
    {"runs": [{"id": …, "status": "running", "stopping": false, "place": 0, "next": 4711, "events": […]}, …]}

One request serves all the runs of a page. `next` is the offset to ask for next time; `place` the place in
the queue, from 1. A run that is not there has `error`, one sentence, in place of the rest.
"""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sapo_viz.errors import RunError
from sapo_viz.runs.store import RunStore

MOST_RUNS = 100  # in one request
_GZIP_FROM = 4096  # bytes; below it compressing gains nothing
_FROM = re.compile(r"(.*):(\d{1,15})", re.DOTALL)


def run_routes() -> list[BaseRoute]:
    return [Route("/api/runs/events", _events)]


def _events(request: Request) -> Response:  # not async: Starlette runs it in a thread, where files may be read
    asked = request.query_params.getlist("from")
    if not 1 <= len(asked) <= MOST_RUNS:
        return _sentence(f"This address takes 1 to {MOST_RUNS} times from=<run id>:<byte offset>; it got {len(asked)}.")
    store = RunStore()
    answers = []
    for text in asked:
        match = _FROM.fullmatch(text)
        if match is None:
            return _sentence(f"from is {text!r}; it takes <run id>:<byte offset>, such as 20260101-120000-sapo-s0:0.")
        try:
            store.path(match[1])
        except RunError as error:
            return _sentence(str(error))
        answers.append(_news(store, match[1], int(match[2])))
    missing = all("error" in answer for answer in answers)
    return _json({"runs": answers}, request, 404 if missing else 200)


def _news(store: RunStore, run_id: str, offset: int) -> dict[str, Any]:
    """What happened in one run since `offset`. The status is read first: if it is final, so are the events."""
    try:
        status = store.status(run_id)
        events, following = store.read_events(run_id, offset)
        place = store.queue().index(run_id) + 1 if status == "queued" and run_id in store.queue() else 0
        stopping = (store.folder(run_id) / "stop").exists()
    except (RunError, OSError) as error:
        sentence = str(error) if isinstance(error, RunError) else f"run {run_id!r} cannot be read ({error.strerror})."
        return {"id": run_id, "error": sentence}
    return {"id": run_id, "status": status, "stopping": stopping, "place": place, "next": following, "events": events}


def _sentence(text: str) -> Response:
    return Response(json.dumps({"error": text}, ensure_ascii=False), 400, media_type="application/json")


def _json(answer: dict[str, Any], request: Request, status: int) -> Response:
    body = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
    if len(body) >= _GZIP_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = gzip.compress(body, compresslevel=5), "gzip"
    return Response(body, status, headers, "application/json")
