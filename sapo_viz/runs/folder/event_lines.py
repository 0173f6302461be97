"""A line of events.jsonl back as an event whose fields have the kinds that `runs.events` promises.

Whoever follows a run may count on `type`, `step`, `time` and, in a step, `metrics` with numbers or None. A line
without them is damaged and says why; of all else, what is not of its kind is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sapo_viz.errors import SapoVizError
from sapo_viz.runs.config import SETTINGS
from sapo_viz.runs.folder.reading import NotReadable, line_object, number

STEPS = 10**9
_SENTENCE = 4_000  # characters
_YEAR_5000 = 1e11  # in seconds since 1970; a browser's calendar ends after it
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "device": str, "file": str, "prompt": str, "completion": str, "message": str, "kind": str, "framework": str,
    "version": str, "resumed": bool, "complete": bool, "parameters": int, "sequences": int, "dropped": int,
    "write_errors": int, "reward": (int, float), "seconds": (int, float),
}  # fmt: skip
_METRIC = (float, int, type(None))  # finite, as json_object gives them


def event_from(line: bytes) -> dict[str, Any]:
    """The event in one line.

    Raises:
        NotReadable: there is none in it.
    """
    event = line_object(line)
    step, when = event.get("step"), number(event.get("time"))
    if not isinstance(event.get("type"), str):
        raise NotReadable("it has no type")
    if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step <= STEPS:
        raise NotReadable("its step is not a whole number from 0")
    event["time"] = when if when is not None and 0 <= when < _YEAR_5000 else 0.0
    if event["type"] == "step":
        if not isinstance(event.get("metrics"), dict):
            raise NotReadable("it is a step without metrics")
        event["metrics"] = {name: value for name, value in event["metrics"].items() if type(value) in _METRIC}
    for name in [name for name, value in event.items() if name in _KINDS and not isinstance(value, _KINDS[name])]:
        del event[name]
    if "message" in event:
        event["message"] = event["message"][:_SENTENCE]  # said again with every look at the run
    if "config" in event:
        event["config"] = _settings(event["config"])
    if "probes" in event:
        event["probes"] = [row for row in _list(event["probes"]) if _is_probe(row)]
    if "answers" in event:
        event["answers"] = [row for row in _list(event["answers"]) if _is_answer(row)]
    return event


def resumed_at(event: Mapping[str, Any]) -> int | None:
    """The step that a recorded run goes on from, if this is the event that says so: what the log has told of later
    steps holds no longer. (A run of our own writes down only what its log does not hold yet.)"""
    return event["step"] if event["type"] == "start" and event.get("resumed") and "framework" in event else None


def _settings(config: Any) -> dict[str, Any]:
    """Of the settings in a start event, those that a run can have."""
    if not isinstance(config, dict):
        return {}
    return {name: value for name, value in config.items() if name not in SETTINGS or _fits(name, value)}


def _fits(name: str, value: Any) -> bool:
    try:
        SETTINGS[name].check(value)
    except SapoVizError:
        return False
    return True


def _is_probe(row: Any) -> bool:
    """An answer with its tokens and as many log-probs, now and at the start (training/snapshot_probes.py)."""
    if not isinstance(row, dict) or not isinstance(row.get("prompt"), str):
        return False
    columns = [_list(row.get(name)) for name in ("tokens", "logprobs", "start_logprobs")]
    texts = all(isinstance(token, str) for token in columns[0])
    numbers = all(number(value) is not None for column in columns[1:] for value in column)
    return texts and numbers and len({len(column) for column in columns}) == 1


def _is_answer(row: Any) -> bool:
    """A held-out prompt's answer with what it is worth, if anything (training/validation.py)."""
    if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in ("prompt", "completion")):
        return False
    return row.get("reward") is None or number(row["reward"]) is not None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
