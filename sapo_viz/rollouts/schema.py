"""The rollout schema: the fields of a file, declared once, and the frozen values that a file becomes.

Readers, validation, the page's explanation and docs/rollout-files.md follow from `FIELDS`. A set of
sequences is kept flat (all tokens of all sequences in one array, `offsets` says where each begins), so
that a million tokens cost tens of megabytes and no Python object a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from sapo_viz.rollouts.vocabulary import Tokens

ROUNDING = 1e-3  # bf16 and top-p renormalisation leave log-probs a hair above 0: taken as 0, and reported


@dataclass(frozen=True)
class Limits:
    """How much of one file is taken. Memory is some 50 bytes per token, whatever the file's format."""

    bytes: int
    tokens: int  # a small compressed Parquet file can unpack to far more than its size


UPLOAD = Limits(200 * 1024**2, 10_000_000)  # the page's upload limit is the same
DISK = Limits(2 * 1024**3, 50_000_000)  # files opened by their path: the command line, the server's own folder
MAX_TOKENS = UPLOAD.tokens
MAX_SEQUENCES = 1_000_000  # each is a row of the tables, a Python object or two
MAX_DOCUMENT = 512 * 1024**2  # bytes of a JSON document: its text is held whole, at up to 4 bytes a character
MAX_LINE = 64 * 1024**2  # bytes of one JSONL line; as Python objects it takes up to 12 times as much
MAX_LENGTH = 2_000_000  # tokens of one sequence: sequence-level objectives see it whole, in some 20 tensors

FieldKind = Literal["texts", "numbers", "flags", "ids", "text", "number", "integer", "label"]


@dataclass(frozen=True)
class Field:
    """One field of a sequence: its name in JSON and Parquet, its column in CSV, what it holds."""

    name: str
    column: str | None  # None: CSV has no such column
    kind: FieldKind
    need: str
    text: str

    @property
    def per_token(self) -> bool:
        return self.kind in ("texts", "numbers", "flags", "ids")


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("tokens", "token", "texts", "required", "the tokens as text, in order, or else `token_ids`"),
        Field("logprobs", "logprob", "numbers", "required", "log π_θ, natural log: the policy being trained, now"),
        Field("old_logprobs", "old_logprob", "numbers", "required", "log π_old: the policy before its update"),
        Field("advantage", None, "number", "one of these three", "one number for the whole sequence"),
        Field("advantages", "advantage", "numbers", "one of these three", "one number per token"),
        Field("reward", "reward", "number", "one of these three", "with `group`: A = (R − mean) / std in the group"),
        Field("group", "group", "label", "with `reward`", "which prompt's completions belong together"),
        Field("mask", "mask", "flags", "optional", "1 on response tokens, 0 on those that get no gradient"),
        Field("token_ids", "token_id", "ids", "optional", "the tokenizer's numbers"),
        Field(
            "sampler_logprobs",
            "sampler_logprob",
            "numbers",
            "optional",
            "the sampler's, where they differ from old_logprobs",
        ),
        Field("ref_logprobs", "ref_logprob", "numbers", "optional", "log-probs under the start policy"),
        Field(
            "loss_gradients",
            "loss_gradient",
            "numbers",
            "optional",
            "∂loss/∂log π_θ, from the framework's own backward pass",
        ),
        Field("microbatch", None, "label", "optional", "which sequences the framework had in one loss"),
        Field("microbatch_loss", None, "number", "optional", "that loss, if all of its sequences are in the file"),
        Field("prompt", None, "text", "optional", "the prompt as text"),
        Field("id", "sequence", "label", "optional (required in CSV)", "a name for the sequence"),
        Field("step", "step", "integer", "optional", "the training step it comes from"),
    )
}


# Names that frameworks use for one of our fields; read as ours where ours is not there.
ALSO = {"rollout_logprobs": "sampler_logprobs", "rollout_log_probs": "sampler_logprobs"}
# Names that often hold a needed field, and in some framework another policy's or the prompt's too: asked, not read.
LIKELY = {
    "token_ids": ("completion_ids", "response_ids", "output_ids", "input_ids"),
    "logprobs": ("log_probs", "logprob", "new_logprobs", "per_token_logps"),
    "old_logprobs": ("old_log_probs", "old_logprob", "old_per_token_logps", "prev_logprobs", "generation_logprobs"),
}
# What a recorder of real runs writes beside the fields: not read, and no surprise. Its ids say the same.
ASIDE = ("minibatch", "rank")


@dataclass(frozen=True)
class Sequence:
    """One completion. Arrays are [T] and read-only; log-probs may be NaN where the mask is False."""

    id: str
    tokens: Tokens
    logprobs: np.ndarray
    old_logprobs: np.ndarray
    advantages: np.ndarray
    mask: np.ndarray
    token_ids: np.ndarray | None
    sampler_logprobs: np.ndarray | None
    ref_logprobs: np.ndarray | None
    loss_gradients: np.ndarray | None
    microbatch: str | None
    microbatch_loss: float | None
    prompt: str | None
    reward: float | None
    group: str | None
    step: int | None

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class Rollouts:
    """N sequences with M tokens in all. What a reader returns and an analysis takes."""

    name: str  # of the file, for messages and downloads
    offsets: np.ndarray  # [N+1] int64: sequence i has the tokens offsets[i]:offsets[i+1]
    tokens: Tokens  # [M]: a compact sequence of str
    logprobs: np.ndarray  # [M] float64: in float32 a log-prob of −20 is off by 1e-6, as large as an on-policy z
    old_logprobs: np.ndarray  # [M] float64
    advantages: np.ndarray  # [M] float64
    mask: np.ndarray  # [M] bool
    ids: tuple[str, ...]  # [N]
    prompts: tuple[str | None, ...]
    rewards: tuple[float | None, ...]
    groups: tuple[str | None, ...]
    steps: tuple[int | None, ...]
    token_ids: np.ndarray | None = None  # [M] int64; −1 in sequences without
    sampler_logprobs: np.ndarray | None = None  # [M] float64; NaN in sequences without: their old_logprobs are it
    ref_logprobs: np.ndarray | None = None  # [M] float64; NaN in sequences without
    loss_gradients: np.ndarray | None = None  # [M] float64; NaN in sequences without
    microbatches: tuple[str | None, ...] = ()  # [N], or empty: the file has none
    losses: tuple[float | None, ...] = ()  # [N], or empty
    notes: tuple[str, ...] = ()  # what was taken otherwise than written, one sentence each
    same_weights: bool = False  # both log-probs are known to be of the same weights: sampler and trainer, no update

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sequence:
        index = range(len(self))[index]
        part = slice(int(self.offsets[index]), int(self.offsets[index + 1]))

        def cut(values: Any) -> Any:
            return None if values is None else values[part]

        def missing(values: Any, filler: float) -> bool:
            return values is None or np.array_equal(values[part], np.full(part.stop - part.start, filler), True)

        return Sequence(
            id=self.ids[index],
            tokens=self.tokens.cut(part),
            logprobs=self.logprobs[part],
            old_logprobs=self.old_logprobs[part],
            advantages=self.advantages[part],
            mask=self.mask[part],
            token_ids=None if missing(self.token_ids, -1) else cut(self.token_ids),
            sampler_logprobs=None if missing(self.sampler_logprobs, np.nan) else cut(self.sampler_logprobs),
            ref_logprobs=None if missing(self.ref_logprobs, np.nan) else cut(self.ref_logprobs),
            loss_gradients=None if missing(self.loss_gradients, np.nan) else cut(self.loss_gradients),
            microbatch=self.microbatches[index] if self.microbatches else None,
            microbatch_loss=self.losses[index] if self.losses else None,
            prompt=self.prompts[index],
            reward=self.rewards[index],
            group=self.groups[index],
            step=self.steps[index],
        )

    @cached_property
    def lengths(self) -> np.ndarray:
        """[N] tokens per sequence, masked ones included."""
        return np.diff(self.offsets)

    @cached_property
    def log_ratio(self) -> np.ndarray:
        """[M] z = log π_θ − log π_old; 0 where the mask is False."""
        return np.where(self.mask, self.logprobs, 0.0) - np.where(self.mask, self.old_logprobs, 0.0)

    def select(self, index: int) -> Rollouts:
        """The same with one sequence only; its advantage stays that of the whole file."""
        part = slice(int(self.offsets[index]), int(self.offsets[index + 1]))
        one = slice(index, index + 1)
        return Rollouts(
            name=self.name,
            offsets=np.array([0, part.stop - part.start]),
            tokens=self.tokens.cut(part),
            logprobs=self.logprobs[part],
            old_logprobs=self.old_logprobs[part],
            advantages=self.advantages[part],
            mask=self.mask[part],
            ids=self.ids[one],
            prompts=self.prompts[one],
            rewards=self.rewards[one],
            groups=self.groups[one],
            steps=self.steps[one],
            token_ids=None if self.token_ids is None else self.token_ids[part],
            sampler_logprobs=None if self.sampler_logprobs is None else self.sampler_logprobs[part],
            ref_logprobs=None if self.ref_logprobs is None else self.ref_logprobs[part],
            loss_gradients=None if self.loss_gradients is None else self.loss_gradients[part],
            microbatches=self.microbatches[one],
            losses=self.losses[one],
            same_weights=self.same_weights,
        )
