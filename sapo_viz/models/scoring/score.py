"""Log-probs of given texts: one policy's, or two policies' side by side for the ratios π_θ / π_old.

Prompt and completion are read apart, as in a rollout, where the completion's tokens begin after the prompt's last.
Models are loaded one after the other, so two need no more memory than the larger; small ones are kept for next time.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sapo_viz.core.lazy import torch
from sapo_viz.errors import ModelError
from sapo_viz.models.logprobs import steps
from sapo_viz.models.memory import is_out_of_memory, out_of_memory
from sapo_viz.models.policy import Policy, load_source, load_tokenizer, quiet, reading
from sapo_viz.models.scoring.cache import ScoreCache, ScoredText, text_key
from sapo_viz.models.source import ModelSource, check_reads_text, fetch
from sapo_viz.models.tokenizer import encode, token_bytes, token_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SMALL = 500_000_000  # bytes of weights; a smaller model stays in memory for the next text
_SAY = 0.2  # seconds between two Progress
_BATCH = {"cpu": 4096, "cuda": 16384}  # tokens that are run at once, padding included


@dataclass(frozen=True)
class Progress:
    """How far scoring is. Both models' work counts; numbers are None while there is nothing to measure them by."""

    stage: str  # "fetching", "loading" or "scoring"
    model: str
    done: int  # sequences
    total: int
    share: float = 0.0  # of the work, from 0 to 1; moves within a long text too
    tokens_per_s: float | None = None
    seconds_left: float | None = None


@dataclass(frozen=True)
class Scores:
    """N texts under both policies; None where a text was left out, for which `left_out` has the reason."""

    new: tuple[ScoredText | None, ...]
    old: tuple[ScoredText | None, ...]
    left_out: dict[int, str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Text:
    """One text as a policy reads it; the two parts' token ids."""

    before: list[int]
    after: list[int]

    def __len__(self) -> int:
        return len(self.before) + len(self.after)


def score_texts(
    policy: ModelSource,
    old_policy: ModelSource,
    prompts: Sequence[str],
    completions: Sequence[str],
    *,
    chat: bool = False,
    device: str = "auto",
    dtype: str = "auto",
    cache: ScoreCache | None = None,
) -> Generator[Progress | Scores, None, None]:
    """log π_θ and log π_old of N completions, token by token; the last item is the Scores.

    Closing the iterator stops the work after the batch that runs.

    Args:
        policy: π_θ; `old_policy` is π_old, from which the completions were sampled.
        chat: put each prompt, as the user's message, into each model's own chat template.
        device: "cpu", "cuda", "cuda:1" …; "auto" takes a GPU where there is one.
        dtype: of the weights; "auto" is float32 on a processor and bfloat16 on a GPU. The log-softmax is float32.
        cache: scores that are known already, and where new ones go.

    Raises:
        ModelError: a model that cannot be loaded, tokenizers that differ, not one text that both can read, or memory
            that is not enough.
    """
    cache = cache or ScoreCache()
    ready = known_scores(policy, old_policy, prompts, completions, chat, device, dtype, cache)
    if ready is not None:
        yield ready
        return
    count = len(completions)
    models = []
    for source in (old_policy, policy):
        yield Progress("fetching", source.name, 0, 2 * count)
        models.append(fetch(source))
    device, dtype, numbers = *_place(device, dtype), f"{device} {dtype}"
    with quiet():  # the tokenizer's own warning of long texts
        old, new, left_out = _read(models[0], models[1], prompts, completions, chat)

    scores: list[dict[int, ScoredText]] = []
    work = 2 * sum(map(len, new.values()))
    done, seconds, ran = 0, 0.0, 0
    for source, texts in zip(models, (old, new), strict=True):
        keys = {i: text_key(source.identity, prompts[i], completions[i], chat, numbers) for i in texts}
        known = {i: score for i in texts if (score := cache.get(keys[i]))}
        todo = {i: text for i, text in texts.items() if i not in known}
        done += sum(len(texts[i]) for i in known)
        if todo:
            yield Progress("loading", source.name, len(scores) * count + len(known), 2 * count, done / work)
            loaded = _policy(source, device, dtype)
            began = time.perf_counter()
            said = 0.0
            for running, part in _score_all(loaded, todo):
                for i, score in part.items():
                    cache.put(keys[i], score)
                known |= part
                tokens, now = sum(len(texts[i]) for i in part), time.perf_counter()
                done, ran, seconds, began = done + tokens, ran + tokens, seconds + now - began, now
                if now - said < _SAY and len(known) < len(texts):
                    continue
                said, speed = now, (ran + running) / seconds
                left = max(0.0, work - done - running)
                place, share = len(scores) * count + len(known), 1 - left / work
                yield Progress("scoring", source.name, place, 2 * count, share, speed, left / speed)
            del loaded
            gc.collect()
            if device.startswith("cuda"):
                torch.cuda.empty_cache()
        scores.append(known)
    where = _where(models[1].name, models[0].name, device, dtype, chat)
    yield Scores(
        tuple(scores[1].get(i) for i in range(count)),
        tuple(scores[0].get(i) for i in range(count)),
        left_out,
        (where, *_left_out_note(left_out)),
    )


def known_scores(
    policy: ModelSource,
    old_policy: ModelSource,
    prompts: Sequence[str],
    completions: Sequence[str],
    chat: bool,
    device: str,
    dtype: str,
    cache: ScoreCache,
) -> Scores | None:
    """The Scores if the cache holds every one of them; no model is touched for it."""
    found = []
    for source in (policy, old_policy):
        texts = zip(prompts, completions, strict=True)
        keys = (text_key(source.identity, p, c, chat, f"{device} {dtype}") for p, c in texts)
        found.append(tuple(cache.get(key) for key in keys))
    if not all(a is not None and b is not None and a.tokens == b.tokens for a, b in zip(*found, strict=True)):
        return None
    new, old = found
    return Scores(new, old, {}, (f"Scores of {policy.name} (π_θ) and {old_policy.name} (π_old), made before.",))


def score_text(policy: Policy, prompt: str, completion: str, *, chunk: int | None = None) -> ScoredText:
    """log π(completion | prompt), token by token, natural log.

    Raises:
        ModelError: an empty text, one too long for the policy, or a character that it does not know.
    """
    text = _encode(policy.tokenizer, prompt, completion, chat=False)
    limit = limit_of(policy.model.config)
    if limit and len(text) > limit:
        raise ModelError(_too_long(policy.name, len(text), limit))
    with out_of_memory(policy.name, str(policy.device)):
        *_shares, scores = _score(policy, [text], chunk)
    assert isinstance(scores, list)
    return scores[0]


def score_pair(policy: Policy, old_policy: Policy, prompt: str, completion: str, *, advantage: float) -> dict[str, Any]:
    """One sequence of the rollout schema: π_θ is `policy`, π_old is `old_policy`.

    Raises:
        ModelError: as `score_text`, or the two split the text into different tokens.
    """
    new, old = score_text(policy, prompt, completion), score_text(old_policy, prompt, completion)
    if new.tokens != old.tokens:
        raise ModelError(_other_tokens(policy.name, old_policy.name, new.tokens, old.tokens))
    return row(new, old, id=f"{old_policy.name} to {policy.name}", prompt=prompt, advantage=advantage)


def row(new: ScoredText, old: ScoredText, **labels: Any) -> dict[str, Any]:
    """A sequence of the rollout schema; `labels` are its other fields, of which those that are None are left out."""
    return {
        "tokens": list(new.tokens),
        "token_ids": list(new.token_ids),
        "logprobs": list(new.logprobs),
        "old_logprobs": list(old.logprobs),
    } | {name: value for name, value in labels.items() if value is not None}


def _place(device: str, dtype: str) -> tuple[str, str]:
    """Device and dtype with "auto" decided."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        raise ModelError(f"device is {device!r}, which torch does not have here; take cpu.") from None
    if dtype == "auto":
        dtype = "bfloat16" if device.startswith("cuda") and torch.cuda.is_bf16_supported() else "float32"
    return device, dtype


def _read(
    old: ModelSource, new: ModelSource, prompts: Sequence[str], completions: Sequence[str], chat: bool
) -> tuple[dict[int, _Text], dict[int, _Text], dict[int, str]]:
    """The texts as both policies read them, by place, and why others are left out."""
    for source in (old, new):
        check_reads_text(source.base.name, source.base.folder)
    readers = [(source, load_tokenizer(source), limit_of(_config(source))) for source in (old, new)]
    texts: tuple[dict[int, _Text], dict[int, _Text]] = ({}, {})
    left_out: dict[int, str] = {}
    for i, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        try:
            pair = [_encode(tokenizer, prompt, completion, chat=chat) for _, tokenizer, _ in readers]
        except ModelError as error:
            left_out[i] = str(error)
            continue
        made = [token_bytes(reader[1], text.after) for reader, text in zip(readers, pair, strict=True)]
        if made[0] != made[1]:
            seen = [token_texts(reader[1], text.after) for reader, text in zip(readers, pair, strict=True)]
            raise ModelError(_other_tokens(new.name, old.name, seen[1], seen[0]))
        for (source, _, limit), text in zip(readers, pair, strict=True):
            if limit and len(text) > limit:
                left_out[i] = _too_long(source.name, len(text), limit)
        if i not in left_out:
            texts[0][i], texts[1][i] = pair
    if not texts[0]:
        raise ModelError(next(iter(left_out.values()), "there is no text to score; give at least one."))
    return *texts, left_out


def _encode(tokenizer: PreTrainedTokenizerBase, prompt: str, completion: str, *, chat: bool) -> _Text:
    if chat:
        if not tokenizer.chat_template:
            raise ModelError("a model has no chat template; score the prompt as plain text.")
        messages = [{"role": "user", "content": prompt}]
        with reading("chat template"):
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        before = list(tokenizer(text, add_special_tokens=False)["input_ids"])
    else:
        before = encode(tokenizer, prompt, start=True)
    after = encode(tokenizer, completion)
    if not before:
        raise ModelError("the prompt is empty; the first token's log-prob needs at least one token before it.")
    if not after:
        raise ModelError("the completion is empty; it takes at least one token to score.")
    return _Text(before, after)


def _config(source: ModelSource) -> Any:
    from transformers import AutoConfig

    with reading(source.base.name):
        return AutoConfig.from_pretrained(source.base.folder, trust_remote_code=False, local_files_only=True)


def limit_of(config: Any) -> int | None:
    """The most tokens that the model reads; None where its positions have no end."""
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def _policy(source: ModelSource, device: str, dtype: str) -> Policy:
    return (_kept if source.base.bytes < _SMALL else load_source)(source, device=device, dtype=dtype)


@lru_cache(maxsize=2)
def _kept(source: ModelSource, *, device: str, dtype: str) -> Policy:
    return load_source(source, device=device, dtype=dtype)


def _score_all(policy: Policy, texts: dict[int, _Text]) -> Iterator[tuple[float, dict[int, ScoredText]]]:
    """(tokens of a batch that runs, nothing) some times, then (0, its scores); until all texts have had their turn.

    Longest first, so that memory that is not enough shows at once; texts of similar length together.
    """
    order = sorted(texts, key=lambda i: -len(texts[i]))
    budget = 0 if _reads_by_length(policy.model.config) else _BATCH.get(policy.device.type, 4096)
    at = 0
    while at < len(order):
        size = max(1, budget // len(texts[order[at]]))
        batch = order[at : at + size]
        tokens = sum(len(texts[i]) for i in batch)
        try:
            for step in _score(policy, [texts[i] for i in batch]):
                if isinstance(step, float):
                    yield step * tokens, {}
                else:
                    yield 0.0, dict(zip(batch, step, strict=True))
        except Exception as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                with out_of_memory(policy.name, str(policy.device)):
                    raise
            budget //= 2
            continue
        at += len(batch)


def _reads_by_length(config: Any) -> bool:
    """Whether positions are scaled by the longest text of a batch, so that one text would change another's scores."""
    said = str(getattr(config.get_text_config(), "rope_parameters", ""))
    return "longrope" in said or "dynamic" in said


def _score(policy: Policy, texts: Sequence[_Text], chunk: int | None = None) -> Iterator[float | list[ScoredText]]:
    """Shares of the work done, then the scores."""
    rows, first = [text.before + text.after for text in texts], [len(text.before) for text in texts]
    for step in steps(policy, rows, first, chunk=chunk):
        if isinstance(step, float):
            yield step
        else:
            yield [
                ScoredText(tuple(policy.texts(text.after)), tuple(text.after), tuple(values.tolist()))
                for text, values in zip(texts, step, strict=True)
            ]


def _too_long(name: str, tokens: int, limit: int) -> str:
    return f"prompt and completion are {tokens:,} tokens; {name} reads up to {limit:,}, so shorten the text."


def _other_tokens(name: str, old_name: str, new: Sequence[str], old: Sequence[str]) -> str:
    at = next((i for i, (a, b) in enumerate(zip(new, old, strict=False)) if a != b), min(len(new), len(old)))
    says = [repr(tokens[at][:40]) if at < len(tokens) else "nothing" for tokens in (new, old)]
    return (
        f"{name} splits the completion into {len(new)} tokens and {old_name} into {len(old)} (token {at + 1} is "
        f"{says[0]} and {says[1]}); a ratio takes two policies with the same tokenizer."
    )


def _where(name: str, old_name: str, device: str, dtype: str, chat: bool) -> str:
    text = f"Scored by {name} (π_θ) and {old_name} (π_old) on {device} in {dtype}"
    text += ", prompts in the models' chat templates." if chat else "."
    if dtype in ("bfloat16", "float16"):
        text += " That precision rounds the log-probs: equal models give equal numbers, small differences are noise."
    return text


def _left_out_note(left_out: dict[int, str]) -> list[str]:
    if not left_out:
        return []
    place, reason = next(iter(left_out.items()))
    return [f"Texts left out: {len(left_out):,}. The first is number {place + 1}: {reason}"]
