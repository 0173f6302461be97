"""Texts in place of token ids, where a file holds ids alone: which model's tokenizer, kept in the address."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from sapo_viz.errors import SapoVizError
from sapo_viz.models.source import FOLDER_VARIABLE, list_models, models_dir
from sapo_viz.rollouts.decoded import decoded, shows_ids
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.steps import at_once
from sapo_viz.ui.text import plain
from sapo_viz.ui.tokens_scoring import bundled
from sapo_viz.ui.tokens_source import Source
from sapo_viz.ui.tokens_work import kept, worked
from sapo_viz.ui.words import _


def with_texts(source: Source) -> Source:
    """The same, decoded when a tokenizer is named; files with texts pass as they are."""
    if not kept("shows ids", source.origin, lambda: shows_ids(source.rollouts)):
        st.query_params.pop("tokenizer", None)
        return source
    name = _tokenizer()
    if not name:
        return source
    origin = (*source.origin, "tokenizer", name)
    found = worked("decoded", origin, lambda: at_once(lambda: _try(source.rollouts, name)), _("Decoding token ids…"))
    if isinstance(found, str):
        st.error(plain(found), icon=":material/error:")
        return source
    return Source(origin, found)


def _try(rollouts: Rollouts, name: str) -> Rollouts | str:
    """A reason is kept as well: a name that the Hub does not answer for would be asked for in every run."""
    try:
        return decoded(rollouts, name, models_dir() or Path())
    except SapoVizError as error:
        return str(error)


def _tokenizer() -> str:
    asked = st.query_params.get("tokenizer", "").strip()
    options = list(dict.fromkeys([*bundled(), *list_models(models_dir()), *([asked] if asked else [])]))
    chosen = st.selectbox(
        _("This file holds token ids. Show them as texts, with the tokenizer of"),
        options,
        index=options.index(asked) if asked else None,
        placeholder=_("the model that sampled them: a name or a Hub id"),
        accept_new_options=True,
        help=_("A bundled policy, a folder below {variable}, or a Hub id; only the tokenizer is fetched.").format(
            variable=FOLDER_VARIABLE
        ),
    )
    name = (chosen or "").strip()
    if name:
        st.query_params["tokenizer"] = name
    else:
        st.query_params.pop("tokenizer", None)
    return name
