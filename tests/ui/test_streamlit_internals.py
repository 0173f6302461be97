"""What the app takes from inside Streamlit is still there; after an upgrade these say what broke."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from sapo_viz.ui import streamlit_internals
from sapo_viz.ui.serving.memory import lighten
from sapo_viz.ui.serving.run_routes import json_response
from sapo_viz.ui.session import MADE_ANEW, OPEN_FILE
from sapo_viz.ui.streamlit_internals import inline_scripts, page_hash, tab_icon, typesetter_path


def test_streamlit_still_ships_the_typesetter_that_fits_its_style_sheet() -> None:
    path = typesetter_path()
    assert path, "no static/js/rehype-katex.*.js in Streamlit: formulas in the strip would be shown as LaTeX text"
    assert (Path(st.__file__).parent / "static" / path).is_file()


def test_the_tabs_icon_travels_as_an_address_and_leaves_the_rest_of_the_page_as_it_was_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Streamlit takes over every field of such a message that is not unset: a page in the middle was one once."""
    sent: list[Any] = []
    monkeypatch.setattr(streamlit_internals, "get_script_run_ctx", lambda: SimpleNamespace(enqueue=sent.append))
    (tmp_path / "icon.svg").write_text("<svg/>")
    tab_icon(tmp_path / "icon.svg")
    (message,) = sent
    config = message.page_config_changed
    assert message.WhichOneof("type") == "page_config_changed" and not config.title
    assert config.favicon == "data:image/svg+xml;base64,PHN2Zy8+"
    assert config.layout == config.LAYOUT_UNSET and config.initial_sidebar_state == config.SIDEBAR_UNSET


def test_a_run_still_knows_its_page() -> None:
    from streamlit.runtime.scriptrunner import ScriptRunContext

    assert "page_script_hash" in dir(ScriptRunContext), "address.bind tells pages apart by it"
    assert page_hash() == ""  # outside of a run


def test_the_script_in_streamlits_page_is_known_to_the_policy() -> None:
    scripts = inline_scripts()
    assert scripts, "no inline script in Streamlit's index.html any more: inline_scripts can go"
    assert all(re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", script) for script in scripts)
    page = (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    tags = re.findall(r"<script([^>]*)>", page)
    assert len(scripts) == sum("src=" not in tag for tag in tags), "an inline script with attributes is not hashed"


def test_visits_that_are_over_can_still_be_found_and_closed() -> None:
    from streamlit.runtime import Runtime
    from streamlit.runtime.app_session import AppSession
    from streamlit.runtime.caching.ttl_cache import TTLCache
    from streamlit.runtime.memory_session_storage import MemorySessionStorage
    from streamlit.runtime.websocket_session_manager import WebsocketSessionManager

    assert isinstance(MemorySessionStorage()._cache, TTLCache), "close_visits_that_are_over empties it"
    assert TTLCache.expire and AppSession.shutdown
    assert "_session_mgr" in Runtime.__init__.__code__.co_names
    assert "_session_storage" in WebsocketSessionManager.__init__.__code__.co_names
    assert {"_session_state", "_fragment_storage"} <= set(AppSession.__init__.__code__.co_names), "what a visit holds"


def test_a_visit_that_left_gives_up_what_can_be_made_anew_at_the_second_look_and_keeps_the_rest() -> None:
    from streamlit.runtime.state import SessionState

    state, seen = SessionState(), set[str]()
    for key in (*MADE_ANEW, "tokens: group"):
        state[key] = [key]
    visits = {"a": state}
    assert lighten(visits, seen) == 0 and OPEN_FILE in state, "it may be back in a moment"
    assert lighten({}, seen) == 0 and lighten(visits, seen) == 0 and OPEN_FILE in state, "it was back"
    assert lighten(visits, seen) == 1
    assert [key for key in MADE_ANEW if key in state] == [] and state["tokens: group"] == ["tokens: group"]
    assert lighten(visits, seen) == 0, "nothing is left to take"


def test_uploads_can_still_be_bounded() -> None:
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
    from streamlit.runtime.uploaded_file_manager import UploadedFileRec

    manager = MemoryUploadedFileManager("x")
    assert manager.file_storage == {} and manager._lock, "uploads.refusal counts what is in it"
    assert UploadedFileRec._fields == ("file_id", "name", "type", "data")


def test_streamlit_still_compresses_what_our_routes_answer() -> None:
    from streamlit.web.server.starlette.starlette_app import create_streamlit_middleware

    route = Route("/api/long", lambda request: json_response('"' + "a" * 10_000 + '"', 200))
    client = TestClient(Starlette(routes=[route], middleware=create_streamlit_middleware()))
    packed = client.get("/api/long", headers={"Accept-Encoding": "gzip"})
    plain = client.get("/api/long", headers={"Accept-Encoding": "identity"})
    assert packed.headers.get("content-encoding") == "gzip", "events of runs travel uncompressed: run_routes.py"
    assert "content-encoding" not in plain.headers and packed.json() == plain.json()
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 4
