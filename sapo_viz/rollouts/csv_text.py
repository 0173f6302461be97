"""Text in CSV files that a spreadsheet will open: a cell that begins like a formula gets an apostrophe before it.

    =HYPERLINK(…)  →  '=HYPERLINK(…)         '=x  →  ''=x         -0.5, as a number, stays -0.5

A spreadsheet calculates what begins with = + - @ (or a tab or carriage return before them), and tokens come from
strangers' files. The apostrophe tells it that the rest is text; `restored` takes it away again. (OWASP, CSV injection)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
OURS = frozenset({"sequence", "position", "token", "log_ratio", "ratio"})  # the header of a token table has these


def guarded(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def restored(text: str) -> str:
    """What `guarded` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """The table as a CSV file, its text cells guarded and its numbers as they are."""
    safe = frame.rename(columns=guarded)
    for name in safe.select_dtypes(exclude=["number", "bool"]).columns:
        safe[name] = safe[name].map(lambda cell: guarded(cell) if isinstance(cell, str) else cell)
    text: str = safe.to_csv(index=False, lineterminator="\r\n")
    return text.encode("utf-8", "replace")
