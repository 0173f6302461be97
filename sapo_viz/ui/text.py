"""Text that is data, shown as it is: nothing in it is taken for Markdown, LaTeX or an icon."""

from __future__ import annotations

import re

_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|~$<>:&])")


def plain(text: str) -> str:
    """The text with every character that Markdown could take for a mark escaped."""
    return _MARKS.sub(r"\\\1", text).replace("\n", " ")
