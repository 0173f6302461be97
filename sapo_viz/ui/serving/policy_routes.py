"""What a run has trained, as a ZIP to download: the Training page's downloads after a run.

    GET /api/runs/policy?run=<run id>&part=policy
    GET /api/runs/policy?run=<run id>&part=merged

Sent a piece at a time, so that a model of any size takes no memory. What is not there: 404, a sentence in `error`.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from sapo_viz.errors import SapoVizError
from sapo_viz.runs.folder.reading import open_regular
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.workers.after import MERGED, merged_path
from sapo_viz.ui.serving.run_routes import json_response

if TYPE_CHECKING:
    from typing_extensions import Buffer

_PIECE = 1 << 20  # bytes
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 _.,()+=-]*")  # as libraries call what they save


def trained_policy(request: Request) -> Response:  # not async: Starlette runs it in a thread, where files may be read
    run_id, part = request.query_params.get("run", ""), request.query_params.get("part", "policy")
    store = RunStore()
    if part not in ("policy", MERGED):
        return _refusal(f"part is {part[:40]!r}; it takes policy or {MERGED}.")
    try:
        folder = store.policy_path(run_id) if part == "policy" else merged_path(store, run_id)
    except (SapoVizError, OSError) as error:
        return _refusal(str(error))
    if folder is None or folder.is_symlink() or not folder.is_dir():
        return _refusal(f"run {run_id!r} has no {'trained' if part == 'policy' else 'merged'} policy.")
    name = f"{run_id}-{part}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.zip"',
        "Cache-Control": "no-store",
        "Content-Encoding": "identity",  # weights do not get smaller
    }
    return StreamingResponse(_zipped(folder, name), headers=headers, media_type="application/zip")


def _zipped(folder: Path, name: str) -> Iterator[bytes]:
    """The folder's files below `name`, as they are; what is no regular file is left out, or has a name that leads
    elsewhere where it is unpacked."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(path for path in folder.iterdir() if _PLAIN.fullmatch(path.name)):
            try:
                file = open_regular(path)
            except OSError:
                continue
            with file, archive.open(f"{name}/{path.name}", "w", force_zip64=True) as packed:
                while piece := file.read(_PIECE):
                    packed.write(piece)
                    yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """Where the archive is written to: it cannot be gone back in, and gives what it has got."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        return len(piece)

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _refusal(sentence: str) -> Response:
    return json_response(json.dumps({"error": sentence}, ensure_ascii=False), 404)
