"""Sampling with a KV cache, and the log-probs of what was sampled.

The old log-probs come free: they are those that the sampler drew from (recomputing them differs by 4e-6).
Prompts are read once each, then their cache is repeated for the completions of the group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sapo_viz.core.lazy import torch
from sapo_viz.models.policy import Policy

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Rollout:
    """B = prompts × completions sequences, those of a prompt side by side."""

    prompts: tuple[str, ...]
    completions: int  # of each prompt
    prompt_ids: Tensor  # [B, P], padded on the left
    prompt_mask: Tensor | None  # [B, P], or None when all prompts are equally long
    ids: Tensor  # [B, T], sampled
    mask: Tensor  # [B, T] bool, True up to and including the end symbol
    logprobs: Tensor  # [B, T], log-probs of the sampler; 0 where the mask is False
    entropy: float  # mean −Σ π log π over the sampled tokens, of the policy without sampler noise

    def rows(self, index: Tensor) -> Rollout:
        """Some of the sequences; `prompts` and `completions` still tell of the whole."""
        prompt_mask = None if self.prompt_mask is None else self.prompt_mask[index]
        return replace(
            self,
            prompt_ids=self.prompt_ids[index],
            prompt_mask=prompt_mask,
            ids=self.ids[index],
            mask=self.mask[index],
            logprobs=self.logprobs[index],
        )


def sample(
    policy: Policy,
    prompts: list[str],
    completions: int,
    *,
    max_length: int,
    temperature: float = 1.0,
    noise: float = 0.0,
    greedy: bool = False,
    generator: torch.Generator | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Rollout | None:
    """`completions` samples for each prompt, or None if `should_stop` said so between two tokens.

    Args:
        max_length: tokens after which a completion is cut off.
        temperature: divides the logits; the log-probs are those of the divided ones.
        noise: σ of normal noise on the sampler's logits, afresh for each token.
        greedy: the likeliest token instead of a sampled one.
    """
    with torch.no_grad():
        return _sample(policy, prompts, completions, max_length, temperature, noise, greedy, generator, should_stop)


def _sample(
    policy: Policy,
    prompts: list[str],
    completions: int,
    max_length: int,
    temperature: float,
    noise: float,
    greedy: bool,
    generator: torch.Generator | None,
    should_stop: Callable[[], bool],
) -> Rollout | None:
    from transformers import DynamicCache

    prompt_ids, prompt_mask = _pad_left(policy, [policy.encode(prompt, start=True) for prompt in prompts])
    end = policy.tokenizer.eos_token_id
    cache = DynamicCache(config=policy.model.config)
    logits = _forward(policy, prompt_ids, prompt_mask, cache)
    cache.batch_repeat_interleave(completions)
    logits = logits.repeat_interleave(completions, 0)
    prompt_ids = prompt_ids.repeat_interleave(completions, 0)
    prompt_mask = None if prompt_mask is None else prompt_mask.repeat_interleave(completions, 0)

    seen = prompt_mask
    going = torch.ones(len(prompt_ids), dtype=torch.bool, device=prompt_ids.device)
    ids, masks, logprobs, entropies = [], [], [], []
    for position in range(max_length):
        if should_stop():
            return None
        clean = torch.log_softmax(logits.float() / temperature, -1)
        entropies.append(-(clean.exp() * clean).nansum(-1))  # 0·−inf counts as 0
        drawn_from = clean
        if noise:
            normal = torch.randn(clean.shape, generator=generator, device=clean.device)
            drawn_from = torch.log_softmax(clean + noise / temperature * normal, -1)
        if greedy:
            token = drawn_from.argmax(-1)
        else:
            token = _draw(drawn_from, generator)
        ids.append(token)
        masks.append(going)
        logprobs.append(drawn_from.gather(-1, token[:, None])[:, 0])
        going = going & (token != end) if end is not None else going
        if position + 1 == max_length or not bool(going.any()):
            break
        if seen is not None:
            seen = torch.cat([seen, torch.ones_like(seen[:, :1])], 1)
        logits = _forward(policy, token[:, None], seen, cache)

    mask = torch.stack(masks, 1)
    return Rollout(
        prompts=tuple(prompts),
        completions=completions,
        prompt_ids=prompt_ids,
        prompt_mask=prompt_mask,
        ids=torch.stack(ids, 1),
        mask=mask,
        logprobs=torch.where(mask, torch.stack(logprobs, 1), 0.0),
        entropy=float(torch.stack(entropies, 1)[mask].mean()),
    )


def _draw(logprobs: Tensor, generator: torch.Generator | None) -> Tensor:
    """One sample of each row, by inverting its distribution function. [B, V] -> [B]

    One random number a row; drawing one for each symbol, as `torch.multinomial` does, took a tenth of the
    rollout. float64, because 150,000 float32 probabilities do not add up.
    """
    cumulative = logprobs.exp().double().cumsum(-1)
    shape, device = (len(logprobs), 1), logprobs.device
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64, device=device) * cumulative[:, -1:]
    token = torch.searchsorted(cumulative, uniform, right=True)[:, 0]  # `right` skips symbols of probability 0
    return token.clamp(max=logprobs.shape[-1] - 1)


def completion_logprobs(policy: Policy, rollout: Rollout, *, temperature: float = 1.0) -> Tensor:
    """log π of the sampled tokens under the policy as it is now, with gradient where enabled. [B, T] float32"""
    length = rollout.ids.shape[1]
    ids = torch.cat([rollout.prompt_ids, rollout.ids[:, :-1]], 1)  # nothing follows the last token
    mask = rollout.prompt_mask
    if mask is not None:
        mask = torch.cat([mask, torch.ones_like(rollout.ids[:, :-1])], 1)
    arguments = {} if mask is None else {"attention_mask": mask, "position_ids": _positions(mask)}
    logits = policy.model(input_ids=ids, use_cache=False, logits_to_keep=length, **arguments).logits
    logprobs = torch.log_softmax(logits.float() / temperature, -1)
    return logprobs.gather(-1, rollout.ids[..., None])[..., 0]


def decode(policy: Policy, rollout: Rollout) -> list[str]:
    """The completions as text, the end symbol included. [B]"""
    lengths = rollout.mask.sum(1).tolist()
    sequences = [ids[:length] for ids, length in zip(rollout.ids.tolist(), lengths, strict=True)]
    return policy.tokenizer.batch_decode(sequences, clean_up_tokenization_spaces=False)


def _forward(policy: Policy, ids: Tensor, mask: Tensor | None, cache: object) -> Tensor:
    """Logits after the last of `ids`, which are added to the cache. [B, n] -> [B, V]"""
    arguments = {}
    if mask is not None:
        arguments = {"attention_mask": mask, "position_ids": _positions(mask)[:, -ids.shape[1] :]}
    out = policy.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1, **arguments)
    return out.logits[:, -1]


def _positions(mask: Tensor) -> Tensor:
    """Positions that start at each sequence's first real token. [B, n] -> [B, n]"""
    return (mask.cumsum(-1) - 1).clamp(min=0)


def _pad_left(policy: Policy, prompts: list[list[int]]) -> tuple[Tensor, Tensor | None]:
    """[B, P] ids and, unless all are equally long, the mask of the real ones."""
    width = max(map(len, prompts))
    fill = policy.tokenizer.pad_token_id or 0
    ids = torch.tensor([[fill] * (width - len(prompt)) + prompt for prompt in prompts], device=policy.device)
    if all(len(prompt) == width for prompt in prompts):
        return ids, None
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return ids, torch.tensor(mask, device=policy.device)
