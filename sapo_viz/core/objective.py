"""What a policy objective is: ratio level × surrogate(z, A) × aggregation.

z = log π_θ − log π_old is the log-ratio, A the group-relative advantage. An objective states its
surrogate J, which is maximised; its gradient, its gate weight, its picture and the browser's copy of
it are all taken from that one function. To add an objective, write one class and `@register` it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, get_args

from sapo_viz.core.knobs import Knob, knobs_of
from sapo_viz.core.lazy import torch
from sapo_viz.errors import KnobError

if TYPE_CHECKING:
    from torch import Tensor

RatioLevel = Literal["token", "sequence", "sequence-product"]
# What a chooser groups by: how a token is held back.
Family = Literal["soft gate", "hard clip", "sequence level", "stopped ratio", "whole batch", "no gate", "other"]
Aggregation = Literal["seq-mean-token-mean", "token-mean", "seq-mean-token-sum", "seq-mean-token-sum-norm"]
AGGREGATIONS: tuple[Aggregation, ...] = get_args(Aggregation)

# exp(20) = 4.9e8. Beyond it exp overflows in float32 (at 88) and a sigmoid gate's gradient becomes
# 0·inf = NaN. verl clamps at the same place. A ratio outside is held at the bound and gets no gradient.
LOG_RATIO_LIMIT = 20.0


@dataclass(frozen=True)
class Objective:
    """Base of all objectives: a frozen set of knobs plus the surrogate.

    Args:
        the knobs of the subclass, each a number within the range that it declares.

    Raises:
        KnobError: a knob is not a number or outside its range.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    family: ClassVar[Family] = "other"
    paper: ClassVar[str]  # arXiv id
    formula: ClassVar[str]  # LaTeX of the surrogate J
    idea: ClassVar[str]  # one sentence: what it does to a token
    ratio_level: ClassVar[RatioLevel] = "token"
    aggregation: ClassVar[Aggregation] = "seq-mean-token-mean"  # the paper's; a batch may be given another
    normalize_advantage_std: ClassVar[bool] = True
    reads_logprobs: ClassVar[bool] = False  # J depends on log π_θ itself, not on the ratio alone
    pulls_without_advantage: ClassVar[bool] = False  # J moves tokens with A = 0 too
    reads_batch: ClassVar[bool] = False  # other tokens matter: `among`, `surrogate_among` instead of `surrogate`
    within_sequence: ClassVar[bool] = False  # … and only those of its own sequence
    alone: ClassVar[float] = 0.0  # what `among` is for a token by itself
    frameworks: ClassVar[dict[str, str]] = {}  # framework -> how it is chosen there; not inherited
    notes: ClassVar[tuple[str, ...]] = ()  # where implementations of the same name differ; not inherited

    def __post_init__(self) -> None:
        for name, spec in self.knobs().items():
            object.__setattr__(self, name, spec.check(self.label, getattr(self, name)))

    @classmethod
    def knobs(cls) -> dict[str, Knob]:
        return knobs_of(cls)

    @classmethod
    def from_knobs(cls, values: dict[str, Any]) -> Objective:
        """Like the constructor, but an unknown knob is named together with the ones there are."""
        known = cls.knobs()
        for name in values:
            if name not in known:
                has = ", ".join(known) or "no knobs"
                raise KnobError(f"{cls.label}: there is no knob {name!r}; it has {has}.")
        return cls(**values)

    @classmethod
    def with_tensors(cls, values: dict[str, Tensor]) -> Objective:
        """An objective whose knobs are tensors, unchecked: what tracing the formula needs."""
        self = object.__new__(cls)
        for name, value in values.items():
            object.__setattr__(self, name, value)
        return self

    @classmethod
    def reads_other_sequences(cls) -> bool:
        """Whether other sequences of the mini-batch matter. A file does not tell which they were."""
        return cls.reads_batch and not cls.within_sequence

    def token_log_ratio(self, log_ratio: Tensor, advantages: Tensor) -> Tensor:
        """What is done to each token's z before it is averaged (sequence levels). [B, T] -> [B, T]"""
        return log_ratio

    def surrogate(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
        """J for each token, to be maximised. [B, T] -> [B, T]

        Args:
            log_ratio: [B, T], z at this objective's ratio level, clamped to ±20.
            advantages: [B, T], A of the token's sequence.
            logprobs: [B, T], log π_θ; only objectives with a stopped ratio look at it.
            old_logprobs: [B, T], log π_old; only objectives that measure how far a probability moved do.

        Returns:
            [B, T]
        """
        if self.reads_batch:
            among = torch.zeros_like(log_ratio) + self.alone
            return self.surrogate_among(log_ratio, advantages, logprobs, old_logprobs, among)
        raise NotImplementedError

    def among(self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, mask: Tensor) -> Tensor:
        """What the batch decides about each token, a number without gradient; if `reads_batch`. [B, T] -> [B, T]"""
        raise NotImplementedError

    def surrogate_among(
        self, log_ratio: Tensor, advantages: Tensor, logprobs: Tensor, old_logprobs: Tensor, among: Tensor
    ) -> Tensor:
        """J for each token, given what the batch decided about it; only if `reads_batch`. [B, T] -> [B, T]"""
        raise NotImplementedError


CATALOG: dict[str, type[Objective]] = {}

C = TypeVar("C", bound=type[Objective])


def register(cls: C) -> C:
    """Class decorator: put an objective into the catalogue, and so onto every page."""
    if cls.name in CATALOG:
        raise KnobError(f"objective {cls.name!r} is in the catalogue already; choose another name.")
    CATALOG[cls.name] = cls
    return cls


def by_sign(advantages: Tensor, positive: Any, negative: Any) -> Tensor:
    """`positive` where A > 0, `negative` elsewhere, in the dtype of A. [B, T] -> [B, T]

    `torch.where(A > 0, 1.0, 1.05)` would fall to float32 and lose eight digits.
    """
    zero = torch.zeros_like(advantages)
    return torch.where(advantages > 0, zero + positive, zero + negative)


def make_objective(name: str, knobs: dict[str, Any] | None = None) -> Objective:
    """An objective by its catalogue name, with an error that lists the names there are."""
    if name not in CATALOG:
        raise KnobError(f"there is no objective {name!r}; the catalogue has {', '.join(CATALOG)}.")
    return CATALOG[name].from_knobs(knobs or {})
