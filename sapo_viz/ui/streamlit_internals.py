"""What the app leans on inside Streamlit, outside its public interface. Nothing else reaches in there.

`tests/ui/test_streamlit_internals.py` says plainly what is gone after an upgrade.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import MutableMapping
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import streamlit as st
from streamlit import runtime
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.PageConfig_pb2 import PageConfig
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.state import SessionState


def page_hash() -> str:
    """What tells the page that runs from the others; empty outside of a run."""
    context = get_script_run_ctx()
    return context.page_script_hash if context else ""


@lru_cache
def typesetter_path() -> str:
    """The address of what sets LaTeX for `st.latex`; Streamlit's build puts a hash into the file's name.

    Streamlit's other copy of KaTeX, a newer one, does not fit its style sheet. Empty when there is none:
    formulas are then shown as LaTeX text.
    """
    root = Path(st.__file__).parent / "static"
    found = sorted(root.glob("static/js/rehype-katex.*.js"))
    return found[0].relative_to(root).as_posix() if found else ""


@lru_cache
def inline_scripts() -> tuple[str, ...]:
    """The scripts in Streamlit's page itself: their hashes, as a Content-Security-Policy allows them."""
    page = (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    return tuple(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts)


def tab_icon(picture: Path) -> None:
    """Show an SVG in the browser's tab. `st.set_page_config` would import numpy and Pillow to look at it, which the
    first figure would wait for."""
    context = get_script_run_ctx()
    if context is not None:
        text = base64.b64encode(picture.read_bytes()).decode()
        # What a field is when nobody sets it is a choice here: a page in the middle, a sidebar.
        config = PageConfig(
            favicon=f"data:image/svg+xml;base64,{text}",
            layout=PageConfig.LAYOUT_UNSET,
            initial_sidebar_state=PageConfig.SIDEBAR_UNSET,
        )
        context.enqueue(ForwardMsg(page_config_changed=config))


def connected() -> bool:
    """Whether the visitor for whom this script runs is still there; True where that cannot be known."""
    context = get_script_run_ctx()
    if context is None or not runtime.exists():
        return True
    return bool(runtime.get_instance().is_active_session(context.session_id))


def close_visits_that_are_over() -> int:
    """Free what visitors left behind who have been gone for `server.disconnectedSessionTTL`; how many there were.

    Streamlit does so when the next visitor leaves: on a quiet server the last one's files would stay for ever. To be
    called in the event loop's thread, as everything that touches Streamlit's list of visits.
    """
    storage: Any = runtime.get_instance()._session_mgr._session_storage  # type: ignore[attr-defined]
    gone = storage._cache.expire()
    for _, visit in gone:
        visit.session.shutdown()
        # Streamlit's loop holds on to the last visit until another one comes: it is emptied.
        visit.session._session_state = SessionState()
        visit.session._fragment_storage.clear()
    return len(gone)


def visits_that_left() -> dict[str, MutableMapping[str, Any]]:
    """By id, what is kept for visitors whose connection has closed, in case that they come back."""
    storage: Any = runtime.get_instance()._session_mgr._session_storage  # type: ignore[attr-defined]
    return {visit.session.id: visit.session.session_state for visit in storage.list()}  # as a dict, for what is kept


def uploads() -> MemoryUploadedFileManager:
    """Where Streamlit keeps what was uploaded, by visit."""
    return cast(MemoryUploadedFileManager, runtime.get_instance().uploaded_file_mgr)
