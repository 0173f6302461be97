"""The data of runs, for the live figure and for scripts: what happened since a byte offset.

    GET /api/runs/events?from=<run id>:<offset>&from=<run id>:<offset>…
    {"runs": [{"id": …, "status": "running", "stopping": false, "message": "", "for_good": false, "place": 0,
               "starts_in": null, "collapse": null, "next": 4711, "more": false, "events": […]}, …]}

One request serves all the runs of a page. `next` is the offset to ask for next time, at once if there is `more`;
`place` the place in the queue, from 1, with `starts_in` seconds from now, estimated; `message` why a run failed or was
killed, and what of it cannot be read; `for_good` that it would end so again if it were resumed; `collapse` where it
broke (step, kind, told, message: `experiments.collapse`); `alerts` what has become worse in a recorded run while it is
looked at (step, kind, sentence), the newest first, if anything has; null while nobody has looked yet.
A run that is not there has `error`, one sentence, in place of the rest.

    GET /api/runs/recorded
    {"mark": "5f0c…"}

The mark changes when a recorded run appears, goes, begins or ends: what the page cannot know, as it did not start it.

Many browsers ask the same within a moment: states are looked up ten times a second at most, turns once, and what
lies between two offsets of a log, which never changes, is made into JSON once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sapo_viz.errors import RunError
from sapo_viz.experiments.collapse import RolloutSize
from sapo_viz.runs.folder.log import CHUNK, MOST_LINES, lines_of, parse, read_lines
from sapo_viz.runs.folder.store import RunStore, RunSummary
from sapo_viz.runs.folder.verdict import LIVE
from sapo_viz.runs.workers.schedule import Turn, turns
from sapo_viz.ui.serving.alerts import alerts_of
from sapo_viz.ui.serving.logs import follow_logs
from sapo_viz.ui.serving.verdicts import collapse_of

MOST_RUNS = 100  # in one request
_STATE_HOLDS = 0.1  # seconds
_TURNS_HOLD = 1.0
_KEPT = 1 << 18  # bytes of a log whose JSON is kept
_FROM = re.compile(r"(.*):(\d{1,15})", re.DOTALL)


def events(request: Request) -> Response:  # not async: Starlette runs it in a thread, where files may be read
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
    return json_response(f'{{"runs":[{",".join(answers)}]}}', 404 if missing else 200)


def recorded(request: Request) -> Response:
    store = RunStore()
    follow_logs(store)
    try:
        mark = _held(("mark", store.root, store.data), _TURNS_HOLD, lambda: recorded_mark(store.list()))
    except OSError:
        mark = ""
    return json_response(_text({"mark": mark}), 200)


def recorded_mark(summaries: Sequence[RunSummary]) -> str:
    """Which recorded runs there are, and which of them are alive."""
    told = sorted((run.id, run.live) for run in summaries if run.recorded)
    return hashlib.sha256(_text(told).encode()).hexdigest()[:12]


def _news(store: RunStore, run_id: str, offset: int) -> str:
    """What happened in one run since `offset`, as JSON. The state is read first: if it is final, so are the events."""
    lines, following, collapse = b"", offset, None
    alerts: list[dict[str, Any]] | None = []
    try:
        state = _held(("state", store.root, run_id), _STATE_HOLDS, lambda: _state(store, run_id))
        with contextlib.suppress(OSError):  # a log that cannot be read: the state says so
            lines, following = read_lines(store.folder(run_id), offset)
            recorded = store.recorded(run_id)
            alerts = alerts_of(store, run_id) if recorded else []
            collapse = collapse_of(store.folder(run_id), RolloutSize(*recorded.rollout_size) if recorded else None)
    except (RunError, OSError) as error:
        sentence = str(error) if isinstance(error, RunError) else f"run {run_id!r} cannot be read ({error.strerror})."
        return _text({"error": sentence, "id": run_id})
    turn = Turn(0, 0.0)
    if state["status"] == "queued":
        everyone = _held(("turns", store.root), _TURNS_HOLD, lambda: turns(store))
        turn = everyone.get(run_id, turn)
    about = {"id": run_id, "place": turn.place, "starts_in": round(turn.seconds, 1) if turn.place else None}
    more = following - offset > CHUNK // 2 or lines.count(b"\n") >= MOST_LINES
    about |= state if alerts == [] else state | {"alerts": alerts}
    about |= {"collapse": collapse, "next": following, "more": more}
    return f'{_text(about)[:-1]},"events":{_events_text(lines)}}}'


def _state(store: RunStore, run_id: str) -> dict[str, Any]:
    status = store.status(run_id)
    live = status in LIVE
    stopping = live and (store.folder(run_id) / "stop").exists()
    why = store.why(run_id, status)
    return {"status": status, "stopping": stopping, "message": why.message, "for_good": why.for_good}


def _events_text(lines: bytes) -> str:
    """The events in whole lines of a log, as a JSON array; a damaged line is left out."""
    return _kept_text(lines) if len(lines) <= _KEPT else _text(parse(lines_of(lines)))


@lru_cache(maxsize=256)
def _kept_text(lines: bytes) -> str:
    return _text(parse(lines_of(lines)))


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


def json_response(text: str, status: int) -> Response:
    """JSON as it stands, never kept. Streamlit's own middleware compresses what is long, for whoever can read it."""
    return Response(text.encode(), status, {"Cache-Control": "no-store"}, "application/json")
