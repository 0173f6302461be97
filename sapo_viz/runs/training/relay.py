"""Work that calls back, made into a generator: it runs in a thread of its own, and waits when it has said something."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Ended(BaseException):
    """Nobody asks for what comes next; the work is to end."""


def relayed(work: Callable[[Callable[[T], None]], None]) -> Iterator[T]:
    """What `work(say)` says, one at a time.

    `say` returns when the next is asked for, so that what was said may share memory with the work until then; it raises
    `Ended` if nobody ever asks. What the work raises is raised here.
    """
    said: queue.SimpleQueue[tuple[str, T | BaseException | None]] = queue.SimpleQueue()
    wanted, ended = threading.Semaphore(0), threading.Event()

    def say(value: T) -> None:
        said.put(("value", value))
        wanted.acquire()
        if ended.is_set():
            raise Ended

    def run() -> None:
        try:
            work(say)
        except Ended:
            said.put(("end", None))
        except BaseException as error:
            said.put(("error", error))
        else:
            said.put(("end", None))

    thread = threading.Thread(target=run, name="training", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = said.get()
            if kind == "error":
                assert isinstance(value, BaseException)
                raise value
            if kind == "end":
                return
            yield value  # type: ignore[misc]
            wanted.release()
    finally:
        ended.set()
        wanted.release()
        thread.join()
