"""Log-probs of a given text: one policy's, or two policies' side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sapo_viz.core.lazy import torch
from sapo_viz.errors import ModelError
from sapo_viz.models.policy import Policy

_LOGITS = 2**25  # numbers in one chunk of logits, 128 MB: 220 positions of a vocabulary of 151,936


@dataclass(frozen=True)
class ScoredText:
    """A completion's tokens with their log-probs, one entry a token."""

    tokens: tuple[str, ...]  # the text of each, exactly
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]


def score_text(policy: Policy, prompt: str, completion: str, *, chunk: int | None = None) -> ScoredText:
    """log π(completion | prompt), token by token, natural log.

    The logits are made a chunk of positions at a time, over a KV cache, so that a vocabulary of 151,936
    does not need gigabytes.

    Raises:
        ModelError: an empty text, one too long for the policy, or a character that it does not know.
    """
    from transformers import DynamicCache

    before, after = policy.encode(prompt, start=True), policy.encode(completion)
    if not before:
        raise ModelError("the prompt is empty; the first token's log-prob needs at least one token before it.")
    if not after:
        raise ModelError("the completion is empty; it takes at least one token to score.")
    ids = before + after
    limit = getattr(policy.model.config, "max_position_embeddings", None)
    if limit and len(ids) > limit:
        raise ModelError(f"prompt and completion are {len(ids)} tokens; this policy reads up to {limit}.")

    chunk = chunk or max(16, _LOGITS // policy.model.config.get_text_config().vocab_size)
    inputs = torch.tensor([ids[:-1]], device=policy.device)
    targets = torch.tensor(ids[1:], device=policy.device)
    cache = DynamicCache(config=policy.model.config)
    scores = []
    with torch.no_grad():
        for begin in range(0, len(ids) - 1, chunk):
            part = slice(begin, begin + chunk)
            logits = policy.model(input_ids=inputs[:, part], past_key_values=cache, use_cache=True).logits[0]
            scores.append(torch.log_softmax(logits.float(), -1).gather(-1, targets[part, None])[:, 0])
    logprobs = torch.cat(scores)[len(before) - 1 :].tolist()
    return ScoredText(tuple(policy.texts(after)), tuple(after), tuple(logprobs))


def score_pair(policy: Policy, old_policy: Policy, prompt: str, completion: str, *, advantage: float) -> dict[str, Any]:
    """One sequence of the rollout schema: π_θ is `policy`, π_old is `old_policy`.

    Raises:
        ModelError: as `score_text`, or the two split the text into different tokens.
    """
    new, old = score_text(policy, prompt, completion), score_text(old_policy, prompt, completion)
    if new.tokens != old.tokens:
        raise ModelError(
            f"{policy.name} splits the completion into {len(new.tokens)} tokens and {old_policy.name} into "
            f"{len(old.tokens)}, or elsewhere; a ratio takes two policies with the same tokenizer."
        )
    return {
        "id": f"{old_policy.name} to {policy.name}",
        "prompt": prompt,
        "tokens": list(new.tokens),
        "token_ids": list(new.token_ids),
        "logprobs": list(new.logprobs),
        "old_logprobs": list(old.logprobs),
        "advantage": advantage,
    }
