"""Which model: one list and one field for every page that needs one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from sapo_viz.models.source import FOLDER_VARIABLE, list_models, list_run_policies, models_dir, names_of_models
from sapo_viz.ui import session
from sapo_viz.ui.address import Read, bind
from sapo_viz.ui.words import _

_LONGEST = 500  # characters of a name


@dataclass(frozen=True)
class _Name:
    """A model's name in the address. Whether there is such a model is asked where it is used."""

    usual: str | None

    def read(self, key: str, text: str) -> Read[str | None]:
        return Read(self.fit(text))

    def write(self, value: str | None) -> str:
        return value or ""

    def fit(self, value: str | None) -> str | None:
        return (value or "").strip()[:_LONGEST] or self.usual


def choose_model(
    label: str,
    parameter: str,
    options: Sequence[str],
    *,
    key: str,
    usual: str = "",
    placeholder: str = "",
    help: str | None = None,
    width: int | Literal["stretch"] = "stretch",
) -> str:
    """A name from the list or a typed one; it is in the address under `parameter` unless it is the usual one."""
    bind(parameter, _Name(usual or None), widget=key)
    names = [usual, *options, session.get(key)]
    chosen = st.selectbox(
        label,
        list(dict.fromkeys(name for name in names if name)),
        index=None,
        placeholder=placeholder or _("a name or a Hub id"),
        accept_new_options=True,
        help=help,
        key=key,
        width=width,
    )
    return (chosen or usual).strip()


def known_models() -> list[str]:
    """Bundled policies, folders that the server's owner opened, and what runs have trained."""
    return names_of_models(models_dir())


def known_adapters() -> list[str]:
    """The same of LoRA adapters, of which none is bundled."""
    return [*list_models(models_dir(), adapters=True), *list_run_policies(adapters=True)]


def models_help() -> str:
    """What can be chosen or typed."""
    root = models_dir()
    what = _("A bundled policy, what a run has trained, or the id of a model on the Hugging Face Hub, typed by hand.")
    folders = (
        _("Below {variable}: {count} folders.").format(variable=FOLDER_VARIABLE, count=len(list_models(root)))
        if root
        else _("Folders appear here once the server's owner sets {variable}.").format(variable=FOLDER_VARIABLE)
    )
    return f"{what} {folders}"
