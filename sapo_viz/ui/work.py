"""Work over the file that is shown, a step at a time, kept for the visit until its inputs change.

A visitor's click ends the running script at its next call of Streamlit. Work that is under way stays in the session
and goes on in the next run, so that a click is answered at once and nothing is done twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

import streamlit as st

from sapo_viz.rollouts.steps import Steps
from sapo_viz.ui import session
from sapo_viz.ui.streamlit_internals import connected

T = TypeVar("T")

# In the session under WORK: key -> _Work; one a key, and none of another file than the shown one.
_SOON = 0.3  # seconds after which a bar is shown, and between two changes of it: a browser's time is needed as well


@dataclass
class _Work:
    inputs: Any
    steps: Steps[Any] | None  # None: it is done
    value: Any = None  # of these inputs when it is done, of the ones before until then
    lock: Lock = field(default_factory=Lock)  # a script that is told to stop may still be in a step


def worked(key: str, inputs: Any, start: Callable[[], Steps[T]], message: str) -> T:
    """What the work returns for these inputs; the page shows `message` and how far it is while it is done."""
    works = _works()
    work = works.get(key)
    if work is None or work.inputs != inputs:
        works[key] = work = _Work(inputs, start(), None if work is None else work.value)
    if work.steps is not None:
        try:
            _go_on(work, message)
        except Exception:  # an error of the work; the end of a script is none, and leaves it where it is
            works.pop(key, None)
            raise
        except BaseException:
            if not connected():
                leave()
            raise
    return work.value  # type: ignore[no-any-return]


def kept(key: str, inputs: Any, make: Callable[[], T]) -> T:
    """`make()`, or what it gave last time if `inputs` are equal: for what takes no time that could be seen."""
    works = _works()
    if not done(key, inputs):
        works[key] = _Work(inputs, None, make())
    return works[key].value  # type: ignore[no-any-return]


def done(key: str, inputs: Any) -> bool:
    """Whether the work is there, for these inputs."""
    work = _works().get(key)
    return work is not None and work.inputs == inputs and work.steps is None


def last(key: str) -> Any:
    """What the work gave last, for whatever inputs; None if it was never done."""
    work = _works().get(key)
    return None if work is None else work.value


def forget() -> None:
    """Another file is shown: nothing of the one before stays in memory."""
    session.put(session.WORK, {})


def leave() -> None:
    """The visitor has gone, or looks at another page: what is not done yet is given up."""
    works = _works()
    for key in [key for key, work in works.items() if work.steps is not None]:
        _give_up(works.pop(key))


def _give_up(work: _Work) -> None:
    """Its process, if it has one, ends; a script that is still in a step keeps it until that is over."""
    steps, work.steps = work.steps, None
    if steps is not None and work.lock.acquire(blocking=False):
        try:
            steps.close()
        finally:
            work.lock.release()


def _works() -> dict[str, _Work]:
    return session.get_or_put(session.WORK, dict)


def _go_on(work: _Work, message: str) -> None:
    place = st.empty()
    with place.container(), st.spinner(message, show_time=True):
        bar, shown = st.empty(), time.monotonic()
        while work.steps is not None:
            share = _step(work)
            if time.monotonic() - shown > _SOON:  # a word to Streamlit also ends the script of a visitor who has gone
                bar.empty() if share is None else bar.progress(share)
                shown = time.monotonic()
    place.empty()


def _step(work: _Work) -> float | None:
    with work.lock:
        try:
            return None if work.steps is None else next(work.steps)
        except StopIteration as stop:
            work.value, work.steps = stop.value, None  # before Streamlit is called, which may end the script
            return None
