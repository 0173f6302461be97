"""What has become worse in the runs that somebody looks at: one thread looks, whoever asks gets what is known.

A run is looked at while a page asks for its events, and for a minute more. Where the server's owner has set
SAPO_VIZ_WEBHOOK, each alert is sent there too; without it nothing leaves the machine.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sapo_viz.errors import RunError, SapoVizError, SettingError

if TYPE_CHECKING:
    from sapo_viz.experiments.watching import Watched  # brings numpy and the readers: not before the server listens
    from sapo_viz.runs.folder.store import RunStore

WEBHOOK = "SAPO_VIZ_WEBHOOK"
_KEEPS = 60.0  # seconds after the last question
_PAUSE = 1.0
_MOST = 20  # runs at a time
_SHOWN = 5  # alerts of a run, the newest


@dataclass
class _WatchedRun:
    watched: Watched
    until: float
    looked: bool = False


_log = logging.getLogger(__name__)
_asked: dict[tuple[Any, ...], _WatchedRun] = {}
_lock = threading.Lock()
_thread: threading.Thread | None = None


def webhook() -> str:
    """Where the server's owner wants alerts sent; empty if nowhere.

    Raises:
        SettingError: that is no address.
    """
    address = os.environ.get(WEBHOOK, "")
    if not address:
        return ""
    from sapo_viz.experiments.watching import checked_address

    try:
        return checked_address(address)
    except RunError as error:
        raise SettingError(f"{WEBHOOK}: {error}") from None


def alerts_of(store: RunStore, run_id: str) -> list[dict[str, Any]] | None:
    """What is known by now, as JSON: a wrong loss, which explains what else there is, then the newest; None until the
    first look is done. Asking has the run looked at."""
    global _thread
    from sapo_viz.experiments.watching import Watched

    key = (store.root, store.data, run_id)
    with _lock:
        if key not in _asked:
            if len(_asked) >= _MOST:
                return []
            _asked[key] = _WatchedRun(Watched(store, run_id), 0.0)
        _asked[key].until = time.monotonic() + _KEEPS
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_work, name="alerts", daemon=True)
            _thread.start()
        if not _asked[key].looked:
            return None
        newest = _asked[key].watched.alerts[::-1]
        told = sorted(newest, key=lambda alert: alert.kind != "loss_audit")
        return [alert.to_dict() for alert in told[:_SHOWN]]


def _work() -> None:
    global _thread
    from sapo_viz.experiments.watching import post

    while True:
        time.sleep(_PAUSE)  # before the first look too: the page waits for its curves, which read the same log
        with _lock:
            for key in [key for key, one in _asked.items() if one.until < time.monotonic()]:
                del _asked[key]
            waiting = list(_asked.items())
            if not waiting:
                _thread = None
                return
        for _, one in waiting:
            try:
                alerts = one.watched.look()
                first, one.looked = not one.looked, True
                address = webhook()
                if alerts and address and not first:  # what was there before anybody looked is no news
                    why = post(address, one.watched.run_id, alerts)
                    if why:
                        _log.warning(why)
            except (SapoVizError, OSError):  # deleted, or not readable now
                one.looked = True
            except Exception:  # a fault here must not have the page ask for ever
                one.looked = True
                _log.exception("run %s cannot be watched", one.watched.run_id)
