"""What many callers need of a file is computed once and kept with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, cast

S = TypeVar("S")
T = TypeVar("T")


def once(of: Callable[[S], T]) -> Callable[[S], T]:
    """Decorator of a function of one frozen value: its answer is kept in that value, and goes with it.

    `replace` makes a new value, which is asked anew.
    """
    name = f"{of.__module__}.{of.__qualname__}"

    @wraps(of)
    def kept(value: S) -> T:
        if name not in value.__dict__:
            value.__dict__[name] = of(value)
        return cast(T, value.__dict__[name])

    return kept
