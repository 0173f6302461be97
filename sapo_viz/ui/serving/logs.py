"""Logs below the owner's data folder become runs while somebody looks: one thread follows, a page only asks for it."""

from __future__ import annotations

import logging
import threading
import time

from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.logged.below import LogsBelow

_KEEPS = 60.0  # seconds after the last question
_PAUSE = 1.0
_log = logging.getLogger(__name__)
_lock = threading.Lock()
_until = 0.0
_thread: threading.Thread | None = None


def follow_logs(store: RunStore) -> None:
    """Have the logs below the store's data folder followed for a minute; at once, without one."""
    global _thread, _until
    if store.data is None:
        return
    with _lock:
        _until = time.monotonic() + _KEEPS
        if _thread is None or not _thread.is_alive():
            below = LogsBelow(store.data, store.root)
            _thread = threading.Thread(target=_work, args=(below,), name="logs", daemon=True)
            _thread.start()


def _work(below: LogsBelow) -> None:
    global _thread
    while True:
        try:
            below.look()
        except Exception:  # a fault here must not end the server's thread without a word
            _log.exception("logs below %s cannot be followed", below.data)
        with _lock:
            if time.monotonic() > _until:
                _thread = None
                return
        time.sleep(_PAUSE)
