"""What the scrubber of the Training page draws: how far tokens had moved at steps of a run, and a few of its answers.

    GET /api/runs/snapshots?run=<run id>&step=<step>&step=<step>…
    {"scale": 0.02, "width": 0.2, "snapshots": [{"step": 10, "levels": …, "sequences": …}, …]}

The steps come in the order in which they are asked for, those that the run has kept; an answer ends once reading has
taken a moment, and the browser asks for the rest. A run that is not there: 404 with one sentence in `error`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sapo_viz.errors import RunError
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.ui.serving.run_routes import json_response
from sapo_viz.ui.warm import TABLES

_STEP = re.compile(r"[0-9]{1,9}")


def snapshots(request: Request) -> Response:  # not async: Starlette runs it in a thread, where files may be read
    TABLES.ready()
    from sapo_viz.runs.folder.snapshot_ratios import SCALE, WIDTH, snapshot_ratios  # numpy: not when the server starts

    run_id, asked = request.query_params.get("run", ""), request.query_params.getlist("step")
    if not asked or not all(_STEP.fullmatch(step) for step in asked):
        return _json({"error": f"step is {', '.join(asked)[:120]!r}; it takes steps, such as step=10&step=20."}, 400)
    try:
        rows = snapshot_ratios(RunStore(), run_id, [int(step) for step in asked])
    except RunError as error:
        return _json({"error": str(error)}, 404)
    except OSError as error:
        return _json({"error": f"run {run_id!r} cannot be read ({error.strerror})."}, 404)
    return _json({"scale": SCALE, "width": WIDTH, "snapshots": rows}, 200)


def _json(answer: dict[str, Any], status: int) -> Response:
    return json_response(json.dumps(answer, ensure_ascii=False, separators=(",", ":")), status)
