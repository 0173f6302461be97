"""What happens when the server starts: it says where it can be seen, and imports begin."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import streamlit as st

from sapo_viz.ui.serving.guard import HOSTS, WIDE
from sapo_viz.ui.serving.memory import look_after, settle
from sapo_viz.ui.streamlit_internals import uploads
from sapo_viz.ui.uploads import bound
from sapo_viz.ui.warm import EVERY_PAGE


@contextlib.asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    """The server does not wait for the imports."""
    sys.stdout.write(where_to_look())
    sys.stdout.flush()
    EVERY_PAGE.begin()
    bound(uploads())
    settle()
    looking = asyncio.create_task(look_after())
    yield
    looking.cancel()


def where_to_look() -> str:
    """For the terminal. Streamlit's own words, off in the config, ask a service on the internet for our address."""
    address, port = st.get_option("server.address") or "", st.get_option("server.port")
    scheme = "https" if st.get_option("server.sslCertFile") else "http"
    path = st.get_option("server.baseUrlPath").strip("/")
    if address not in WIDE:
        return f"\n  SAPO Viz: {scheme}://{f'[{address}]' if ':' in address else address}:{port}/{path}\n"
    return (
        f"\n  SAPO Viz: {scheme}://localhost:{port}/{path}\n"
        f"  From elsewhere: this machine's IP addresses, and the names in {HOSTS}. There is no login.\n"
    )
