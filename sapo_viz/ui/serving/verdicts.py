"""Whether a run has collapsed, for whoever draws it: each line of its log is looked at once, however many ask."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from sapo_viz.experiments.collapse import RolloutSize, Watch
from sapo_viz.runs.folder.event_lines import resumed_at
from sapo_viz.runs.folder.log import MOST_EVENTS, chunks, lines_of, parse

_AT_ONCE = 2  # chunks of a log; what follows is looked at with the next question
_MOST = 500  # runs that are remembered
_watched: OrderedDict[tuple[Path, int], tuple[int, int, Watch]] = OrderedDict()  # folder, inode -> offset, events, seen
_one_at_a_time = threading.Lock()


def collapse_of(folder: Path, rollouts: RolloutSize | None = None) -> dict[str, Any] | None:
    """The verdict on the run as its log stands now, as JSON; None for a run that is well. `rollouts` where its start
    event does not say their size."""
    key = (folder, folder.stat().st_ino)  # a run may be deleted and another take its name
    with _one_at_a_time:
        start, seen, watch = _watched.pop(key, (0, 0, Watch(rollouts)))
        end = start
        for lines, end in chunks(folder, start, _AT_ONCE if seen < MOST_EVENTS else 0):  # noqa: B007 - kept below
            for event in parse(lines_of(lines)):
                again = resumed_at(event)
                if again is not None:
                    watch.rewind(again)
                watch.add(event)
                seen += 1
        _watched[key] = (end, seen, watch)
        if len(_watched) > _MOST:
            _watched.popitem(last=False)
        return watch.found.to_dict() if watch.found else None
