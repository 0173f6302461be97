"""Rules about the ratios: did the policy move, was it the update that moved it, and what do the gates make of it?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sapo_viz.core.objective import CATALOG, LOG_RATIO_LIMIT, Objective
from sapo_viz.rollouts.facts import Facts
from sapo_viz.rollouts.findings import Found, Severity, rule
from sapo_viz.rollouts.gate import argument_of, weights_at
from sapo_viz.rollouts.rules_data import percent


def mean_k3(facts: Facts) -> float:
    return facts.k3 / max(facts.tokens, 1)


def clustered(sums: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """The mean a token, and its standard error with whole sequences as the units: tokens of one are not independent."""
    total = counts.sum()
    mean = sums.sum() / total
    used = counts > 0
    degrees = max(int(used.sum()) - 1, 1)
    return float(mean), float(np.sqrt(((sums - counts * mean)[used] ** 2).sum() * (degrees + 1) / degrees) / total)


def alignment(facts: Facts) -> float:
    """Σ A·z over its standard error, sequences as units: how surely the tokens moved with their advantages."""
    error = np.sqrt((facts.sum_az**2).sum())
    return float(facts.sum_az.sum() / error) if error > 0 else 0.0


@rule(
    "on_policy",
    "The ratio is 1 everywhere",
    threshold="|z| is at most 1e-6 on every response token.",
    reason="log-probs in float32 agree to about 1e-6 when they come from one forward pass and one set of weights.",
    remedy="Nothing is wrong: clipping and gates do nothing yet, and all objectives have the same gradient. To see "
    "what they do, write log π_θ after an update (a later mini-batch or epoch on the same rollouts).",
    severities=("note",),
)
def on_policy(facts: Facts) -> Found | None:
    if not facts.tokens or facts.on_policy < facts.tokens:
        return None
    return Found("note", 1.0, f"all {facts.tokens:,} response tokens have r = 1")


@dataclass(frozen=True)
class Temperature:
    """New log-probs look like the old ones at temperature 1/alpha (their logits times alpha)."""

    alpha: float
    slope: float  # of z on log π_old, over all response tokens
    correlation: float


def temperature(facts: Facts) -> Temperature | None:
    """A temperature between the two log-probs, or None where they do not look so.

    With π_θ ∝ π_old^α in every context, z = (α − 1)·(log π_old + H) with H ≥ 0 the Rényi entropy of order α of
    that context, unknown here. So z falls on a line of slope α − 1 only where the context is sure of itself; else
    H takes off part of it, and a regression finds less. But z / log π_old = (α − 1)(1 − H/|log π_old|) is never
    beyond α − 1, and nears it for surprising tokens of sure contexts: the 5 % quantile (95 % for α > 1) of that
    quotient over the 2 % of tokens with the lowest log π_old is what is taken for α − 1. On simulated contexts of
    mixed entropy this gives α within 0.05 for α from 0.5 to 1.5.
    """
    both = [facts.sides[sign] for sign in (-1, 0, 1) if facts.sides[sign].n >= 200]
    if not both:
        return None
    slopes = [side.slope for side in both]
    correlations = [side.correlation for side in both]
    if not np.isfinite(slopes + correlations).all():
        return None
    direction = np.sign(slopes[0])
    if min(direction * np.array(slopes)) < 0.03 or min(direction * np.array(correlations)) < 0.4:
        return None
    # An update moves the two signs of A apart; a temperature does not know A.
    if max(map(abs, slopes)) > 2 * min(map(abs, slopes)):
        return None
    z, old = facts.sample.T
    low = old < min(np.quantile(old, 0.02), -0.1)
    if low.sum() < 10:
        return None
    alpha = 1 + float(np.quantile(z[low] / old[low], 0.95 if direction > 0 else 0.05))
    weight = np.array([side.n for side in both])
    slope = float(weight @ slopes / weight.sum())
    return Temperature(alpha, slope, float(weight @ correlations / weight.sum()))


@rule(
    "temperature",
    "Log-probs that look as if a temperature was applied to one of the two",
    threshold="z regressed on log π_old has a slope beyond ±0.03 with a correlation beyond 0.4, for both signs of A "
    "alike (within a factor of 2; at least 200 tokens each; a sign with fewer is not asked).",
    reason="if π_θ ∝ π_old^α, then z = (α − 1)(log π_old + H), H the entropy of the context: the rarer a token, the "
    "further it moved, whatever its advantage. An update moves the two signs of A apart instead. One update rarely "
    "bends a policy by 0.03; T = 0.9 beside 1 gives 0.05 to 0.1. The same temperature missing on both sides cannot "
    "be seen.",
    remedy="Take both log-probs at the sampling temperature: divide the trainer's logits by it before log-softmax "
    "(never the log-probs), and have the engine return processed log-probs (in vLLM "
    "logprobs_mode=processed_logprobs; its default is raw).",
    severities=("problem", "warning"),
)
def temperature_rule(facts: Facts) -> Found | None:
    found = temperature(facts)
    if found is None:
        return None
    number = (
        f"slope {found.slope:+.3f}, correlation {found.correlation:+.2f}: π_θ looks like π_old with its logits times "
        f"{found.alpha:.2f}, as when old log-probs are taken at T = {found.alpha:.2g} and new ones at 1, or old ones "
        f"at 1 and new ones at {1 / max(found.alpha, 1e-3):.2g}"
    )
    return Found("problem" if abs(found.slope) >= 0.08 else "warning", found.alpha, number, facts.worst(facts.max_z))


@rule(
    "engine_mismatch",
    "Ratios that look like noise between sampler and trainer",
    threshold="k3 is above 1e-3 (warning; problem above 1e-2) and both log-probs are known to be of the same "
    "weights; or, where that is not known, k3 is from 1e-3 to 0.1, tokens do not move with their advantages (Σ A·z "
    "within 3 standard errors of 0), mean(r − 1) is within 4 standard errors of 0 or below k3, over at least 1,000 "
    "tokens in 32 sequences. Not said where a temperature explains it.",
    reason="an update moves tokens with their advantage; a difference of kernels, precision or weights moves them "
    "anyhow. Engines in bf16 differ by a k3 of about 1e-4 to 1e-3. The clip spends its band on that noise. Samples of "
    "an older policy look the same: the file alone cannot tell.",
    remedy="Compare the sampler's log-probs with the trainer's before any update. If they differ: weight sync, float32 "
    "for the last layer's logits, the same kernels, or a truncated importance weight. If not: the samples are stale.",
    severities=("problem", "warning"),
)
def engine_mismatch(facts: Facts) -> Found | None:
    k3 = mean_k3(facts)
    sequences = int((facts.size > 0).sum())
    if k3 <= 1e-3 or temperature(facts) is not None:
        return None
    mean, error = clustered(facts.sum_r, facts.counts)
    if not facts.rollouts.same_weights:
        like_an_update = abs(alignment(facts)) > 3 or k3 > 0.1 or abs(mean) > max(4 * error, k3)
        if like_an_update or facts.tokens < 1000 or sequences < 32:
            return None
    number = f"k3 = {k3:.2g}; mean(r − 1) = {mean:+.2g} ± {error:.1g}; Σ A·z at {alignment(facts):+.1f} standard errors"
    return Found("problem" if k3 > 1e-2 else "warning", k3, number, facts.worst(facts.max_z))


@rule(
    "sampler_not_old",
    "The tokens were not sampled from π_old",
    threshold="mean r over the tokens is off 1 by more than 0.02 and by more than 4 standard errors (sequences as "
    "units, at least 32), while k3 is below 0.1.",
    reason="E[r] = 1 for tokens drawn from π_old, whatever π_θ is, as long as π_θ was not fitted to these very tokens "
    "far beyond a step; above a k3 of 0.1 it was, and `moved_far` says so.",
    remedy="Check that log π_old is what the sampler used: temperature, top-p and top-k (their renormalisation), a "
    "chat template, or another checkpoint.",
    severities=("warning",),
)
def sampler_not_old(facts: Facts) -> Found | None:
    if int((facts.counts > 0).sum()) < 32 or mean_k3(facts) >= 0.1:
        return None
    mean, error = clustered(facts.sum_r, facts.counts)
    if abs(mean) <= max(0.02, 4 * error):
        return None
    return Found("warning", 1 + mean, f"mean r = {1 + mean:.3f} ± {error:.2g}", facts.worst(np.abs(facts.sum_r)))


@rule(
    "wrong_way",
    "Tokens move against their advantages",
    threshold="Σ A·z is below 0 by more than 5 standard errors (sequences as units, at least 32 with A ≠ 0).",
    reason="Σ A·z is the first-order gain of the surrogate: an update on these tokens makes it positive. Noise leaves "
    "it near 0; only a swap makes it surely negative.",
    remedy="Look for `logprobs` and `old_logprobs` written the wrong way round, a sign of A or of the loss, or "
    "advantages that belong to other sequences.",
    severities=("problem",),
)
def wrong_way(facts: Facts) -> Found | None:
    if int((facts.size > 0).sum()) < 32 or alignment(facts) >= -5:
        return None
    value = float(facts.sum_az.sum() / max(facts.size.sum(), 1e-300))
    number = f"mean of z in the direction of A = {value:+.2g}, {alignment(facts):+.1f} standard errors from 0"
    return Found("problem", value, number, facts.worst(-facts.sum_az))


@rule(
    "moved_far",
    "The policy moved far on these tokens",
    threshold="k3 is above 0.02 (warning) or above 0.2 (problem).",
    reason="k3 estimates KL(π_old ‖ π_θ) a token. Calm updates stay below 0.01; at 0.2 a typical token's probability "
    "has changed by half, and what is learned from one batch rests on importance weights that few tokens carry.",
    remedy="Fewer mini-batches or epochs a rollout, a lower learning rate, gradient clipping, or fresher samples.",
    severities=("problem", "warning"),
)
def moved_far(facts: Facts) -> Found | None:
    k3 = mean_k3(facts)
    if k3 <= 0.02 or facts.rollouts.same_weights or temperature(facts) is not None:
        return None
    number = f"k3 = {k3:.2g}; {percent(facts.far / facts.tokens)} of the tokens more than doubled or halved"
    return Found("problem" if k3 > 0.2 else "warning", k3, number, facts.worst(np.abs(facts.log_s)))


@rule(
    "heavy_tail",
    "The tail of log r is heavy",
    threshold="over at least 10,000 tokens, the 99.9th percentile of |z| is more than √10 times the 99th, and above "
    "0.1.",
    reason="for a Gaussian that quotient is 1.3, for an exponential tail 1.5; √10 is a power law of exponent 2, "
    "where the variance of log r would not exist. Means of ratios over such a batch are decided by a few tokens. "
    "Quantiles are compared because one outlier decides a kurtosis.",
    remedy="Open the sequences below: are the outliers rare tokens, a tool's output, another language? A gate that "
    "falls off (SAPO) or a cap (dual clip, CISPO) bounds what one token can do; GRPO does not, where A < 0.",
    severities=("warning",),
)
def heavy_tail(facts: Facts) -> Found | None:
    if facts.tokens < 10_000:
        return None
    q99, q999 = np.quantile(np.abs(facts.sample[:, 0]), (0.99, 0.999))
    if q999 <= 0.1 or q999 <= np.sqrt(10) * q99:
        return None
    number = f"|z|: 99 % {q99:.3g}, 99.9 % {q999:.3g}, largest {facts.max_z.max():.3g}"
    return Found("warning", float(q999 / max(q99, 1e-300)), number, facts.worst(facts.max_z))


@rule(
    "few_tokens",
    "A few tokens carry most of the gradient",
    threshold="the 1 % of the tokens with the largest |A|·r carry at least 10 % (warning) or 50 % (problem) of "
    "Σ|A|·r; from 1,000 tokens with A ≠ 0.",
    reason="with ratios near 1 and group-normalised advantages the top 1 % carry 1 to 4 %. |A|·r is what the unclipped "
    "gradient multiplies; half of it on one token in a hundred is an update by outliers.",
    remedy="If the ratios do it: see what the gates leave of them. If the advantages do: few correct answers in large "
    "groups give |A| near √G.",
    severities=("problem", "warning"),
)
def few_tokens(facts: Facts) -> Found | None:
    if not facts.top_share >= 0.1:
        return None
    severity: Severity = "problem" if facts.top_share >= 0.5 else "warning"
    number = f"the top 1 % carry {percent(facts.top_share)}; largest |z| {facts.max_z.max():.3g}"
    return Found(severity, facts.top_share, number, facts.worst(facts.max_z * (facts.size > 0)))


@rule(
    "beyond_clamp",
    "Ratios beyond e^±20",
    threshold=f"any response token has |z| above {LOG_RATIO_LIMIT:g}.",
    reason="beyond it the ratio is held, here as in verl and torchforge, and the token gets no gradient from most "
    "objectives. A probability does not change by e^20 = 5e8 in one update; log-probs from another context do.",
    remedy="Open the sequences: log-probs shifted by one token, a tokenizer mismatch, or a truncated sample.",
    severities=("problem",),
)
def beyond_clamp(facts: Facts) -> Found | None:
    if not facts.beyond:
        return None
    number = f"{facts.beyond:,} tokens in {np.count_nonzero(facts.max_z > LOG_RATIO_LIMIT):,} sequences"
    return Found("problem", facts.beyond, number, facts.worst(np.where(facts.max_z > LOG_RATIO_LIMIT, facts.max_z, 0)))


def sequence_kept(facts: Facts, objective: Objective) -> tuple[float, float]:
    """Σ|A|·w / Σ|A| under a gate on s_i, and the share of the sequences with A ≠ 0 that it shuts out."""
    signal = facts.size > 0
    weight = np.zeros(len(signal))
    for sign in (1, -1):
        own = signal & (np.sign(facts.advantages) == sign)
        weight[own] = weights_at(objective, facts.log_s[own], sign)
    return float((facts.size * weight).sum() / facts.size.sum()), float((weight[signal] == 0).mean())


@rule(
    "gspo_band",
    "The band on the sequence ratio does not fit these s_i",
    threshold="at least 32 sequences have A ≠ 0 and r ≠ 1, and a gate on s_i shuts out more than half of them (too "
    "narrow), or none while one standard deviation of log s_i is less than a tenth of the nearer edge (too wide).",
    reason="GSPO (arXiv 2507.18071) reports about 15 % of the tokens clipped with a band of 3e-4 / 4e-4 and learns "
    "well; beyond half, what is left is chosen by noise in s_i. A band that ten standard deviations do not reach is "
    "no band: frameworks whose default is 0.2 have such a one.",
    remedy="Set ε to about the quantile named in the number: s_i depends on length, precision and learning rate, so "
    "a band from a paper does not carry over.",
    severities=("warning", "note"),
)
def gspo_band(facts: Facts) -> Found | None:
    signal = facts.size > 0
    if signal.sum() < 32 or facts.on_policy == facts.tokens:
        return None
    banded = {key: o for key, o in facts.objectives.items() if argument_of(o) == "sequence"}
    spread = float(facts.log_s[signal].std())
    for key, objective in (banded or {"gspo": CATALOG["gspo"]()}).items():
        kept, shut = sequence_kept(facts, objective)
        label = CATALOG[objective.name].label if objective.name in CATALOG else key
        harmful = np.sign(facts.advantages[signal]) * facts.log_s[signal]
        fits = float(np.expm1(np.quantile(harmful, 0.85)))
        hint = f"; 15 % would be outside of ε = {fits:.2g}" if fits > 0 else ""
        number = (
            f"{label} shuts out {percent(shut)} of {signal.sum():,} sequences and keeps {percent(kept)}; log s_i "
            f"spreads by {spread:.2g}{hint}"
        )
        where = facts.worst(np.abs(facts.log_s) * signal)
        if shut > 0.5:
            return Found("warning", shut, number, where, title=f"{label}'s band is too narrow for these s_i")
        edge = min(getattr(objective, name, np.inf) for name in ("eps_low", "eps_high"))
        if shut == 0 and spread < edge / 10:
            return Found("note", spread, number, where, title=f"{label}'s band is too wide for these s_i")
    return None
