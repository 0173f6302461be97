"""Token ids as the texts that they stand for, where a file holds ids alone and somebody names the tokenizer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from sapo_viz.errors import RolloutError
from sapo_viz.models.tokens_apart import texts_apart
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.steps import Steps
from sapo_viz.rollouts.vocabulary import IDS_ONLY, Tokens, is_placeholder, placeholders

_HALVES = 0.002  # share of tokens with a �: fewer may have stood in the text itself


def shows_ids(rollouts: Rollouts) -> bool:
    """Whether the tokens are shown as ⟨id⟩ because the texts are missing."""
    return rollouts.token_ids is not None and all(map(is_placeholder, rollouts.tokens.vocabulary))


def has_halves(rollouts: Rollouts) -> bool:
    """Whether texts are given, but decoded one id at a time: characters of several tokens are �, and ids are there."""
    halves = [code for code, text in enumerate(rollouts.tokens.vocabulary) if "\ufffd" in text]
    if rollouts.token_ids is None or not halves:
        return False
    return bool(np.isin(rollouts.tokens.codes, halves).mean() > _HALVES)


def decoded(rollouts: Rollouts, name: str, root: Path | None = None) -> Steps[Rollouts]:
    """The same with texts in place of ids, by the tokenizer of model `name` (`models.tokens_of`), read apart.

    Raises:
        RolloutError: the file has no ids, has texts already, or the tokenizer knows none of its ids.
        ModelError: there is no such model, or its tokenizer cannot be read.
    """
    if rollouts.token_ids is None:
        raise RolloutError(f"{rollouts.name}: it holds no token_ids that a tokenizer could decode; open it without.")
    if not shows_ids(rollouts) and not has_halves(rollouts):
        raise RolloutError(f"{rollouts.name}: its tokens are texts already; open it without a tokenizer.")
    ids, codes = np.unique(rollouts.token_ids, return_inverse=True)
    texts = yield from texts_apart(name, ids.tolist(), root=root)
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
