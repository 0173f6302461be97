"""What reading a file may cost: in proportion to the file, so that a small one cannot fill the machine."""

from __future__ import annotations

import os
from dataclasses import dataclass

from sapo_viz.errors import SettingError

TOO_MUCH, TOO_LONG = "memory", "time"  # why a reader was ended
MEMORY, READERS, OPEN = "SAPO_VIZ_READER_MB", "SAPO_VIZ_READERS", "SAPO_VIZ_OPEN_MB"
_FLOOR_MB = 256  # a reader begins with some 100: Python, numpy, pyarrow
_TIMES = 5  # a JSON document as Python objects; whole columns take two to three times their Parquet
_SECONDS = 2.0
_BYTES_A_SECOND = 10e6  # the slowest readers, object by object, take a third of it
_PATIENCE = 10  # times as much by the clock as by the processor: others may be using it


@dataclass(frozen=True)
class Allowance:
    """Resident `memory` in bytes, `processor` time and time by the `clock` in seconds."""

    memory: int
    processor: float
    clock: float

    @staticmethod
    def of(size: int) -> Allowance:
        """For files of `size` bytes in all; `SettingError` if the owner's setting means nothing."""
        seconds = _SECONDS + size / _BYTES_A_SECOND
        return Allowance(_TIMES * size + setting(MEMORY, _FLOOR_MB) * 1024**2, seconds, _PATIENCE * seconds)


def most_readers() -> int:
    """How many files are read at once; the others wait."""
    return setting(READERS, 2)


def setting(variable: str, usual: int) -> int:
    """A whole number from 1 in the environment."""
    text = os.environ.get(variable, "").strip() or str(usual)
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 10**9):
        raise SettingError(f"{variable}: {text!r} is no whole number from 1 to 1,000,000,000; give one, or none.")
    return int(text)
