"""Rules about the ratios: did the policy move, was it the update that moved it, and what do the gates make of it?"""

from __future__ import annotations

import math

import numpy as np

from sapo_viz.core.objective import CATALOG, LOG_RATIO_LIMIT, Objective
from sapo_viz.rollouts.analysis.facts import Facts
from sapo_viz.rollouts.analysis.gate import argument_of, weights_at
from sapo_viz.rollouts.findings.causes import (
    alignment,
    clearly,
    clustered,
    mean_k3,
    of_signs,
    plain_k3,
    scaled,
    shifted,
    steady_k3,
    temperature,
    untold,
    verdict,
    zeros,
)
from sapo_viz.rollouts.findings.rule import Found, Severity, rule
from sapo_viz.rollouts.findings.rules_data import percent
from sapo_viz.rollouts.findings.rules_groups import reward_sign
from sapo_viz.rollouts.findings.rules_steps import growth


@rule(
    "on_policy",
    "The ratio is 1 everywhere",
    threshold="|z| is at most 1e-6 on every response token, or on all those of at least a tenth and 8 of the sequences "
    "(a first mini-batch).",
    reason="log-probs in float32 agree to about 1e-6 when they come from one forward pass and one set of weights.",
    remedy="Nothing is wrong: clipping and gates do nothing yet, and all objectives have the same gradient. To see "
    "what they do, write log π_θ after an update (a later mini-batch or epoch on the same rollouts).",
    severities=("note",),
)
def on_policy(facts: Facts) -> Found | None:
    if facts.tokens and facts.on_policy < facts.tokens:
        return _first_mini_batch(facts)
    if not facts.tokens:
        return None
    return Found("note", 1.0, f"all {facts.tokens:,} response tokens have r = 1")


def _first_mini_batch(facts: Facts) -> Found | None:
    used = facts.counts > 0
    still = used & (facts.max_z <= 1e-6)
    count = int(still.sum())
    if count < max(8, 0.1 * used.sum()):
        return None
    places = np.flatnonzero(still)
    spread = f"from sequence {places[0] + 1:,} to {places[-1] + 1:,}"
    first = places[-1] - places[0] < 1.5 * count
    return Found(
        "note",
        count / int(used.sum()),
        f"{count:,} of {used.sum():,} sequences have r = 1 on all tokens, {spread if first else 'here and there'}",
        tuple(int(i) for i in places[:8]),
        title="The ratio is 1 in part of the file: its first mini-batch",
    )


_BASES = {"log2": math.log(2), "log10": math.log(10)}


@rule(
    "scaled",
    "One side's log-probs are a multiple of the other's",
    threshold="log π_θ = c · log π_old explains 95 % of Σz² over at least 200 response tokens, with c beyond 0.9 or "
    "1.1. Not where log-probs are shifted.",
    reason="two policies that sum to 1 cannot be multiples of one another: a temperature takes another sum off in each "
    "context. Another base of the logarithm does it (log10 by 2.303, log2 by 0.693), and a temperature that "
    "log-probs were divided by in place of the logits.",
    remedy="Write both log-probs in nats (in NumPy and torch `log`, not `log10` or `log2`), and divide logits, never "
    "log-probs, by a temperature.",
    severities=("problem",),
)
def scaled_rule(facts: Facts) -> Found | None:
    factor = scaled(facts)
    if factor is None or verdict(facts).cause != "scaled":
        return None
    number = f"log π_θ is {factor:.3g} × log π_old on {facts.tokens:,} tokens"
    for base, nats in _BASES.items():
        for side, other in (("old", factor), ("θ", 1 / factor if factor else 0.0)):
            if abs(other / nats - 1) < 0.03:
                number += f": log π_{side} looks like a {base}"
    return Found("problem", factor, f"{number}; {verdict(facts).second}", facts.worst(facts.max_z))


@rule(
    "temperature",
    "Log-probs that look as if a temperature was applied to one of the two",
    threshold="z regressed on log π_old has a slope beyond ±0.03 with a correlation beyond 0.4 (0.2, where nine in "
    "ten of the rarest tokens moved one way), for both signs of A alike (within a factor of 2; a sign with fewer than "
    "200 tokens is not asked; in a file of 200 to 800 tokens one with fewer than a quarter of them, or than 50, and "
    "within a factor of 3), and 1/T is between 0.3 and 3. Not where log-probs are shifted or renormalised.",
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
    if found is None or verdict(facts).cause != "temperature":
        return None
    number = (
        f"slope {found.slope:+.3f}, correlation {found.correlation:+.2f}: π_θ looks like π_old with its logits times "
        f"{found.alpha:.2f}, as when old log-probs are taken at T = {found.alpha:.2g} and new ones at 1, or old ones "
        f"at 1 and new ones at {1 / found.alpha:.2g}; {verdict(facts).second}"
    )
    return Found("problem" if abs(found.slope) >= 0.08 else "warning", found.alpha, number, facts.worst(facts.max_z))


@rule(
    "engine_mismatch",
    "Ratios that have nothing to do with the advantages, as between sampler and trainer",
    threshold="k3 is above 1e-3 (note), 1e-2 (warning) or 0.03 (problem) without fillers, outliers and ratios beyond "
    "the clamp, and both log-probs are known to be of the same weights; or, where that is not known, tokens do not "
    "move with their advantages (Σ A·z within 3 standard errors of 0, over at least 500 tokens, 8 sequences with "
    "A ≠ 0; in fewer z and the sign of A correlate by less than 0.2, over 200 tokens with A ≠ 0 in 4 sequences), or so "
    "little that z and the sign of A correlate by less than 0.08 (k3 above 1e-2). Not where a shift, a "
    "truncation, a temperature or another sampler explains it, nor where it grows from step to step.",
    reason="an update moves tokens with their advantage; a difference of kernels, precision or weights moves them "
    "anyhow. Engines in bf16 differ by a k3 of 1e-4 to 1e-3 mostly, and in healthy runs by up to 9e-3, so below "
    "1e-2 it is a note. The clip spends its band on that noise. Samples of an older policy look the same, and so does "
    "an update that ran away: the file alone cannot tell.",
    remedy="Compare the sampler's log-probs with the trainer's before any update. If they differ: weight sync, float32 "
    "for the last layer's logits, the same kernels, or a truncated importance weight. If not: the samples are stale.",
    severities=("problem", "warning", "note"),
)
def engine_mismatch(facts: Facts) -> Found | None:
    k3, found = steady_k3(facts), verdict(facts)
    if found.cause != "engine_mismatch" or growth(facts) is not None or sampler_not_old(facts) is not None:
        return None
    if not facts.rollouts.same_weights and untold(facts):
        return None
    mean, error = clustered(facts.plain_r, facts.plain)
    number = f"k3 = {k3:.2g}; mean(r − 1) = {mean:+.2g} ± {error:.1g}; {found.second}"
    severity: Severity = "problem" if k3 > 0.03 else "warning" if k3 > 1e-2 else "note"
    return Found(severity, k3, number, facts.worst(facts.max_z))


@rule(
    "sampler_not_old",
    "The tokens were not sampled from π_old",
    threshold="mean r over the tokens is above 1 by more than 0.02 and by more than 4 standard errors (sequences as "
    "units, at least 16), while k3 is below 0.1 and neither a shift nor a temperature nor `moved_far` explains it "
    "(below 1, see `truncated_sampling`).",
    reason="E[r] = 1 for tokens drawn from π_old, whatever π_θ is, as long as π_θ was not fitted to these very tokens "
    "far beyond a step; above a k3 of 0.1 it was, and `moved_far` says so.",
    remedy="Check that log π_old is what the sampler used: temperature, top-p and top-k (their renormalisation), a "
    "chat template, or another checkpoint.",
    severities=("warning",),
)
def sampler_not_old(facts: Facts) -> Found | None:
    if int((facts.counts > 0).sum()) < 16 or mean_k3(facts) >= 0.1:
        return None
    mean, error = clustered(facts.plain_r, facts.plain)
    if verdict(facts).cause in ("shifted", "scaled", "temperature", "moved_far") or mean <= max(0.02, 4 * error):
        return None
    return Found("warning", 1 + mean, f"mean r = {1 + mean:.3f} ± {error:.2g}", facts.worst(np.abs(facts.sum_r)))


@rule(
    "wrong_way",
    "Tokens move against their advantages",
    threshold="Σ A·z is below 0 by more than 5 standard errors (sequences as units, at least 32 with A ≠ 0), or, where "
    "there are fewer, by more than 2.5 while z and the sign of A correlate by −0.2 or less (500 tokens, 8 sequences), "
    "or they correlate by −0.3 or less and Σ A·z is below 0 in so many sequences as one file in 200 would have by "
    "chance (in 8 of 8). "
    "Not where `reward_sign` says that the advantages are turned.",
    reason="Σ A·z is the first-order gain of the surrogate: an update on these tokens makes it positive. Noise leaves "
    "it near 0; only a swap makes it surely negative.",
    remedy="Look for `logprobs` and `old_logprobs` written the wrong way round, a sign of A or of the loss, or "
    "advantages that belong to other sequences.",
    severities=("problem",),
)
def wrong_way(facts: Facts) -> Found | None:
    surely = int((facts.size > 0).sum()) >= 32 and alignment(facts) < -5
    far = of_signs(facts) <= -0.3 and _one_way(facts)
    if not (surely or far or (alignment(facts) < -2.5 and clearly(facts, -1))):
        return None
    turned = reward_sign(facts)
    if turned is not None and turned.severity == "problem":
        return None
    value = float(facts.sum_az.sum() / max(facts.size.sum(), 1e-300))
    number = f"mean of z in the direction of A = {value:+.2g}, {alignment(facts):+.1f} standard errors from 0"
    return Found("problem", value, number, facts.worst(-facts.sum_az))


def _one_way(facts: Facts) -> bool:
    """Whether Σ A·z is below 0 in more sequences than one file in 200 would have by chance: in 8 of 8, 11 of 12."""
    signal = facts.size > 0
    count, against = int(signal.sum()), int((facts.sum_az[signal] < 0).sum())
    return sum(math.comb(count, k) for k in range(against, count + 1)) <= 2**count / 200 if count <= 64 else False


@rule(
    "moved_far",
    "The policy moved far on these tokens",
    threshold="k3 is above 0.02 (warning) or above 0.2 (problem) without fillers and ratios beyond the clamp, and "
    "tokens move with their advantages: Σ A·z is above 0 by 3 standard errors or more, and z correlates with the sign "
    "of A by 0.08 or more; or by 0.2, where sequences are few (0.3 below 500 tokens or 8 sequences). Without these "
    "signs of an update, see `engine_mismatch`. Fewer than 200 tokens with A ≠ 0 or 4 sequences cannot show it: from "
    "100 tokens on a k3 above "
    "0.05 is a warning there, if one token in twenty has more than doubled or halved.",
    reason="k3 estimates KL(π_old ‖ π_θ) a token. Calm updates stay below 0.01; at 0.2 a typical token's probability "
    "has changed by half, and what is learned from one batch rests on importance weights that few tokens carry.",
    remedy="Fewer mini-batches or epochs a rollout, a lower learning rate, gradient clipping, or fresher samples.",
    severities=("problem", "warning"),
)
def moved_far(facts: Facts) -> Found | None:
    k3, found = plain_k3(facts), verdict(facts)
    number = f"k3 = {k3:.2g}; {percent(facts.far / max(facts.tokens, 1))} of the tokens more than doubled or halved"
    if found.cause == "moved_far":
        return Found(
            "problem" if k3 > 0.2 else "warning", k3, f"{number}; {found.second}", facts.worst(np.abs(facts.log_s))
        )
    open_ = found.cause == "engine_mismatch" and not facts.rollouts.same_weights and untold(facts)
    if not open_ or k3 <= 0.05 or facts.tokens < 100 or facts.far < 0.05 * facts.tokens:
        return None
    number += "; too few tokens to say whether an update did it or a mismatch of sampler and trainer"
    return Found("warning", k3, number, facts.worst(np.abs(facts.log_s)), title="π_θ is far from π_old here")


TAILS = (0.001, 0.002, 0.005, 0.01)


@rule(
    "heavy_tail",
    "The tail of log r is heavy",
    threshold="|z| at one of the upper tails of 0.1, 0.2, 0.5 and 1 %, if it has 10 tokens or more, is more than √10 "
    "times |z| at a tail three times as large, and above 0.1. A note where `few_tokens` says what comes of it. Not "
    "where log-probs are shifted, filled in or beyond the clamp.",
    reason="for a Gaussian that quotient is about 1.2, for an exponential tail 1.3; √10 is a power law of exponent 1, "
    "where the mean of |log r| would not exist. Which tail is asked must not depend on how many outliers there are. "
    "Means of ratios over such a batch are decided by a few tokens. "
    "Quantiles are compared because one outlier decides a kurtosis.",
    remedy="Open the sequences below: are the outliers rare tokens, a tool's output, another language? A gate that "
    "falls off (SAPO) or a cap (dual clip, CISPO) bounds what one token can do; GRPO does not, where A < 0.",
    severities=("warning", "note"),
)
def heavy_tail(facts: Facts) -> Found | None:
    if facts.tokens * max(TAILS) < 10 or not len(facts.sample):  # all of them may be filled in
        return None
    if verdict(facts).cause == "shifted" or _put_in(facts):
        return None
    tails = np.array([share for share in TAILS if share * facts.tokens >= 10])
    inner, outer = np.quantile(np.abs(facts.sample[:, 0]), (1 - 3 * tails, 1 - tails))
    quotient = np.where(outer > 0.1, outer / np.maximum(inner, 1e-300), 0.0)
    worst = int(np.argmax(quotient))
    if quotient[worst] <= np.sqrt(10):
        return None
    number = (
        f"|z|: {inner[worst]:.3g} at {percent(1 - 3 * tails[worst])} of the tokens, {outer[worst]:.3g} at "
        f"{percent(1 - tails[worst])}, largest {facts.max_z.max():.3g}"
    )
    severity: Severity = "note" if carried_by_few(facts) else "warning"
    return Found(severity, float(quotient[worst]), number, facts.worst(facts.max_z))


@rule(
    "few_tokens",
    "A few tokens carry most of the gradient",
    threshold="the 1 % of the tokens with the largest |A|·r carry at least 10 % (warning) or 50 % (problem) of "
    "Σ|A|·r; from 500 tokens with A ≠ 0. A note where another finding says why all ratios are large; not where "
    "log-probs are shifted.",
    reason="with ratios near 1 and group-normalised advantages the top 1 % carry 1 to 4 %. |A|·r is what the unclipped "
    "gradient multiplies; half of it on one token in a hundred is an update by outliers.",
    remedy="If the ratios do it: see what the gates leave of them. If the advantages do: few correct answers in large "
    "groups give |A| near √G.",
    severities=("problem", "warning", "note"),
)
def few_tokens(facts: Facts) -> Found | None:
    if not facts.top_share >= 0.1 or verdict(facts).cause == "shifted":
        return None
    severity: Severity = "note" if not carried_by_few(facts) else "problem" if facts.top_share >= 0.5 else "warning"
    number = f"the top 1 % carry {percent(facts.top_share)}; largest |z| {facts.max_z.max():.3g}"
    return Found(severity, facts.top_share, number, facts.worst(facts.max_z * (facts.size > 0)))


def carried_by_few(facts: Facts) -> bool:
    """Whether single tokens are the finding, and not what makes all ratios large."""
    return bool(facts.top_share >= 0.1) and verdict(facts).cause == "" and not _put_in(facts)


def _put_in(facts: Facts) -> bool:
    """Whether log-probs are filled in or beyond the clamp: outliers that rules of their own speak of."""
    return bool(facts.beyond) or zeros(facts)


@rule(
    "beyond_clamp",
    "Ratios beyond e^±20",
    threshold=f"any response token has |z| above {LOG_RATIO_LIMIT:g}, in a sequence that is neither shifted "
    "nor filled in whole.",
    reason="beyond it the ratio is held, here as in verl and torchforge, and the token gets no gradient from most "
    "objectives. A probability does not change by e^20 = 5e8 in one update; log-probs from another context do.",
    remedy="Open the sequences: log-probs shifted by one token, a tokenizer mismatch, or a truncated sample.",
    severities=("problem",),
)
def beyond_clamp(facts: Facts) -> Found | None:
    rows = ~facts.constant & (facts.max_z > LOG_RATIO_LIMIT)
    if not (rows & ~shifted(facts)).any():
        return None
    number = f"{facts.beyond:,} tokens in {np.count_nonzero(rows):,} sequences"
    return Found("problem", facts.beyond, number, facts.worst(np.where(rows, facts.max_z, 0)))


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
    threshold="a gate on s_i is among the objectives asked about, at least 8 sequences have A ≠ 0 and r ≠ 1, tokens "
    "move with their advantages (Σ A·z beyond 2 standard errors, or z and the sign of A correlate by 0.2: on noise "
    "alone no band means anything), and the gate shuts out more than half of them (too narrow; three in four of fewer "
    "than 32), or none while one standard deviation of log s_i is less than a tenth of the nearer edge (too wide).",
    reason="GSPO (arXiv 2507.18071) reports about 15 % of the tokens clipped with a band of 3e-4 / 4e-4 and learns "
    "well; beyond half, what is left is chosen by noise in s_i. A band that ten standard deviations do not reach is "
    "no band: frameworks whose default is 0.2 have such a one.",
    remedy="Set ε to about the quantile named in the number: s_i depends on length, precision and learning rate, so "
    "a band from a paper does not carry over.",
    severities=("warning", "note"),
)
def gspo_band(facts: Facts) -> Found | None:
    signal = facts.size > 0
    banded = {key: o for key, o in facts.objectives.items() if argument_of(o) == "sequence"}
    if not banded or signal.sum() < 8 or facts.on_policy == facts.tokens:
        return None
    if abs(alignment(facts)) < 2 and not clearly(facts):
        return None
    if verdict(facts).cause == "shifted":
        return None
    spread = float(facts.log_s[signal].std())
    for key, objective in banded.items():
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
        if shut > (0.5 if signal.sum() >= 32 else 0.75):
            return Found("warning", shut, number, where, title=f"{label}'s band is too narrow for these s_i")
        edge = min(getattr(objective, name, np.inf) for name in ("eps_low", "eps_high"))
        if signal.sum() >= 32 and shut == 0 and spread < edge / 10:
            return Found("note", spread, number, where, title=f"{label}'s band is too wide for these s_i")
    return None
