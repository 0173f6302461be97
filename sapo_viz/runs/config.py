"""RunConfig: everything that decides how a run goes. Frozen, complete, and the same in JSON.

Two runs with equal configs on the same machine give the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sapo_viz.core.objective import CATALOG, Objective, make_objective
from sapo_viz.errors import RunError
from sapo_viz.models.tasks import TASKS
from sapo_viz.runs.settings import Setting, setting, settings_of


@dataclass(frozen=True)
class RunConfig:
    """One training run.

    Args:
        objective: a name of the catalogue.
        knobs: the objective's knobs; those not given take their defaults, so that what is kept is complete.
        the rest: see `SETTINGS`, where each has its default, range and help.

    Raises:
        RunError: a setting that is unknown or outside its range.
        KnobError: an objective or a knob that there is not, or a knob outside its range.
    """

    objective: str = "sapo"
    knobs: Mapping[str, float] = field(default_factory=dict, hash=False)

    label: str = setting(
        "text", "", "Label", "run", "A name to recognise the run by; the objective and its knobs if empty.", lo=0, hi=80
    )
    task: str = setting(
        "choice", "addition", "Task", "task", "Where prompts and rewards come from.", choices=tuple(TASKS)
    )
    policy: str = setting(
        "text", "auto", "Starting policy", "task",
        "auto: the task's own warm start. Or a bundled policy, a folder in Hugging Face format, or a model id of "
        "the Hugging Face Hub.", lo=1, hi=500,
    )  # fmt: skip
    seed: int = setting(
        "int", 0, "Seed", "task",
        "Decides prompts, samples and mini-batches. Equal seeds give two objectives the same prompts.",
        lo=0, hi=2**31 - 1,
    )  # fmt: skip
    steps: int = setting(
        "int", 40, "Steps", "task", "Rollouts, each followed by its updates.", lo=1, hi=100_000, ui_lo=10, ui_hi=300
    )

    lr: float = setting(
        "float", 2e-4, "Learning rate", "update", "Step size of the optimiser.",
        lo=1e-8, hi=10.0, scale="log", ui_lo=1e-5, ui_hi=1.0, step=1e-5,
    )  # fmt: skip
    minibatches: int = setting(
        "int", 4, "Mini-batches", "update",
        "Updates made from one rollout. Only the first is on-policy: more of them move the ratios further from 1.",
        lo=1, hi=1024, ui_lo=1, ui_hi=16,
    )  # fmt: skip
    epochs: int = setting(
        "int", 1, "Epochs", "update", "How often each rollout is gone through.", lo=1, hi=64, ui_lo=1, ui_hi=8
    )
    advantage_norm: str = setting(
        "choice", "auto", "Advantage", "update",
        "std: (R − mean)/std of the group. mean: R − mean. none: the reward itself, without a baseline. auto: as the "
        "objective's paper has it, which is std for all but Dr. GRPO.",
        choices=("auto", "std", "mean", "none"),
    )  # fmt: skip
    optimizer: str = setting(
        "choice", "adamw", "Optimiser", "update",
        "adamw: AdamW with β₁ 0.9, β₂ 0.95. sgd: plain gradient steps, which hide no outlier.",
        choices=("adamw", "sgd"),
    )  # fmt: skip
    grad_clip: float = setting(
        "float", 1.0, "Gradient clipping", "update",
        "Norm to which larger gradients are scaled down; 0 switches it off.",
        lo=0.0, hi=1e6, ui_lo=0.0, ui_hi=10.0, step=0.1,
    )  # fmt: skip
    warmup: int = setting(
        "int", 8, "Warm-up", "update",
        "Updates over which the learning rate rises from 0, while the optimiser's averages settle.",
        lo=0, hi=100_000, ui_lo=0, ui_hi=100, advanced=True,
    )  # fmt: skip
    weight_decay: float = setting(
        "float", 0.0, "Weight decay", "update", "Decoupled pull of the weights towards 0.",
        lo=0.0, hi=10.0, ui_lo=0.0, ui_hi=0.1, step=0.001, advanced=True,
    )  # fmt: skip
    kl_coef: float = setting(
        "float", 0.0, "KL penalty", "update",
        "Weight of KL(π_θ ‖ π_start), the KL to the starting policy, in the loss; 0 leaves it out.",
        symbol="β", lo=0.0, hi=100.0, ui_lo=0.0, ui_hi=1.0, step=0.001,
    )  # fmt: skip
    kl_estimator: str = setting(
        "choice", "k3", "KL estimator", "update",
        "How that KL is estimated from the samples. k3, GRPO's, is unbiased and never negative, but its gradient is "
        "that of the other direction, KL(π_start ‖ π_θ). k2 is half the squared log-ratio: a biased value with the "
        "right gradient. k1 is the plain log-ratio: unbiased, and its gradient vanishes on average.",
        choices=("k1", "k2", "k3"), advanced=True,
    )  # fmt: skip

    prompts: int = setting("int", 16, "Prompts", "sampling", "Prompts in a rollout.", lo=1, hi=4096, ui_lo=2, ui_hi=64)
    completions: int = setting(
        "int", 16, "Completions", "sampling", "Completions of each prompt: the group that advantages compare.",
        symbol="G", lo=2, hi=1024, ui_lo=2, ui_hi=64,
    )  # fmt: skip
    temperature: float = setting(
        "float", 1.0, "Temperature", "sampling",
        "Divides the logits, when sampling and in all log-probs alike.",
        symbol="T", lo=0.05, hi=10.0, ui_lo=0.2, ui_hi=2.0, step=0.05, advanced=True,
    )  # fmt: skip
    staleness: int = setting(
        "int", 0, "Staleness", "sampling",
        "Rollouts by the policy as it was so many updates ago, as when sampling and training run side by side. "
        "It keeps a copy of the weights for each rollout in between.",
        symbol="k", lo=0, hi=1024, ui_lo=0, ui_hi=64,
    )  # fmt: skip
    sampler_noise: float = setting(
        "float", 0.0, "Sampler noise", "sampling",
        "A sampler that is not the trainer: normal noise of this spread on its logits, afresh for each token.",
        symbol="σ", lo=0.0, hi=10.0, ui_lo=0.0, ui_hi=2.0, step=0.05,
    )  # fmt: skip
    sampler_dtype: str = setting(
        "choice", "same", "Sampler precision", "sampling",
        "bfloat16: a rollout in low precision, another way for sampler and trainer to differ.",
        choices=("same", "bfloat16"), advanced=True,
    )  # fmt: skip
    old_logprobs: str = setting(
        "choice", "sampler", "Old log-probs", "sampling",
        "Whose log-probs the ratio is taken against: the sampler's (its weights, its noise, its precision), or "
        "recomputed by the trainer before the first update.",
        choices=("sampler", "recomputed"),
    )  # fmt: skip
    routing_replay: str = setting(
        "choice", "off", "Routing replay", "sampling",
        "For mixtures of experts: which experts the updates go through. off: those that the router chooses then. "
        "r2: those that the trainer chose before the first update (GRPO-R2, with any objective). r3: those that "
        "the sampler took.",
        choices=("off", "r2", "r3"),
    )  # fmt: skip

    snapshot_every: int = setting(
        "int", 10, "Keep tokens every", "run",
        "Steps between token snapshots; the first and the last step always have one. 0: only these two.",
        lo=0, hi=100_000, ui_lo=0, ui_hi=50, advanced=True,
    )  # fmt: skip
    checkpoint_every: int = setting(
        "int", 10, "Checkpoint every", "run", "Steps between checkpoints to resume from; 0: none.",
        lo=0, hi=100_000, ui_lo=0, ui_hi=50, advanced=True,
    )  # fmt: skip
    device: str = setting(
        "choice", "auto", "Device", "run", "auto takes a GPU (CUDA) where there is one.",
        choices=("auto", "cpu", "cuda"), advanced=True,
    )  # fmt: skip
    dtype: str = setting(
        "choice", "float32", "Precision", "run",
        "Of the matrix products; weights, log-probs and losses are float32 always, so that small updates are not lost.",
        choices=("float32", "bfloat16"), advanced=True,
    )  # fmt: skip
    threads: int = setting(
        "int", 1, "Threads", "run", "Processor threads of one run. One is fastest for the bundled policies.",
        lo=1, hi=256, ui_lo=1, ui_hi=8, advanced=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name, spec in SETTINGS.items():
            object.__setattr__(self, name, spec.check(getattr(self, name)))
        if not isinstance(self.knobs, Mapping):
            raise RunError(f"knobs is {self.knobs!r}; it takes names with numbers, such as {{'tau_neg': 1.05}}.")
        objective = make_objective(self.objective, dict(self.knobs))
        complete = {name: float(getattr(objective, name)) for name in objective.knobs()}
        object.__setattr__(self, "knobs", MappingProxyType(complete))
        if self.minibatches > self.prompts * self.completions:
            raise RunError(
                f"minibatches is {self.minibatches}; with {self.prompts} × {self.completions} completions it takes "
                f"whole numbers from 1 to {self.prompts * self.completions}."
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return RunConfig.from_dict, (self.to_dict(),)  # a mapping proxy can be neither copied nor pickled

    @property
    def title(self) -> str:
        """The label, or what distinguishes the run: objective, knobs that are not at their default, seed."""
        if self.label:
            return self.label
        specs = CATALOG[self.objective].knobs()
        knobs = [
            f"{specs[name].symbol} {value:g}" for name, value in self.knobs.items() if value != specs[name].default
        ]
        return ", ".join([CATALOG[self.objective].label, *knobs, f"seed {self.seed}"])

    def make_objective(self) -> Objective:
        return make_objective(self.objective, dict(self.knobs))

    def to_dict(self) -> dict[str, Any]:
        head = {"objective": self.objective, "knobs": dict(self.knobs)}
        return head | {name: getattr(self, name) for name in SETTINGS}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        known = ("objective", "knobs", *SETTINGS)
        for name in values:
            if name not in known:
                raise RunError(f"there is no setting {name!r}; a run has {', '.join(known)}.")
        if not isinstance(values.get("objective", ""), str):
            raise RunError(f"objective is {values['objective']!r}; it takes {' or '.join(CATALOG)}.")
        if values.get("old_logprobs") == "trainer":
            values = {**values, "old_logprobs": "recomputed"}  # what earlier runs' configs say
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        try:
            values = json.loads(text)
        except ValueError as error:
            raise RunError(f"the config is not JSON ({error}).") from None
        if not isinstance(values, dict):
            raise RunError(f"the config is a JSON {type(values).__name__}; it takes an object with the settings.")
        return cls.from_dict(values)


SETTINGS: dict[str, Setting] = settings_of(RunConfig)
