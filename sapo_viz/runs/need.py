"""How much memory a run will need, before it starts: from the model's shape and the settings alone.

A sum of what is there at the same time, in bytes. The two moments that can be the largest are sampling (the cache of
keys and values, logits of one token each) and an update (gradients, one micro-batch's activations and logits).
Activations are counted as the library's layers keep them for the gradient; the factors below are counted from a
layer's parts, and tests/runs/test_need.py holds the sum to measured peaks of one model of 4 million parameters.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

from sapo_viz.models.shape import ModelShape
from sapo_viz.runs.config import RunConfig

RUNTIME = 480e6  # Python, PyTorch and transformers on a processor
_LOGITS = 2**25  # numbers at once: models/logprobs.LOGITS
_KEPT_HIDDEN, _KEPT_INNER = 9.0, 4.0  # of a layer and token: so many times hidden, and times intermediate


@dataclass(frozen=True)
class Need:
    """Bytes by what they are for; those of `sampling` and of `update` are not there at once."""

    runtime: float
    weights: float  # the policy's, and a copy of the start where all of it is trained
    optimizer: float
    gradients: float
    activations: float
    logits: float
    cache: float

    @property
    def total(self) -> float:
        update = self.gradients + self.activations + self.logits
        return self.runtime + self.weights + self.optimizer + max(update, self.gradients + self.cache)


def need_of(shape: ModelShape, config: RunConfig, prompt: int, completion: int) -> Need:
    """What the run needs.

    Args:
        prompt, completion: tokens of the longest ones.
    """
    low = config.dtype == "bfloat16"
    lora = config.lora_rank > 0
    trained = shape.adapter(config.lora_rank, config.lora_targets) if lora else shape.parameters
    frozen = shape.parameters * (2.0 if low else 4.0) if lora else 0.0
    copies = 2 + (-(-config.staleness // (config.minibatches * config.epochs)) + 1 if config.staleness else 0)
    weights = frozen + copies * trained * 4.0 + (shape.parameters * 2.0 if low and not lora else 0.0)
    states = {"adamw": 2, "sgd": 0}[config.optimizer]
    rows = config.prompts * config.completions
    at_once = config.micro_batch or -(-rows // config.minibatches)
    length = prompt + completion
    width = 2.0 if low else 4.0
    attention = (shape.heads + 2 * shape.key_heads) * shape.head_dim * 2
    layer = (_KEPT_HIDDEN * shape.hidden + attention + _KEPT_INNER * shape.intermediate) * width
    if config.recompute == "on":
        activations = at_once * length * (shape.layers * shape.hidden * 4.0 + layer)
    else:
        activations = at_once * length * shape.layers * layer
    numbers = min(at_once * completion * shape.vocabulary, _LOGITS)
    keys = 2 * shape.layers * shape.key_heads * shape.head_dim * width
    return Need(
        runtime=RUNTIME,
        weights=weights,
        optimizer=states * trained * 4.0,
        gradients=trained * 4.0,
        activations=activations,
        logits=3 * 4.0 * numbers,
        cache=rows * (length * keys + 28.0 * shape.vocabulary),
    )


def lengths_of(config: RunConfig, longest: int) -> tuple[int, int]:
    """Tokens of the longest prompt and of a completion, before there is a tokenizer: three characters a token, and
    thirty tokens of a chat template."""
    return longest // 3 + 30, config.max_tokens or 64


def smallest_change(
    shape: ModelShape, config: RunConfig, prompt: int, completion: int, room: float
) -> RunConfig | None:
    """The settings with as few changes as would fit into `room` bytes, the milder ones first: smaller micro-batches,
    layers computed again, bfloat16, an adapter, fewer completions. None if none does, or none is needed."""
    if need_of(shape, config, prompt, completion).total <= room:
        return None
    at_once = config.micro_batch or -(-config.prompts * config.completions // config.minibatches)
    options: dict[str, list[Any]] = {
        "micro_batch": [size for size in (32, 16, 8, 4, 2, 1) if size < at_once],
        "recompute": ["on"] if config.recompute == "off" else [],
        "dtype": ["bfloat16"] if config.dtype == "float32" else [],
        "lora_rank": [] if config.lora_rank else [16],
        "completions": [size for size in (8, 4, 2) if size < config.completions],
    }
    for count in range(1, len(options) + 1):
        for names in itertools.combinations(options, count):
            for values in itertools.product(*(options[name] for name in names)):
                change = dict(zip(names, values, strict=True))
                rows = config.prompts * change.get("completions", config.completions)
                tried = replace(config, **change, minibatches=min(config.minibatches, rows))
                if need_of(shape, tried, prompt, completion).total <= room:
                    return tried
    return None


def changed(before: RunConfig, after: RunConfig) -> str:
    """What differs, as one would set it: `micro_batch 8, recompute on`."""
    names = ("micro_batch", "recompute", "dtype", "lora_rank", "completions")
    return ", ".join(
        f"{name} {getattr(after, name)}" for name in names if getattr(after, name) != getattr(before, name)
    )


def memory_sentence(
    shape: ModelShape, config: RunConfig, longest: int, room: float | None, at_once: int = 1
) -> tuple[str, bool]:
    """What `at_once` such runs will need, against what is free, and what to change where that is too little; and
    whether it is enough, as far as is known.
    """
    prompt, completion = lengths_of(config, longest)
    need = need_of(shape, config, prompt, completion)
    parts = {
        "weights": need.weights,
        "optimiser and gradients": need.optimizer + need.gradients,
        "activations and logits": need.activations + need.logits,
        "sampling's cache": need.cache,
    }
    told = ", ".join(f"{name} {size_text(part)}" for name, part in parts.items())
    text = f"About {size_text(need.total)} of memory at its peak ({told})"
    if at_once > 1:
        text = f"{text}, and {size_text(at_once * need.total)} for {at_once} runs at a time"
    if room is None:
        return f"{text}.", True
    text += f"; {size_text(room)} are free."
    if at_once * need.total <= room:
        return text, True
    text += " It will not fit" if at_once == 1 else " They will not fit together"
    fitting = smallest_change(shape, config, prompt, completion, room / at_once)
    if fitting is not None:
        after = need_of(shape, fitting, prompt, completion).total
        return f"{text}; with {changed(config, fitting)} each takes about {size_text(after)}.", False
    remedy = "take a smaller model or shorter texts" if need.total > room else "start them one after the other"
    return f"{text}: {remedy}.", False


def size_text(count: float) -> str:
    """Bytes in powers of ten, as disks are sold."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
