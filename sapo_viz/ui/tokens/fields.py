"""What a rollout file holds: its fields, frameworks' own files, examples to download; and a reader's notes on one."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from sapo_viz.paths import ASSETS
from sapo_viz.rollouts.readers.describe import EXAMPLE_CSV, EXAMPLE_JSONL, formats_markdown, schema_markdown
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.ui.text import plain
from sapo_viz.ui.tokens.source import sample_files
from sapo_viz.ui.words import _


def notes(rollouts: Rollouts) -> None:
    """What the reader took otherwise than it was written."""
    if rollouts.notes:
        with st.container(key="tokens-notes"):  # below the strip in a low window (page.css)
            st.caption(" ".join(plain(note) for note in rollouts.notes))


def schema_help() -> None:
    """The fields of a rollout file, frameworks' own files, examples, and samples of all of them to download."""
    st.markdown(schema_markdown())
    left, right = st.columns(2)
    left.code(EXAMPLE_JSONL, language="json", wrap_lines=True)
    right.code(EXAMPLE_CSV, language="text", wrap_lines=True)
    _downloads(sample_files())
    st.markdown(f"**{_('Files of frameworks')}**")
    st.markdown(formats_markdown())
    _downloads(sorted((ASSETS / "samples" / "formats").glob("*")))


def _downloads(paths: list[Path]) -> None:
    with st.container(horizontal=True):
        for path in paths:
            st.download_button(
                path.name,
                path.read_bytes,
                file_name=path.name,
                icon=":material/download:",
                key=f"tokens: sample {path.name}",
                on_click="ignore",
            )
