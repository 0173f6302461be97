"""Rules about the sampler: log-probs moved, renormalised, taken from other weights, or summed up."""

from __future__ import annotations

import numpy as np

from sapo_viz.core.correction_choices import TRL_DEFAULT, USUAL
from sapo_viz.rollouts.analysis.corrected import corrected
from sapo_viz.rollouts.analysis.facts import Facts
from sapo_viz.rollouts.findings.causes import alignment, clustered, plain_k3, removed_mass, shifted, verdict
from sapo_viz.rollouts.findings.rule import Found, Severity, rule
from sapo_viz.rollouts.findings.rules_data import percent
from sapo_viz.rollouts.findings.rules_ratios import engine_mismatch


@rule(
    "shifted",
    "One side's log-probs lie some tokens off",
    threshold="in at least 2 sequences and 0.5 % of them, the mean of z² is above 0.05 in windows of 32 tokens, and "
    "one "
    "lag from 1 to 8 leaves at most a quarter of it in half of these windows.",
    reason="a shift leaves the numbers right and their places wrong, so that one lag makes both sides agree again; no "
    "update, noise or temperature does. It is asked first, since all of these look alike without it.",
    remedy="Line up logits and tokens: log-probs of token t come from the logits at t − 1. Look at what the prompt is "
    "made of (image placeholders, a start symbol, a chat template) where only some sequences are off.",
    severities=("problem",),
)
def shift_rule(facts: Facts) -> Found | None:
    moved = shifted(facts)
    if not moved.any():
        return None
    lags, count = np.unique(facts.shift[moved], return_counts=True)
    lag = int(lags[np.argmax(count)])
    begin = facts.shift_from[moved]
    where = "from their first token on" if np.median(begin) == 0 else f"from about token {int(np.median(begin))} on"
    tokens = "one token" if abs(lag) == 1 else f"{abs(lag)} tokens"
    number = (
        f"log π_θ lies {tokens} {'later' if lag > 0 else 'earlier'} than log π_old in {moved.sum():,} of "
        f"{len(moved):,} sequences ({percent(float(moved.mean()))}), {where}; {verdict(facts).second}"
    )
    return Found("problem", float(moved.mean()), number, facts.worst(moved * facts.max_z))


@rule(
    "truncated_sampling",
    "The sampler's log-probs are those of a truncated distribution",
    threshold="mean r over tokens whose log-probs are not 0 lies below 1 by more than 0.002 and by more than 5 "
    "standard errors (3.5 where exact zeros stand beside; sequences as units, at least 16); with `sampler_logprobs`, "
    "π_old against these. Not where log-probs are shifted.",
    reason="top-p, top-k and min-p cut tokens off and scale up the rest, so every log-prob rises by −log of the kept "
    "mass, and mean r is the kept mass itself. Noise and updates leave it at 1 (E[r] = 1).",
    remedy="Have the engine return log-probs before truncation (in vLLM logprobs_mode=raw_logprobs, with the "
    "temperature applied on the trainer's side), sample with top-p 1, top-k off, min-p 0 while training, or correct "
    "with a truncated importance weight.",
    severities=("warning", "problem"),
)
def truncated_sampling(facts: Facts) -> Found | None:
    if verdict(facts).cause != "truncated_sampling":
        return None
    lost, error = removed_mass(facts)
    number = f"mean r = {1 - lost:.4f} ± {error:.1g}: {percent(lost)} of the mass cut off; {verdict(facts).second}"
    return Found("problem" if lost > 0.02 else "warning", lost, number, facts.worst(-facts.plain_r))


@rule(
    "stale_sampler",
    "π_old is not who drew the tokens",
    threshold="the file has the sampler's own log-probs, and between them and log π_old k3 is above 2e-3 (note), "
    "above 1e-2 (warning) or above 0.02 (problem), without a lack of mass (see `truncated_sampling`).",
    reason="a trainer that computes log π_old again before its update starts from ratios of 1 whoever drew the tokens: "
    "the clip then sees nothing of a sampler that is steps behind. Engines in bf16 differ by 1e-4 to 1e-3 "
    "mostly, and by up to 9e-3 in healthy runs.",
    remedy="Check when the engine got its last weights. Take the sampler's log-probs for π_old, or weight tokens by "
    "π_old/π_sampler, truncated (TIS).",
    severities=("problem", "warning", "note"),
)
def stale_sampler(facts: Facts) -> Found | None:
    count = int(facts.sampler_counts.sum())
    k3 = float(facts.sampler_k3.sum() / max(count, 1))
    if count < 500 or k3 <= 2e-3 or verdict(facts).cause in ("shifted", "truncated_sampling"):
        return None
    mean, error = clustered(facts.sampler_r, facts.sampler_counts)
    number = (
        f"between sampler and π_old k3 = {k3:.2g} over {count:,} tokens, mean ratio {1 + mean:.3f} ± {error:.1g}; "
        f"between π_old and π_θ k3 = {plain_k3(facts):.2g}"
    )
    severity: Severity = "problem" if k3 > 0.02 else "warning" if k3 > 1e-2 else "note"
    return Found(severity, k3, number, facts.worst(facts.sampler_k3))


@rule(
    "sequence_sum",
    "A ratio of whole sequences would be far from 1",
    threshold="at least half of 32 or more sequences have |Σ z| above log 2, while the mean of z within them stays "
    "within ±0.05 and tokens do not move with their advantages (Σ A·z within 3 standard errors of 0).",
    reason="a sum of log-ratios grows with length, a mean does not: exp Σz of a long answer says that it was drawn "
    "from "
    "another policy where each token says that nothing happened. A cap on it then scales down or drops most sequences.",
    remedy="Where an importance weight or a mask takes whole sequences, give it the mean (the geometric mean ratio, as "
    "GSPO's s_i), or weight tokens; and see where the small differences come from.",
    severities=("note",),
)
def sequence_sum(facts: Facts) -> Found | None:
    used = facts.counts > 0
    if used.sum() < 32 or verdict(facts).cause not in ("", "engine_mismatch"):
        return None
    away = np.abs(facts.sum_z) * used
    beyond = away[used] > np.log(2)
    typical = float(np.median(np.abs(facts.log_s[used])))
    if beyond.mean() < 0.5 or typical > 0.05 or abs(alignment(facts)) > 3:
        return None
    capped = float((facts.sum_z[used] > np.log(2)).mean())
    number = (
        f"median |Σz| = {np.median(away[used]):.2g}, median |mean z| = {typical:.2g}; exp Σz is beyond a cap of 2 in "
        f"{percent(capped)} of {used.sum():,} sequences and below 1/2 in {percent(float(beyond.mean()) - capped)}"
    )
    return Found("note", float(beyond.mean()), number, facts.worst(away))


@rule(
    "answers_dropped",
    "TRL's default correction would drop whole answers",
    threshold="the file has the sampler's own log-probs, 8 sequences or more, and exp of the sum of log π_old − log "
    "π_sampler is above 3 in at least 5 % of the sequences (warning), or in a quarter of them (problem). A note where "
    "another finding says why the two differ.",
    reason="vllm_importance_sampling_mode=sequence_mask with a cap of 3 gives such an answer weight 0, and no metric "
    "says which: 0.012 nats a token are a ratio of 3.3 over 100 tokens, so that long answers go first.",
    remedy="Weigh tokens (token_truncate), or take a sequence's mean in place of its sum; look at the engine where "
    "single tokens differ by more than 0.01 nats. The picture under Whole file shows which answers go.",
    severities=("problem", "warning", "note"),
)
def answers_dropped(facts: Facts) -> Found | None:
    found = corrected(facts.rollouts, USUAL[TRL_DEFAULT]) if facts.sampler_counts.any() else None
    if found is None or (found.lengths > 0).sum() < 8 or found.sequences_dropped < 0.05:
        return None
    share = found.sequences_dropped
    number = f"{int(found.dropped.sum()):,} of {int((found.lengths > 0).sum()):,} answers ({percent(share)})"
    if share < 1:
        number += f"; mean length {found.length_dropped:,.0f} tokens, of the others {found.length_kept:,.0f}"
    causes = (one(facts) for one in (stale_sampler, engine_mismatch))
    explained = any(cause is not None and cause.severity != "note" for cause in causes)
    severity: Severity = "note" if explained else "problem" if share >= 0.25 else "warning"
    return Found(severity, share, number, facts.worst(found.dropped * found.sums))
