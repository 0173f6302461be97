"""One HTML file that needs nothing else: styles, scripts and data inside it, and a policy that lets nothing else in.

Text that came from a file enters in two ways only: through `text`, which escapes it, or as data in a JSON block,
which no parser takes for markup. Should something slip through all the same, the page's Content-Security-Policy
runs only the scripts that are named by their hash, and fetches from nowhere.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

# In JSON these can only stand inside strings, where an escape says the same: no `</script>`, no `<!--`.
_MARKS = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def text(value: object, limit: int = 2000) -> str:
    """Text of a file for HTML: escaped, marks of direction kept to themselves, cut after `limit` characters."""
    shown = str(value)
    return html.escape(shown if len(shown) <= limit else shown[:limit] + "…", quote=True)


def json_block(name: str, value: Any) -> str:
    """A data block that scripts find by its id; browsers do not run it."""
    data = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for mark, escape in _MARKS.items():
        data = data.replace(mark, escape)
    return f'<script type="application/json" id="{text(name)}">{data}</script>\n'


def html_page(
    title: str, body: str, *, style: str, scripts: Sequence[tuple[str, str]], data: Mapping[str, Any], lang: str = "en"
) -> str:
    """The whole document.

    Args:
        body: HTML, already escaped.
        scripts: (type, code), type `text/javascript` or `module`, in the order in which they run.
        data: id -> what JSON can say.
    """
    codes = [(kind, _inline(code)) for kind, code in scripts]
    hashes = " ".join(f"'sha256-{_digest(code)}'" for _, code in codes)
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = [
        f'<!doctype html>\n<html lang="{text(lang)}">\n<head>\n<meta charset="utf-8">\n',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
        '<meta name="color-scheme" content="light dark">\n',
        f"<title>{text(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{body}\n",
        *(json_block(name, value) for name, value in data.items()),
        *(f'<script type="{kind}">{code}</script>\n' for kind, code in codes),
        "</body>\n</html>\n",
    ]
    # Half a surrogate pair, as in some file names, has no bytes in UTF-8.
    return "".join(parts).encode("utf-8", "replace").decode("utf-8")


def _inline(code: str) -> str:
    """JavaScript that may stand between script tags: what would end them is escaped, as strings and comments allow."""
    # A parser brings line ends to \n before it hashes them.
    code = code.replace("\r\n", "\n").replace("\r", "\n")
    return code.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _digest(code: str) -> str:
    return base64.b64encode(hashlib.sha256(code.encode("utf-8")).digest()).decode()
