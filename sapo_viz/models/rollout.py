"""Sampling with a KV cache, and the log-probs of what was sampled.

The old log-probs come free: they are those that the sampler drew from (recomputing them differs by 4e-6).
Prompts are read once each, then their cache is repeated for the completions of the group.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sapo_viz.core.lazy import torch
from sapo_viz.errors import ModelError
from sapo_viz.models.lean import model as lean
from sapo_viz.models.lean.cache import LeanCache
from sapo_viz.models.logprobs import LOGITS, answering
from sapo_viz.models.pictures import Pictures, as_read, pictures_of
from sapo_viz.models.policy import Policy
from sapo_viz.models.routing import recorded, replayed, stacked

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
    routes: Tensor | None = None  # [B, P+T−1, L, K], the experts of each token in each layer; None if dense
    pictures: Pictures | None = None  # of the prompts, for a policy that looks at them

    def rows(self, index: Tensor) -> Rollout:
        """Some of the sequences; `prompts` and `completions` still tell of the whole."""
        prompt_mask = None if self.prompt_mask is None else self.prompt_mask[index]
        routes = None if self.routes is None else self.routes[index]
        return replace(
            self,
            prompt_ids=self.prompt_ids[index],
            prompt_mask=prompt_mask,
            ids=self.ids[index],
            mask=self.mask[index],
            logprobs=self.logprobs[index],
            routes=routes,
            pictures=self.pictures.rows(index) if self.pictures else None,
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
    low_precision: bool = False,
    generator: torch.Generator | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Rollout | None:
    """`completions` samples for each prompt, or None if `should_stop` said so between two tokens.

    Args:
        max_length: tokens after which a completion is cut off.
        temperature: divides the logits; the log-probs are those of the divided ones.
        noise: σ of normal noise on the sampler's logits, afresh for each token.
        greedy: the likeliest token instead of a sampled one.
        low_precision: matrix products in bfloat16.
    """
    with torch.no_grad(), products(policy, low_precision):
        return _sample(policy, prompts, completions, max_length, temperature, noise, greedy, generator, should_stop)


def products(policy: Policy, low_precision: bool) -> AbstractContextManager[Any]:
    """Matrix products in bfloat16 or as the weights are; weights, norms and softmax keep their precision."""
    return torch.autocast(policy.device.type, dtype=torch.bfloat16, enabled=low_precision)


def end_ids(policy: Policy) -> list[int]:
    """The tokens that close a completion: those of the generation config, or else the tokenizer's end symbol."""
    ends = policy.model.generation_config.eos_token_id if policy.model.generation_config else None
    ends = policy.tokenizer.eos_token_id if ends is None else ends
    return [] if ends is None else ends if isinstance(ends, list) else [ends]


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
    prompt_ids, prompt_mask = _pad_left(policy, [policy.encode(prompt, start=True) for prompt in prompts])
    ends = torch.tensor(end_ids(policy), device=policy.device)
    longest = prompt_ids.shape[1] + max_length
    is_lean = prompt_mask is None and lean.covers(policy.model, longest)
    pictures = pictures_of(policy.model, prompts, prompt_ids, prompt_mask) if policy.has_pictures else None
    cache = LeanCache(policy.model, longest) if is_lean else _LibraryCache(policy, prompt_mask, pictures)
    with recorded(policy.model) as used:
        logits = cache.read(prompt_ids, completions)
        routes = [stacked(used, len(prompts))]
        prompt_ids = prompt_ids.repeat_interleave(completions, 0)
        if prompt_mask is not None:
            prompt_mask = prompt_mask.repeat_interleave(completions, 0)
        if routes[0] is not None:
            routes[0] = routes[0].repeat_interleave(completions, 0)

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
            token = drawn_from.argmax(-1) if greedy else _draw(drawn_from, generator)
            ids.append(token)
            masks.append(going)
            logprobs.append(drawn_from.gather(-1, token[:, None])[:, 0])
            going = going & ~torch.isin(token, ends)
            if position + 1 == max_length or not bool(going.any()):
                break
            used.clear()
            logits = cache.step(token)
            routes.append(stacked(used, len(token)))

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
        routes=None if routes[0] is None else torch.cat([each for each in routes if each is not None], 1),
        pictures=pictures.repeat(completions) if pictures else None,
    )


def _draw(logprobs: Tensor, generator: torch.Generator | None) -> Tensor:
    """One sample of each row, by inverting its distribution function. [B, V] -> [B]

    One random number per row; drawing one for each symbol, as `torch.multinomial` does, took a tenth of the
    rollout. float64, because 150,000 float32 probabilities do not add up.
    """
    cumulative = logprobs.exp().double().cumsum(-1)
    shape, device = (len(logprobs), 1), logprobs.device
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64, device=device) * cumulative[:, -1:]
    token = torch.searchsorted(cumulative, uniform, right=True)[:, 0]  # `right` skips symbols of probability 0
    return token.clamp(max=logprobs.shape[-1] - 1)


def completion_logprobs(
    policy: Policy, rollout: Rollout, *, temperature: float = 1.0, replay: bool = False, low_precision: bool = False
) -> Tensor:
    """log π of the sampled tokens under the policy as it is now, with gradient where enabled. [B, T] float32

    With `replay` a mixture of experts goes through the rollout's routes. Columns in which no sequence goes
    on are not computed; they are 0, as is nothing that the mask covers.
    """
    width = rollout.ids.shape[1]
    length = max(1, int(rollout.mask.any(0).sum()))
    prompts = rollout.prompt_ids
    ids = as_read(policy.model, rollout.ids[:, : length - 1])  # nothing follows the last token
    beside = _beside(rollout, ids)
    routes = rollout.routes[:, : prompts.shape[1] + length - 1] if replay and rollout.routes is not None else None
    targets = rollout.ids[:, :length]
    with replayed(policy.model, routes), products(policy, low_precision):
        if targets.numel() * policy.model.config.get_text_config().vocab_size > LOGITS and _has_body(policy.model):
            taken = _chosen(policy.model, prompts, ids, beside, targets, temperature)
        else:
            taken = _taken(_all_logits(policy, prompts, ids, beside), targets, temperature)
    return torch.nn.functional.pad(taken, (0, width - length)) if length < width else taken


def _beside(rollout: Rollout, ids: Tensor) -> dict[str, Tensor]:
    """What the model takes beside prompts and `ids` behind them: which places are padding, positions, pictures. Nothing
    for prompts of one length without any. [B, n]"""
    beside: dict[str, Tensor] = {}
    if rollout.prompt_mask is not None:
        mask = torch.cat([rollout.prompt_mask, torch.ones_like(ids)], 1)
        beside = {"attention_mask": mask, "position_ids": _positions(mask)}
    return beside | (rollout.pictures.shown(ids.shape[1]) if rollout.pictures else {})


def _taken(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """[B, n, V], [B, n] -> [B, n] float32"""
    with torch.autocast(logits.device.type, enabled=False):
        logprobs = torch.log_softmax(logits.float() / temperature, -1)
    return logprobs.gather(-1, targets[..., None])[..., 0]


def _chosen(
    model: Any, prompts: Tensor, ids: Tensor, beside: dict[str, Tensor], targets: Tensor, temperature: float
) -> Tensor:
    """The same as `_taken(_all_logits(…))` where those logits are too many to be held: the head runs over a few places
    at a time, and once more for its gradient. [B, P], [B, n − 1], targets [B, n] -> [B, n]

    The head is the model's own forward around hidden states that are there already (`logprobs.answering`).
    """
    from torch.utils.checkpoint import checkpoint

    body = model.get_decoder()
    with _recomputing(model):
        out = body(input_ids=torch.cat([prompts, ids], 1), use_cache=False, **beside)
    hidden = out.last_hidden_state[:, -targets.shape[1] :]

    def head(states: Tensor, wanted: Tensor) -> Tensor:
        # Of a view, a frozen head in bfloat16 would be copied for every sequence (`_last`).
        with answering(body, type(out)(last_hidden_state=states.contiguous())):
            logits = model(input_ids=wanted, use_cache=False).logits
        return _taken(logits, wanted, temperature)

    chunk = max(1, LOGITS // (model.config.get_text_config().vocab_size * len(targets)))
    pairs = zip(hidden.split(chunk, 1), targets.split(chunk, 1), strict=True)
    if torch.is_grad_enabled():
        return torch.cat([checkpoint(head, *pair, use_reentrant=False) for pair in pairs], 1)
    return torch.cat([head(*pair) for pair in pairs], 1)


def _has_body(model: Any) -> bool:
    """Whether the model is a body with a head whose forward can be told which places are wanted."""
    return model.get_decoder() is not model and "logits_to_keep" in inspect.signature(model.forward).parameters


def prepare_recomputing(policy: Policy) -> None:
    """From now on the layers keep only what goes into them, and compute the rest again for the gradient.

    Raises:
        ModelError: the model cannot do that.
    """
    try:
        policy.model.activation_checkpointing_enable({"use_reentrant": False})
    except ValueError:
        raise ModelError(f"policy {policy.name!r} cannot compute its layers again; take recompute off.") from None


@contextlib.contextmanager
def _recomputing(model: Any) -> Iterator[None]:
    """The library recomputes in layers that are being trained, and would do without the cache there; so only for the
    while. Their parts stay as they are: nothing is dropped out."""
    layers = []
    if getattr(model, "is_activation_checkpointing", False) and torch.is_grad_enabled():
        layers = [layer for layer in model.modules() if getattr(layer, "gradient_checkpointing", False)]
    for layer in layers:
        layer.training = True
    try:
        yield
    finally:
        for layer in layers:
            layer.training = False


def _all_logits(policy: Policy, prompts: Tensor, ids: Tensor, beside: dict[str, Tensor]) -> Tensor:
    """Logits after each sequence's prompt and after each of its `ids`. [B, P], [B, n] -> [B, n + 1, V]"""
    if not beside and lean.covers(policy.model, prompts.shape[1] + ids.shape[1]):
        return lean.continued(policy.model, prompts, ids)
    whole = torch.cat([prompts, ids], 1)
    with _recomputing(policy.model):
        out = policy.model(input_ids=whole, use_cache=False, logits_to_keep=_last(ids.shape[1] + 1, whole), **beside)
    logits: Tensor = out.logits
    return logits


def _last(count: int, ids: Tensor) -> Tensor:
    """The last `count` places of `ids`, for `logits_to_keep`. [B, n] -> [count]

    As a number it would give the head a view of the hidden states. torch then multiplies sequence by sequence, and
    copies a frozen head in bfloat16 for each of them: 900 MB for 16 sequences of SmolLM2-135M.
    """
    return torch.arange(ids.shape[1] - count, ids.shape[1], device=ids.device)


def decode(policy: Policy, rollout: Rollout) -> list[str]:
    """The completions as text, the end symbol included. [B]"""
    lengths = rollout.mask.sum(1).tolist()
    sequences = [ids[:length] for ids, length in zip(rollout.ids.tolist(), lengths, strict=True)]
    backend = getattr(policy.tokenizer, "backend_tokenizer", None)
    if backend is not None:  # the library's own way there asks of each number whether it is one
        texts: list[str] = backend.decode_batch(sequences, skip_special_tokens=False)
        return texts
    return policy.tokenizer.batch_decode(sequences, clean_up_tokenization_spaces=False)


class _LibraryCache:
    """The library's model and cache, used as a `LeanCache` is: for all that a lean pass does not cover."""

    def __init__(self, policy: Policy, prompt_mask: Tensor | None, pictures: Pictures | None) -> None:
        from transformers import DynamicCache

        self.model, self.mask, self.pictures = policy.model, prompt_mask, pictures
        self.cache = DynamicCache(config=policy.model.config)
        self.sampled = 0

    def read(self, prompts: Tensor, times: int) -> Tensor:
        """Logits after each prompt, which from here on stands `times` times, side by side. [U, P] -> [U·times, V]"""
        logits = self._forward(prompts, self.pictures.shown() if self.pictures else {})
        self.cache.batch_repeat_interleave(times)
        if self.mask is not None:
            self.mask = self.mask.repeat_interleave(times, 0)
        self.pictures = self.pictures.repeat(times) if self.pictures else None
        return logits.repeat_interleave(times, 0)

    def step(self, tokens: Tensor) -> Tensor:
        """Logits after one more token of each sequence. [B] -> [B, V]"""
        if self.mask is not None:
            self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], 1)
        self.sampled += 1
        seen = self.pictures.behind(self.sampled - 1) if self.pictures else {}
        return self._forward(as_read(self.model, tokens[:, None]), seen)

    def _forward(self, ids: Tensor, seen: dict[str, Tensor]) -> Tensor:
        """Logits after the last of `ids`, which are added to the cache. [B, n] -> [B, V]"""
        beside: dict[str, Tensor] = {}
        if self.mask is not None:
            beside = {"attention_mask": self.mask, "position_ids": _positions(self.mask)[:, -ids.shape[1] :]}
        out = self.model(
            input_ids=ids,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=_last(1, ids),
            **beside | seen,
        )
        logits: Tensor = out.logits[:, -1]
        return logits


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
