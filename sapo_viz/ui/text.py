"""Text that is data, shown as it is: nothing in it is taken for Markdown, LaTeX, an icon or a link."""

from __future__ import annotations

import re

_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|~$<>:&])")
# Streamlit makes links of what looks like an address, after escapes are gone; U+2060 takes no room and breaks the look.
_ADDRESSES = re.compile(r"https?(?=://)|www(?=\.)|[-.\w+](?=@[-\w]+\.)", re.IGNORECASE)

# They reorder what stands around them, to the end of the line: a name would write in the sentence that names it.
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """The text with every character that Markdown could take for a mark escaped, and no address that it would link."""
    unlinked = _ADDRESSES.sub("\\g<0>\u2060", _whole(text))
    return _MARKS.sub(r"\\\1", unlinked).replace("\n", " ")


def prose(text: str) -> str:
    """As `plain`, and what the text itself sets in backticks is shown as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0 or not all(parts[1:-1]):  # a backtick of a file's own: its pairs are no marks
        return plain(text)
    code = [f"`{_whole(part)}`".replace("\n", " ") for part in parts[1::2]]
    return "".join(a + b for a, b in zip(map(plain, parts[::2]), [*code, ""], strict=True))


# As the strip draws them: what a cell of a table would show as nothing.
_INKLESS = str.maketrans({"\n": "⏎", "\r": "␍", "\t": "⇥", "\u00a0": "⍽", "\u200b": "⟨ZWSP⟩", "\ufeff": "⟨BOM⟩"})


def visible(text: str) -> str:
    """A token for a cell of a table: line ends and tabs as signs, spaces at its ends too."""
    shown = text.translate(_INKLESS)
    inner = shown.strip(" ")
    if not inner:
        return "␣" * len(shown)
    before, after = shown.index(inner), len(shown) - shown.index(inner) - len(inner)
    return "␣" * before + inner + "␣" * after


def _whole(text: str) -> str:
    """Without half characters, which no message can carry; a file's name has them where the locale lacks a letter."""
    try:
        whole = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    except UnicodeEncodeError:
        whole = text.encode("utf-8", "replace").decode("utf-8")
    return _REORDERING.sub("�", whole)
