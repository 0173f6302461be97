"""The data of runs, for the live figure and for scripts: what happened since a byte offset.

    GET /api/runs/events?from=<run id>:<offset>&from=<run id>:<offset>…
    {"runs": [{"id": …, "status": "running", "stopping": false, "message": "", "place": 0, "starts_in": null,
               "next": 4711, "events": […]}, …]}

One request serves all the runs of a page. `next` is the offset to ask for next time; `place` the place in
the queue, from 1, with `starts_in` seconds from now, estimated; `message` why a run failed or was killed. A run that
is not there has `error`, one sentence, in place of the rest.

Many browsers ask the same within a moment: states are looked up ten times a second at most, turns once, and what
lies between two offsets of a log, which never changes, is made into JSON once.
"""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sapo_viz.errors import RunError
from sapo_viz.runs.log import parse, read_lines, read_tail
from sapo_viz.runs.schedule import Turn, turns
from sapo_viz.runs.store import RunStore
from sapo_viz.runs.verdict import LIVE, message_of, status_of

MOST_RUNS = 100  # in one request
_STATE_HOLDS = 0.1  # seconds
_TURNS_HOLD = 1.0
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
    missing = all(answer.startswith('{"error"') for answer in answers)
    return packed_json(f'{{"runs":[{",".join(answers)}]}}', request, 404 if missing else 200)


def _news(store: RunStore, run_id: str, offset: int) -> str:
    """What happened in one run since `offset`, as JSON. The state is read first: if it is final, so are the events."""
    try:
        state = _held(("state", store.root, run_id), _STATE_HOLDS, lambda: _state(store, run_id))
        lines, following = read_lines(store.folder(run_id), offset)
    except (RunError, OSError) as error:
        sentence = str(error) if isinstance(error, RunError) else f"run {run_id!r} cannot be read ({error.strerror})."
        return _text({"error": sentence, "id": run_id})
    turn = Turn(0, 0.0)
    if state["status"] == "queued":
        everyone = _held(("turns", store.root), _TURNS_HOLD, lambda: turns(store))
        turn = everyone.get(run_id, turn)
    about = {"id": run_id, "place": turn.place, "starts_in": round(turn.seconds, 1) if turn.place else None}
    return f'{_text(about | state | {"next": following})[:-1]},"events":{_events_text(lines)}}}'


def _state(store: RunStore, run_id: str) -> dict[str, Any]:
    folder = store.folder(run_id)
    status = status_of(folder)
    live = status in LIVE
    message = "" if live else message_of(folder, status, read_tail(folder, 8_192))
    return {"status": status, "stopping": live and (folder / "stop").exists(), "message": message}


@lru_cache(maxsize=256)
def _events_text(lines: bytes) -> str:
    """The events in whole lines of a log, as a JSON array; a damaged line is left out."""
    return _text(parse(lines.splitlines()))


_answers: dict[Any, tuple[float, Any]] = {}  # question -> until when its answer holds, and the answer


def _held(question: Any, seconds: float, ask: Callable[[], Any]) -> Any:
    """The answer to a question, asked again only when it is older than `seconds`."""
    until, answer = _answers.get(question, (0.0, None))
    now = time.monotonic()
    if now < until:
        return answer
    if len(_answers) > 1000:
        _answers.clear()
    answer = ask()
    _answers[question] = (now + seconds, answer)
    return answer


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _sentence(text: str) -> Response:
    return Response(json.dumps({"error": text}, ensure_ascii=False), 400, media_type="application/json")


def packed_json(text: str, request: Request, status: int) -> Response:
    """JSON as it stands, compressed where it is long and the browser takes that; never kept."""
    body = text.encode()
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
    if len(body) >= _GZIP_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = gzip.compress(body, compresslevel=5), "gzip"
    return Response(body, status, headers, "application/json")
