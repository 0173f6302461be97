"""Token ids as the texts that they stand for, where a file holds ids alone and somebody names the tokenizer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.formats.base import IDS_ONLY, is_placeholder, placeholders
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.vocabulary import Tokens


def shows_ids(rollouts: Rollouts) -> bool:
    """Whether the tokens are shown as ⟨id⟩ for want of texts."""
    return rollouts.token_ids is not None and all(map(is_placeholder, rollouts.tokens.vocabulary))


def decoded(rollouts: Rollouts, name: str, root: Path | None = None) -> Rollouts:
    """The same with texts in place of ids, by the tokenizer of model `name` (`models.tokens_of`).

    Raises:
        RolloutError: the file has no ids, has texts already, or the tokenizer knows none of its ids.
        ModelError: there is no such model, or its tokenizer cannot be read.
    """
    if rollouts.token_ids is None:
        raise RolloutError(f"{rollouts.name}: it holds no token_ids that a tokenizer could decode; open it without.")
    if not shows_ids(rollouts):
        raise RolloutError(f"{rollouts.name}: its tokens are texts already; open it without a tokenizer.")
    from sapo_viz.models.tokens_of import texts_of  # transformers, for whoever asks

    ids, codes = np.unique(rollouts.token_ids, return_inverse=True)
    texts = texts_of(name, ids.tolist(), root=root)
    if not texts:
        raise RolloutError(
            f"{rollouts.name}: the tokenizer of {name!r} knows none of its token ids (the largest is {ids[-1]:,}); "
            "name that of the model that sampled them."
        )
    shown = [texts.get(index, ids_text) for index, ids_text in zip(ids.tolist(), placeholders(ids), strict=True)]
    tokens = Tokens(codes.astype(np.int32), tuple(shown))
    said = [f"Token ids shown as texts by the tokenizer of {name}."]
    if unknown := int(np.isin(codes, [n for n, index in enumerate(ids.tolist()) if index not in texts]).sum()):
        said.append(f"Tokens whose ids it does not know, shown as ⟨id⟩: {unknown:,}; it may be another model's.")
    return replace(rollouts, tokens=tokens, notes=(*(note for note in rollouts.notes if note != IDS_ONLY), *said))
