"""The reference: what every objective, knob and metric is, and what others call it; written from the catalogue.

The page and docs/reference.md show the same rows. Nothing here is about one objective alone: that is
on its class. Texts are Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sapo_viz.core.metrics import Metric
from sapo_viz.core.objective import Objective

FRAMEWORKS = ("TRL", "verl", "ms-swift", "torchforge", "SkyRL", "AReaL", "Liger", "prime-rl")
# What `scripts/check_names.py` looked the names up in.
VERSIONS = {
    "TRL": "1.16.0", "verl": "0.9.1", "ms-swift": "4.6.0", "torchforge": "1ad7e7c", "SkyRL": "0.3.0", "AReaL": "1.0.4",
    "Liger": "0.8.5", "prime-rl": "559b447",
}  # fmt: skip
NONE = "–"  # not there, or not known

LEVELS = {
    "token": "each token by its own ratio r",
    "sequence": "all tokens of a sequence by s = exp(mean log r)",
    "sequence-product": "all tokens of a sequence by the product of their ratios",
}
AGGREGATIONS = {
    "seq-mean-token-mean": "mean over sequences of each one's token mean",
    "token-mean": "mean over all tokens of the batch",
    "seq-mean-token-sum": "mean over sequences of token sums",
    "seq-mean-token-sum-norm": "mean over sequences of token sums, divided by the generation budget T_max",
}

# What holds for many objectives. The last was measured on the golden file of the tests, the others were read in
# the frameworks' own sources.
NOTES = (
    "**Where the names go.** TRL: fields of GRPOConfig. verl: `loss_mode` under `actor_rollout_ref.actor.policy_loss`, "
    "`norm_adv_by_std_in_grpo` under `algorithm`, the rest under `actor_rollout_ref.actor`. ms-swift: options of "
    "`swift rlhf --rlhf_type grpo`. torchforge: classes of `forge.rl.loss`. SkyRL: `trainer.algorithm`. AReaL: "
    "`actor`. Liger: arguments of its loss. prime-rl: the trainer's TOML file.",
    f"**Checked.** Each name was looked up in {', '.join(f'{name} {version}' for name, version in VERSIONS.items())}; "
    "torchforge's is the commit of its main branch of 30 January 2026.",
    "**Sequences without a response token.** TRL, ms-swift and torchforge count them in a mean over sequences; "
    "verl (except its geo_mean) and SAPO Viz do not.",
    "**Bounds on log r.** SAPO Viz, torchforge and most of verl's losses hold it within ±20, where exp overflows "
    "in float32; verl's GSPO is held below 10 only, its geo_mean not at all; TRL and ms-swift do not bound it "
    "(TRL's VESPO does).",
    "**A sequence ratio in a token's gate.** In TRL and ms-swift `importance_sampling_level=sequence` puts s in "
    "place of r into whichever loss is chosen, SAPO's gate and CISPO's cap included. Only the pairs with a paper "
    "are in this catalogue.",
    "**Aggregation.** The names are verl's, whose `loss_agg_mode` takes them (and `token-sum`); here they are taken by "
    "`policy_loss(…, aggregation=…)`, by the setting `aggregation` of a run, and by the code to take home. TRL and "
    "ms-swift tie it to `loss_type`: grpo and sapo are seq-mean-token-mean, bnpo and dapo token-mean (bnpo over the "
    "local batch, as here; dapo over all processes), dr_grpo seq-mean-token-sum-norm, luspo seq-mean-token-sum. "
    "torchforge has `agg_type`.",
    "**Whose tokens a mean counts.** TRL and ms-swift divide a mean over all tokens by those of all processes, verl "
    "by the global batch's; here it is the batch that is passed in.",
    "**Agreement.** Losses and gradients here are TRL 1.16's to 1e-13 and verl 0.9.1's to 1e-8: verl adds 1e-8 to each "
    "sequence's length.",
)


def name_in(framework: str, names: Mapping[str, str]) -> str:
    """What a framework calls it, as code; NONE if it has none that is known. Text with code in it stays as it is."""
    name = names.get(framework)
    return NONE if name is None else name if "`" in name else f"`{name}`"


def frameworks_of(cls: type[Objective]) -> Mapping[str, str]:
    """Where an objective is available. A subclass does not have its parent's: it is another objective."""
    return cls.frameworks if "frameworks" in vars(cls) else {}


def notes_of(cls: type[Objective]) -> tuple[str, ...]:
    return cls.notes if "notes" in vars(cls) else ()


def about(cls: type[Objective]) -> str:
    """Ratio level and aggregation, in words."""
    return (
        f"Ratio level: `{cls.ratio_level}`, {LEVELS[cls.ratio_level]}. "
        f"Aggregation, unless told otherwise: `{cls.aggregation}`, {AGGREGATIONS[cls.aggregation]}."
    )


def overview(catalog: Mapping[str, type[Objective]]) -> str:
    """A Markdown table, one row per objective."""
    lines = ["| Objective | What it does | Ratio level · aggregation | arXiv |", "| --- | --- | --- | --- |"]
    for cls in catalog.values():
        paper = f"[{cls.paper}](https://arxiv.org/abs/{cls.paper})"
        how = f"{cls.ratio_level} · {cls.aggregation}"
        lines.append(f"| [{cls.label}](#{anchor(cls)}) | {cls.idea} | {how} | {paper} |")
    return "\n".join(lines)


def anchor(cls: type[Objective]) -> str:
    """Where a heading of its label can be reached, as code hosts make it: `Dr. GRPO` is at #dr-grpo."""
    return re.sub(r"[^\w -]", "", cls.label.lower()).replace(" ", "-")


def paper_link(cls: type[Objective]) -> str:
    return f"[arXiv {cls.paper}](https://arxiv.org/abs/{cls.paper})"


def knob_lines(cls: type[Objective]) -> list[str]:
    """A line per knob: symbol, name, default, range, help."""
    return [
        f"${knob.latex}$ `{knob.name}` = {knob.default:g}, from {knob.lo:g} to {knob.hi:g}. {knob.help}"
        for knob in cls.knobs().values()
    ]


def name_lines(cls: type[Objective]) -> list[str]:
    """One line per framework that has it: how the objective is chosen there, and what each knob is called.

    The last names those in which it is not, or is not known to be.
    """
    lines = []
    there = [framework for framework in FRAMEWORKS if framework in frameworks_of(cls)]
    for framework in there:
        called = [knob for knob in cls.knobs().values() if framework in knob.names]
        parts = [f"${knob.latex}$ {name_in(framework, knob.names)}" for knob in called]
        lines.append(f"**{framework}**: " + " · ".join([name_in(framework, frameworks_of(cls)), *parts]))
    missing = [framework for framework in FRAMEWORKS if framework not in there]
    return [*lines, f"{NONE}: {', '.join(missing)}"] if missing else lines


def metric_lines(metrics: Iterable[Metric]) -> list[str]:
    """A line per metric: label, name, formula, what is usual, and what the frameworks that have it log."""
    lines = []
    for metric in metrics:
        elsewhere = [f"{f} {name_in(f, metric.frameworks)}" for f in FRAMEWORKS if f in metric.frameworks]
        line = f"**{metric.label}** `{metric.name}` = {metric.formula}. Healthy: {metric.healthy}."
        lines.append(line + (" Elsewhere: " + "; ".join(elsewhere) + "." if elsewhere else ""))
    return lines


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def found(cls: type[Objective], wanted: str) -> bool:
    """Whether a search for `wanted` should find the objective: by its own names, its knobs', and the frameworks'."""
    knobs = cls.knobs().values()
    words = [cls.name, cls.label, cls.paper, cls.family, cls.ratio_level, cls.aggregation, *frameworks_of(cls).values()]
    words += [word for knob in knobs for word in (knob.name, knob.symbol, *knob.names.values())]
    text = " ".join(words).lower()
    return all(part in text for part in wanted.lower().split())


def search(catalog: Mapping[str, type[Objective]], wanted: str) -> list[str]:
    """The names of the objectives found: the one that is called so first, then those whose name has it, then others."""

    def rank(name: str) -> int:
        own, asked = (name, catalog[name].label.lower()), wanted.lower().strip()
        return 0 if asked in own else 1 if any(asked in one for one in own) else 2

    return sorted((name for name, cls in catalog.items() if found(cls, wanted)), key=rank)


def markdown(catalog: Mapping[str, type[Objective]], batch: Iterable[Metric], run: Iterable[Metric]) -> str:
    """docs/reference.md: the objectives, then the metrics of one batch and of a training step."""
    parts = [
        "# Reference",
        "Written by `make reference` from the catalogue; do not edit. The app shows the same at `/reference`. "
        f"{NONE} means: not there, or not known.",
        "## Objectives",
        overview(catalog),
        "r is a token's ratio π_θ/π_old, s the sequence's exp(mean log r), A the advantage, sg stops the gradient. "
        "Each formula is the surrogate J, which is maximised.",
    ]
    for cls in catalog.values():
        parts += [f"### {cls.label}", f"`{cls.name}` · {paper_link(cls)}. {cls.idea}", f"$$J_t = {cls.formula}$$"]
        parts += [about(cls)]
        parts += ["Knobs:", bullets(knob_lines(cls))] if cls.knobs() else ["It has no knobs."]
        parts += ["Elsewhere:", bullets(name_lines(cls))] if frameworks_of(cls) else []
        parts += ["Where implementations differ:", bullets(notes_of(cls))] if notes_of(cls) else []
    parts += ["## Where implementations differ", bullets(NOTES)]
    parts += ["## Metrics of a batch", bullets(metric_lines(batch))]
    parts += ["## Metrics of a training step", bullets(metric_lines(run))]
    return "\n\n".join(parts) + "\n"
