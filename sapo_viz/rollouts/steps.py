"""Long work over a file as a generator: it yields how far it is and returns what came of it.

A page shows the share and may stop between two steps, to go on later where it was; everybody else calls `finish`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from typing import TypeVar

T = TypeVar("T")

Steps = Generator[float | None, None, T]  # the share that is done, 0 to 1; None where that cannot be known


def finish(steps: Steps[T], within: float = math.inf) -> T:
    """All of it, now.

    Raises:
        TimeoutError: it was not done `within` so many seconds, and is left.
    """
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            next(steps)
        except StopIteration as stop:
            value: T = stop.value
            return value
    steps.close()
    raise TimeoutError(f"not done within {within:g} s")


def at_once(make: Callable[[], T]) -> Steps[T]:
    """Work that has no steps, where steps are asked for."""
    yield None
    return make()
