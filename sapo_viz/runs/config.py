"""RunConfig: everything that decides how a run goes. Frozen, complete, and the same in JSON.

Two runs with equal configs on the same machine give the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sapo_viz.core.correction import CHOICES, HIGH, LOW, OFF
from sapo_viz.core.objective import AGGREGATIONS, CATALOG, Objective, make_objective
from sapo_viz.errors import RunError
from sapo_viz.models.tasks import TASK_NAMES, TASKS, TEXT_TASKS
from sapo_viz.runs.engines import refuse_for_trl
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
        "choice", "addition", "Task", "task",
        "Where prompts and rewards come from. addition, chain, synonyms: sums, for tiny policies. grid: pictures, for "
        "a tiny Qwen3-VL. mood, questions: for a language model.", choices=TASK_NAMES,
    )  # fmt: skip
    policy: str = setting(
        "text", "auto", "Starting policy", "task",
        "auto: the task's own warm start. Or a bundled policy, run:<id> for what a run has trained, a folder in "
        "Hugging Face format, or a model id from the Hugging Face Hub.", lo=1, hi=500,
    )  # fmt: skip
    seed: int = setting(
        "int", 0, "Seed", "task",
        "Determines prompts, samples and mini-batches. With equal seeds, two objectives get the same prompts.",
        lo=0, hi=2**31 - 1,
    )  # fmt: skip
    steps: int = setting(
        "int", 40, "Steps", "task", "Rollouts, each followed by its updates.", lo=1, hi=100_000, ui_lo=10, ui_hi=300
    )

    data: str = setting(
        "text", "", "Question file", "data",
        "For the task questions: JSONL, CSV or Parquet with one question and its answer per row. On a page it "
        "is uploaded, or lies below SAPO_VIZ_DATA_DIR. Or reasoning-gym:chain_sum,leg_counting*200: generators of that "
        "package, and how many questions of each.", lo=0, hi=500,
    )  # fmt: skip
    question_column: str = setting(
        "text", "", "Question column", "data",
        "Empty: the first of question, prompt, problem, instruction, query, input, text that is there.", lo=0, hi=100,
    )  # fmt: skip
    answer_column: str = setting(
        "text", "", "Answer column", "data",
        "Empty: the first of answer, solution, target, label, ground_truth, output, response, completion.",
        lo=0, hi=100,
    )  # fmt: skip
    template: str = setting(
        "text", "", "Prompt template", "data",
        "What is asked, with {question} and any column's name in braces, \\n for a new line; {choices} lists a column "
        "choices as A) … B) …. Empty: the question itself.", lo=0, hi=2000,
    )  # fmt: skip
    system: str = setting(
        "text", "", "System message", "data", "Stands before each question in the chat template.", lo=0, hi=2000,
    )  # fmt: skip
    chat: str = setting(
        "choice", "auto", "Chat template", "data",
        "Whether a question goes into the model's own chat template. auto: where its tokenizer has one.",
        choices=("auto", "on", "off"),
    )  # fmt: skip
    reward: str = setting(
        "text", "", "Reward", "data",
        "A sum of exact, numeric, regex(…), choice, math, gym, length(least, most), format(…), mood, each with a "
        "weight if wanted: numeric + 0.2*length(1, 30). Or a Python file of the owner's with def reward(prompt, "
        "completion, row). Empty: exact; for the task mood, mood; for reasoning-gym's questions, gym.", lo=0, hi=500,
    )  # fmt: skip
    max_tokens: int = setting(
        "int", 0, "Tokens, at most", "data",
        "Where a completion is cut off. 0: the task's own limit; 64 for your own questions, 24 for mood.",
        lo=0, hi=8192, ui_lo=0, ui_hi=512,
    )  # fmt: skip

    validate_every: int = setting(
        "int", 10, "Validate every", "validation",
        "Steps between evaluations of the held-out prompts; one more at the end. 0: none, and nothing is held out.",
        lo=0, hi=100_000, ui_lo=0, ui_hi=50, advanced=True,
    )  # fmt: skip
    held_out: int = setting(
        "int", 64, "Held-out prompts", "validation",
        "Never trained on; at most a fifth of all questions.", lo=1, hi=4096, ui_lo=8, ui_hi=512, advanced=True,
    )  # fmt: skip
    pass_at: int = setting(
        "int", 0, "pass@k", "validation",
        "Samples of each held-out prompt, besides the likeliest answer, for the share of prompts with at least one "
        "right. 0: none.", symbol="k", lo=0, hi=256, ui_lo=0, ui_hi=16, advanced=True,
    )  # fmt: skip
    split_seed: int = setting(
        "int", 0, "Split seed", "validation",
        "Decides which questions of a file are held out, whatever the run's seed.",
        lo=0, hi=2**31 - 1, advanced=True,
    )  # fmt: skip

    lora_rank: int = setting(
        "int", 0, "LoRA rank", "model",
        "Train low-rank layers of this rank beside the policy's own, which stay as they are: less memory, and files of "
        "a few MB. 0: train all weights.", symbol="r", lo=0, hi=1024, ui_lo=0, ui_hi=128,
    )  # fmt: skip
    lora_alpha: float = setting(
        "float", 32.0, "LoRA alpha", "model", "The output of these layers is scaled by α/r.",
        symbol="α", lo=0.01, hi=10_000.0, ui_lo=1.0, ui_hi=128.0, advanced=True,
    )  # fmt: skip
    lora_targets: str = setting(
        "choice", "all-linear", "LoRA layers", "model",
        "Which layers they are added to: all-linear is every matrix but the head's, attention those of q, k, v and o.",
        choices=("all-linear", "attention"), advanced=True,
    )  # fmt: skip
    micro_batch: int = setting(
        "int", 0, "Micro-batch", "model",
        "How many sequences have their activations in memory at once. Every objective comes out the same; it takes a "
        "third more arithmetic. 0: the whole mini-batch.", lo=0, hi=65_536, ui_lo=0, ui_hi=64,
    )  # fmt: skip
    recompute: str = setting(
        "choice", "off", "Recompute layers", "model",
        "Gradient checkpointing. on: a layer keeps only its input and is computed again for the gradient: a third more "
        "arithmetic, a fraction of the memory.", choices=("off", "on"), advanced=True,
    )  # fmt: skip

    lr: float = setting(
        "float", 2e-4, "Learning rate", "update", "Step size of the optimiser.",
        lo=1e-8, hi=10.0, scale="log", ui_lo=1e-5, ui_hi=1.0, step=1e-5,
    )  # fmt: skip
    minibatches: int = setting(
        "int", 4, "Mini-batches", "update",
        "Updates per rollout. Only the first is on-policy: each further one moves the ratios away from 1.",
        lo=1, hi=1024, ui_lo=1, ui_hi=16,
    )  # fmt: skip
    epochs: int = setting(
        "int", 1, "Epochs", "update", "How many passes are made over each rollout.", lo=1, hi=64, ui_lo=1, ui_hi=8
    )
    advantage_norm: str = setting(
        "choice", "auto", "Advantage", "update",
        "std: (R − mean)/std of the group. mean: R − mean. none: the reward itself, without a baseline. auto: as the "
        "objective's paper has it, which is std for all but Dr. GRPO.",
        choices=("auto", "std", "mean", "none"),
    )  # fmt: skip
    aggregation: str = setting(
        "choice", "auto", "Aggregation", "update",
        "How the tokens of a mini-batch become one loss, under verl's names. seq-mean-token-mean: each sequence counts "
        "the same. token-mean: each token does, so long sequences count more. seq-mean-token-sum: the mean over "
        "sequences of sums, so steps grow with their length. seq-mean-token-sum-norm: the same divided by the longest "
        "completion that may be sampled. auto: as the objective's paper has it.",
        choices=("auto", *AGGREGATIONS), advanced=True,
    )  # fmt: skip
    optimizer: str = setting(
        "choice", "adamw", "Optimiser", "update",
        "adamw: AdamW with β₁ 0.9, β₂ 0.95. sgd: plain gradient steps, which hide no outlier.",
        choices=("adamw", "sgd"),
    )  # fmt: skip
    grad_clip: float = setting(
        "float", 1.0, "Gradient clipping", "update",
        "Larger gradients are scaled down to this norm; 0 turns clipping off.",
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
        "Rollouts come from the policy as it was this many updates ago, as when sampling and training run side by "
        "side. It keeps a copy of the weights for each rollout in between.",
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
    correction: str = setting(
        "choice", "off", "Sampler correction", "sampling",
        "Weighs tokens by π_old/π_sampler, of each token or of the whole sequence: held within the bounds (truncate), "
        "or 0 outside them (mask). For old log-probs that are recomputed.", symbol="ρ",
        choices=(OFF, *(name for name, (level, _) in CHOICES.items() if level != "sequence-mean")), advanced=True,
    )  # fmt: skip
    correction_low: float = setting(
        "float", LOW.default, "Correction, lower bound", "sampling", "Of ρ.",
        lo=LOW.lo, hi=LOW.hi, step=0.05, advanced=True,
    )  # fmt: skip
    correction_high: float = setting(
        "float", HIGH.default, "Correction, upper bound", "sampling", "Of ρ.",
        lo=HIGH.lo, hi=HIGH.hi, ui_hi=HIGH.ui_hi, step=0.5, advanced=True,
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
    engine: str = setting(
        "choice", "auto", "Engine", "run",
        "loop: SAPO Viz's own, one process, every setting. trl: TRL's GRPOTrainer with the objective's loss, for "
        "several GPUs and machines; slower on small policies. auto: loop, and trl where accelerate has started several "
        "processes.", choices=("auto", "loop", "trl"), advanced=True,
    )  # fmt: skip
    device: str = setting(
        "choice", "auto", "Device", "run", "auto takes a GPU (CUDA) where there is one.",
        choices=("auto", "cpu", "cuda"), advanced=True,
    )  # fmt: skip
    dtype: str = setting(
        "choice", "float32", "Precision", "run",
        "Precision of the matrix products; weights, log-probs and losses are always float32, so that small updates "
        "are not lost.",
        choices=("float32", "bfloat16"), advanced=True,
    )  # fmt: skip
    threads: int = setting(
        "int", 1, "Threads", "run", "Processor threads per run. One is fastest for the bundled policies.",
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
        for name in _unused(self.task):
            if getattr(self, name) != SETTINGS[name].default:
                fitting = "questions" if name == "data" else " or ".join(TEXT_TASKS)
                raise RunError(
                    f"{name} is {getattr(self, name)!r}, and the task {self.task} makes no use of it; leave it out, or "
                    f"take the task {fitting}."
                )
        _check_correction(self)
        if self.minibatches > self.prompts * self.completions:
            raise RunError(
                f"minibatches is {self.minibatches}; with {self.prompts} × {self.completions} completions it takes "
                f"whole numbers from 1 to {self.prompts * self.completions}."
            )

        if self.engine == "trl":
            refuse_for_trl(self)

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
        except (ValueError, RecursionError) as error:
            raise RunError(f"the config is not JSON ({error}).") from None
        if not isinstance(values, dict):
            raise RunError(f"the config is a JSON {type(values).__name__}; it takes an object with the settings.")
        return cls.from_dict(values)


SETTINGS: dict[str, Setting] = settings_of(RunConfig)


def _check_correction(config: RunConfig) -> None:
    if config.correction == "off":
        for name in ("correction_low", "correction_high"):
            if getattr(config, name) != SETTINGS[name].default:
                raise RunError(
                    f"{name} is {getattr(config, name):g}, and correction is off; choose one, or leave it out."
                )
    elif config.old_logprobs == "sampler":
        raise RunError(
            f"correction is {config.correction!r}, and old_logprobs is 'sampler', so that π_old is the sampler and "
            "nothing is left to correct; take old_logprobs recomputed, or correction off."
        )


def _unused(task: str) -> tuple[str, ...]:
    """The settings of questions that a task would pass over."""
    if task in TASKS:
        return "data", "question_column", "answer_column", "template", "system", "chat", "reward"
    return ("data",) if task == "mood" else ()
