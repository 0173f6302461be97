"""Texts in place of token ids, where a file holds ids alone: which model's tokenizer, kept in the address."""

from __future__ import annotations

import streamlit as st

from sapo_viz.errors import ModelError, SapoVizError
from sapo_viz.models.source import admit, local_folder, visitors_root
from sapo_viz.rollouts.readers.decoded import decoded, has_halves, shows_ids
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.steps import Steps
from sapo_viz.ui import address, session
from sapo_viz.ui.models import choose_model, known_models, models_help
from sapo_viz.ui.text import plain
from sapo_viz.ui.tokens.source import Source
from sapo_viz.ui.words import _
from sapo_viz.ui.work import kept, worked

_ASKED = "tokens: tokenizer from the Hub"  # session: the name that this visitor has agreed to ask for


def with_texts(source: Source) -> Source:
    """The same, decoded when a tokenizer is named; files with texts pass as they are."""
    ids_alone = kept("shows ids", source.origin, lambda: shows_ids(source.rollouts))
    if not ids_alone and not kept("has halves", source.origin, lambda: has_halves(source.rollouts)):
        address.drop("tokenizer")
        return source
    name = _tokenizer(
        _("This file holds token ids. Show them as texts, with the tokenizer of")
        if ids_alone
        else _("Characters of several tokens are � in this file. Show their bytes, with the tokenizer of")
    )
    if not name or not _may_be_asked(name):
        return source
    origin = (*source.origin, "tokenizer", name)
    found = worked("decoded", origin, lambda: _try(source.rollouts, name), _("Decoding token ids…"))
    if isinstance(found, str):
        st.error(plain(found), icon=":material/error:")
        return source
    return Source(origin, found, source.still)


def _may_be_asked(name: str) -> bool:
    """What is not here is asked of the Hub after a click: a link that names it is no question of this visitor's."""
    root = visitors_root()
    if local_folder(name, root) or session.get(_ASKED) == name:
        return True
    try:
        admit(name, root)
    except ModelError:  # nothing that the Hub would be asked for: what is wrong with it is said
        return True
    st.button(
        plain(_("Fetch the tokenizer of {name} from the Hugging Face Hub").format(name=name)),
        icon=":material/download:",
        on_click=session.put,
        args=(_ASKED, name),
    )
    return False


def _try(rollouts: Rollouts, name: str) -> Steps[Rollouts | str]:
    """A reason is kept as well: a name that the Hub does not answer for would be asked for in every run."""
    try:
        return (yield from decoded(rollouts, name, visitors_root()))
    except SapoVizError as error:
        return str(error)


def _tokenizer(label: str) -> str:
    return choose_model(
        label,
        "tokenizer",
        known_models(),
        key="tokens: tokenizer",
        placeholder=_("the model that sampled them: a name or a Hub id"),
        help=models_help() + " " + _("Only the tokenizer is fetched."),
    )
