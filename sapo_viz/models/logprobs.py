"""Log-probs of given tokens without the logits of all of them at once.

4,096 positions of a vocabulary of 151,936 are 2.5 GB of float32 logits, and a log-softmax doubles that. Here the
model's body runs once over the batch; then its head runs over a few positions at a time. The head is the model's own
`forward` with `logits_to_keep`, which the causal language models of transformers 5 have, while the body answers with
the hidden states that it gave before: so scaling (Cohere, Granite) and soft caps (Gemma) are the model's own code. A
model whose forward lacks the argument is run whole. The other way, a KV cache read in chunks, would hold the cache
besides, and works only for the kinds of attention that have one.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sapo_viz.core.lazy import torch
from sapo_viz.models.policy import Policy

if TYPE_CHECKING:
    from torch import Tensor

LOGITS = 2**25  # numbers in one chunk of logits, 128 MB: 220 positions of a vocabulary of 151,936


def token_logprobs(
    policy: Policy, rows: Sequence[Sequence[int]], first: Sequence[int], *, chunk: int | None = None
) -> list[Tensor]:
    """All of `steps`, for whoever needs no progress."""
    *_shares, scores = steps(policy, rows, first, chunk=chunk)
    assert isinstance(scores, list)
    return scores


def steps(
    policy: Policy, rows: Sequence[Sequence[int]], first: Sequence[int], *, chunk: int | None = None
) -> Iterator[float | list[Tensor]]:
    """log π of each row's tokens from place `first` on, given all before; natural log, float32.

    Yields the share of the work that is done, after each chunk, and at the end the log-probs.

    Args:
        rows: B lists of token ids. They are padded on the right: no token sees what comes after it, so the padding
            changes nothing and needs no mask.
        first: B places, each at least 1 and at most its row's length.
        chunk: positions whose logits are made at once; by default as many as fit into LOGITS numbers.

    Yields:
        Numbers from 0 to 1, then B tensors of `len(row) − first` entries.
    """
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[row[-1]] * (width - len(row))] for row in rows], device=policy.device)
    begin = min(first) - 1  # the logits before this place are of the prompts' tokens, which nobody asks for
    vocabulary = policy.model.config.get_text_config().vocab_size
    chunk = chunk or max(1, LOGITS // (vocabulary * len(rows)))
    sizes = [parameter.numel() for parameter in policy.model.parameters()]
    head = min(1.0, vocabulary * policy.model.config.get_text_config().hidden_size / sum(sizes))  # of the work, about
    parts = []
    for place, logits in _logits(policy.model, ids[:, :-1], begin, chunk):
        targets = ids[:, place + 1 : place + 1 + logits.shape[1], None]
        parts.append(torch.log_softmax(logits, -1, dtype=torch.float32).gather(-1, targets)[..., 0].cpu())
        del logits
        read = (place + parts[-1].shape[1] - begin) / (width - 1 - begin)
        yield 1 - head + head * read
    scores = torch.cat(parts, 1)  # [B, width − 1 − begin], entry j for the token at begin + 1 + j
    yield [scores[i, first[i] - 1 - begin : len(rows[i]) - 1 - begin] for i in range(len(rows))]


def _logits(model: Any, ids: Tensor, begin: int, chunk: int) -> Iterator[tuple[int, Tensor]]:
    """(place, logits [B, ≤ chunk, V]) for the places from `begin` to the end, in order. ids [B, T]"""
    body, answers = model.get_decoder(), []
    if body is not model and "logits_to_keep" in inspect.signature(model.forward).parameters:
        hook = body.register_forward_hook(lambda _module, _arguments, answer: answers.append(answer))
        try:
            _run(model, ids, logits_to_keep=1)
        finally:
            hook.remove()
    if len(answers) != 1:
        logits = _run(model, ids)
        for place in range(begin, ids.shape[1], chunk):
            yield place, logits[:, place : place + chunk]
        return
    with answering(body, answers[0]):
        for place in range(begin, ids.shape[1], chunk):
            keep = torch.arange(place, min(place + chunk, ids.shape[1]), device=ids.device)
            yield place, _run(model, ids, logits_to_keep=keep)


def _run(model: Any, ids: Tensor, **arguments: Any) -> Tensor:
    """The mode ends with the call: a generator that rests within it would put its caller into it too."""
    with torch.inference_mode():
        logits: Tensor = model(input_ids=ids, use_cache=False, **arguments).logits
        return logits


@contextlib.contextmanager
def answering(body: Any, answer: Any) -> Iterator[None]:
    """While it lasts, the module gives this answer instead of computing one."""
    own = body.__dict__.get("forward")  # other libraries put a forward onto the instance too
    body.forward = lambda *_arguments, **_named: answer
    try:
        yield
    finally:
        if own is None:
            del body.forward
        else:
            body.forward = own
