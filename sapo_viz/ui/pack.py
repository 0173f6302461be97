"""What a component is given, as bytes.

Handed a dict, Streamlit looks for dataframes in it, and imports pandas and pyarrow to do so: a quarter of a
second before a first picture that has none. Bytes are passed on as they are.
"""

from __future__ import annotations

import json
from typing import Any


def pack(data: dict[str, Any]) -> bytes:
    """JSON as UTF-8; `unpack` in browser/shared/packed.js reads it."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
