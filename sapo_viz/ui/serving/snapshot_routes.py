"""What the scrubber of the Training page draws: how far tokens had moved at each snapshot of a run.

    GET /api/runs/snapshots?run=<run id>&after=<step>
    {"scale": 0.02, "width": 0.2, "snapshots": [{"step": 10, "levels": …, "sequence": …}, …]}

`after` leaves out what the browser has already. A run that is not there: 404 with one sentence in `error`.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sapo_viz.errors import RunError
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.ui.serving.run_routes import json_response
from sapo_viz.ui.warm import TABLES


def snapshots(request: Request) -> Response:  # not async: Starlette runs it in a thread, where files may be read
    TABLES.ready()
    from sapo_viz.runs.folder.snapshot_ratios import SCALE, WIDTH, snapshot_ratios  # numpy: not when the server starts

    run_id, after = request.query_params.get("run", ""), request.query_params.get("after", "-1")
    try:
        since = int(after)
    except ValueError:
        return _json({"error": f"after is {after!r}; it takes a step, such as 10."}, 400)
    try:
        rows = snapshot_ratios(RunStore(), run_id, since)
    except RunError as error:
        return _json({"error": str(error)}, 404)
    except OSError as error:
        return _json({"error": f"run {run_id!r} cannot be read ({error.strerror})."}, 404)
    return _json({"scale": SCALE, "width": WIDTH, "snapshots": rows}, 200)


def _json(answer: dict[str, Any], status: int) -> Response:
    return json_response(json.dumps(answer, ensure_ascii=False, separators=(",", ":")), status)
