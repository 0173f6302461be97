"""A server that nobody is looking at releases its memory.

Otherwise four things keep it. Streamlit keeps a visit for two minutes after its connection has closed, in case it comes
back; what can be rebuilt from the visitor's file and choices is dropped after ten seconds. Streamlit frees a visit that
is over only when the next one leaves. What a page has held is linked in cycles, which Python looks for when it creates
many objects and not when it creates none. And glibc keeps freed memory for the next time: in one heap for each thread
that a page ever ran in, and, after the first large array was freed, for all arrays up to 32 MB.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
from collections.abc import Mapping, MutableMapping
from typing import Any

from sapo_viz.ui.session import MADE_ANEW
from sapo_viz.ui.streamlit_internals import close_visits_that_are_over, visits_that_left

_LOOK = 10.0  # seconds
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3  # malloc.h
_ARENAS = 2  # pages run under one lock anyway
_OF_ITS_OWN = 4 * 1024**2  # bytes from which on an array is a mapping of its own, which goes when it goes


def settle() -> None:
    """Before anything large is made. Nothing happens where the C library is another one than glibc."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.malloc_trim  # noqa: B018  # glibc alone has it
        libc.mallopt(_M_ARENA_MAX, _ARENAS)
        libc.mallopt(_M_MMAP_THRESHOLD, _OF_ITS_OWN)


async def look_after() -> None:
    """For as long as the server runs: after visits that are over, everything that can be is given back."""
    seen: set[str] = set()
    while True:
        await asyncio.sleep(_LOOK)
        lightened = lighten(visits_that_left(), seen)
        if close_visits_that_are_over() or lightened:
            await asyncio.to_thread(give_back)


def lighten(left: Mapping[str, MutableMapping[str, Any]], seen: set[str]) -> int:
    """Take from each visit that had left by the last look already what can be made anew; how many there were.

    Args:
        left: visits without a connection, by id.
        seen: the ids of the last look, which become those of this one.
    """
    count = 0
    for visit in [state for session_id, state in left.items() if session_id in seen]:
        held = [key for key in MADE_ANEW if key in visit]
        count += bool(held)
        for key in held:
            del visit[key]
    seen.clear()
    seen.update(left)
    return count


def give_back() -> None:
    """What nobody uses any more, to the system."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
