"""What token ids stand for, by the tokenizer of a model: none of its weights are fetched or loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from sapo_viz.errors import ModelError
from sapo_viz.models.policy import load_tokenizer
from sapo_viz.models.source import Located, ModelSource, locate
from sapo_viz.models.tokenizer import token_texts

_FILES = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges.txt",
    "config.json",
    "*.model",
)


def texts_of(name: str, ids: Iterable[int], *, root: Path | None = None) -> dict[int, str]:
    """id -> text, for the ids that the tokenizer of model `name` knows; bytes of half a character as ⟨E4⟩.

    Args:
        name: a bundled policy, a folder, or a Hub id, as `source.locate` takes it.
        root: None takes any folder of the machine; else the one that visitors may use, as in `locate`.

    Raises:
        ModelError: there is no such model, or its tokenizer cannot be read.
    """
    tokenizer = load_tokenizer(ModelSource(_here(locate(name, root=root).base)))
    known = set(tokenizer.get_vocab().values())
    wanted = [index for index in ids if index in known]
    return dict(zip(wanted, token_texts(tokenizer, wanted), strict=True))


def _here(model: Located) -> Located:
    """With the tokenizer's files on this machine; of a model on the Hub only these are fetched."""
    if model.folder:
        return model
    from huggingface_hub import snapshot_download

    name, _, revision = model.identity.removeprefix("hub:").rpartition("@")
    try:
        folder = snapshot_download(name, revision=revision, allow_patterns=list(_FILES), ignore_patterns=["*/*"])
    except Exception as error:  # the libraries have a kind for each way in which a connection fails
        raise ModelError(
            f"the tokenizer of {name!r} could not be fetched from the Hub ({type(error).__name__}); try again, or use "
            "a folder."
        ) from None
    return replace(model, folder=folder)
