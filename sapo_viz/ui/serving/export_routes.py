"""A run's settings for another framework, as a ZIP to download: the Training page's Export.

    GET /api/runs/export?run=<run id>&to=trl

A run that is not there, or a framework that there is not or that lacks the objective: 404 with one sentence in `error`.
"""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import Response

from sapo_viz.errors import SapoVizError
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.ui.serving.run_routes import json_response
from sapo_viz.ui.warm import TABLES


def export_run(request: Request) -> Response:  # not async: Starlette runs it in a thread, where files may be read
    TABLES.ready()
    from sapo_viz.runs.exports.export import export, packed  # numpy: not when the server starts
    from sapo_viz.runs.questions.kept import kept_table

    run_id, to = request.query_params.get("run", ""), request.query_params.get("to", "")
    store = RunStore()
    try:
        config = store.config(run_id)
        files = export(config, to, kept_table(store.folder(run_id), config, apart=True))
    except SapoVizError as error:
        return _refusal(str(error))
    except OSError as error:
        return _refusal(f"run {run_id!r} cannot be read ({error.strerror}).")
    folder = f"{run_id}-{to}"
    headers = {"Content-Disposition": f'attachment; filename="{folder}.zip"', "Cache-Control": "no-store"}
    return Response(packed(files, folder), headers=headers, media_type="application/zip")


def _refusal(sentence: str) -> Response:
    return json_response(json.dumps({"error": sentence}, ensure_ascii=False), 404)
