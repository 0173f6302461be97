"""Rules about the data itself: missing log-probs, masks, lengths, copies."""

from __future__ import annotations

import re

import numpy as np

from sapo_viz.rollouts.analysis.facts import SENTINEL, SENTINEL_OLD, Facts
from sapo_viz.rollouts.analysis.padding import padding
from sapo_viz.rollouts.analysis.tools import tool_tokens
from sapo_viz.rollouts.findings.causes import shifted, verdict
from sapo_viz.rollouts.findings.rule import Found, Severity, rule


def percent(share: float) -> str:
    """A share in words: 12 %, 0.3 %, and never 0 % or 100 % for what is not."""
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    if share > 0.995:
        return f"{100 * min(share, 0.9999):.2f} %"
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


@rule(
    "sentinels",
    "Log-probs that stand for “none”",
    threshold=f"a response token has a log π_old of {SENTINEL_OLD:g} or less, a log π_θ of {SENTINEL:g} or less, or "
    "NaN (problem); or such values stand under the mask only (note).",
    reason="a token of probability e^−50 = 2e-22 is not sampled in the lifetime of a cluster; −9999 and −1e9 are "
    "written where there was no log-prob. One of them moves a mean over a million tokens. They are left out of all "
    "other rules.",
    remedy="Mask these tokens, or take their log-probs from the trainer: usually they were added after sampling (an "
    "end token, a tool's answer, a forced prefix).",
    severities=("problem", "note"),
)
def sentinels(facts: Facts) -> Found | None:
    count = int(facts.sentinels.sum())
    if count:
        share = count / max(count + facts.tokens, 1)
        number = f"{count:,} response tokens ({percent(share)}) in {np.count_nonzero(facts.sentinels):,} sequences"
        return Found("problem", count, number, facts.worst(facts.sentinels))
    if facts.hidden:
        return Found(
            "note",
            facts.hidden,
            f"{facts.hidden:,} tokens, all under the mask",
            title="“None” values under the mask",
            remedy="Nothing: they are not read. Only a mask that shifts by one would let them in.",
        )
    return None


@rule(
    "zero_fillers",
    "Log-probs of exactly 0 that look filled in",
    threshold="at least 0.1 % of the response tokens have one log-prob of exactly 0 while the other is below −0.01, or "
    "the first or last ones of at least 3 sequences and 5 % of them. Not where `truncated_sampling` explains them: of "
    "a distribution cut to one token it is 0 as well; nor, but at such an end, where log-probs are `shifted`, or where "
    "both sides have as many (one at least half of the other): those of two different orders; nor where `padding` "
    "has them all.",
    reason="probability 1 in one model and less than 0.99 in the other is no rounding: 0 is what padding, a shifted "
    "mask or a missing score leaves. Exact zeros in both are usual for tokens that are certain, and are not counted.",
    remedy="Look where log-probs are gathered: the shift by one between logits and tokens, and the padding side.",
    severities=("problem",),
)
def zero_fillers(facts: Facts) -> Found | None:
    moved = shifted(facts)
    count = int(facts.one_zero[~moved].sum())
    at_end = count >= max(3, 0.05 * len(moved)) and max(facts.zero_first, facts.zero_last) >= 0.9 * count
    if count < max(1, 1e-3 * facts.tokens) and not at_end:
        return None
    pads = padding(facts.rollouts)
    if pads is not None and (facts.one_zero <= pads.rows).all():
        return None
    swapped = 3 * min(facts.zero_new, facts.one_zero.sum() - facts.zero_new) >= facts.one_zero.sum()
    if verdict(facts).cause == "truncated_sampling" or ((moved.any() or swapped) and not at_end):
        return None
    number = f"{count:,} of {facts.tokens:,} response tokens ({percent(count / facts.tokens)}), {_place(facts, count)}"
    return Found("problem", count / facts.tokens, number, facts.worst(facts.one_zero))


def _place(facts: Facts, count: int) -> str:
    for at, name in ((facts.zero_last, "last"), (facts.zero_first, "first")):
        if at >= 0.9 * count:
            own = "all" if at == count else percent(at / count) + " of them"
            return f"{own} the {name} token of a sequence"
    return f"anywhere in {np.count_nonzero(facts.one_zero):,} sequences"


@rule(
    "constant_logprobs",
    "Sequences whose old log-probs are all the same",
    threshold="a sequence of 8 or more response tokens has one and the same log π_old on all of them; or on one side "
    "log-probs never rise and fall 16 times, as running sums do.",
    reason="eight tokens in a row with equal log-probs to the last bit are not what a language model gives; a filler "
    "is, 0 or another, and a sum or a mean of the sequence. Log-probs that only fall are each the sum of those before.",
    remedy="Find out where the log-probs of these sequences were lost; as they are, their ratios mean nothing. Write "
    "each token's own log-prob, before any sum or mean over the sequence.",
    severities=("problem",),
)
def constant_logprobs(facts: Facts) -> Found | None:
    count = int(facts.constant.sum())
    if not count:
        return None
    number = f"{count:,} of {len(facts.counts):,} sequences"
    title = "Log-probs that are running sums" if 2 * facts.summed.sum() > count else ""
    return Found("problem", count, number, facts.worst(facts.constant * facts.counts), title)


@rule(
    "masked_out",
    "Masks that remove everything",
    threshold="a sequence has no response token (warning; problem if that is half of them or more), or at most 2 of 20 "
    "or more tokens (note).",
    reason="such a sequence costs a rollout and teaches nothing; with several objectives it still counts in the "
    "denominator of another framework's mean. A mask that leaves a token or two is most often shifted or inverted.",
    remedy="Open one: if the text after the prompt is masked, the mask is inverted or shifted; if the sequence was "
    "dropped on purpose (over-long, filtered), drop it before the group's advantages are computed.",
    severities=("problem", "warning", "note"),
)
def masked_out(facts: Facts) -> Found | None:
    lengths = facts.rollouts.lengths
    seen = facts.counts + facts.sentinels
    none, few = seen == 0, (seen > 0) & (seen <= 2) & (lengths >= 20)
    count = int(none.sum())
    if count:
        number = f"{count:,} of {len(lengths):,} sequences have no response token"
        severity: Severity = "problem" if 2 * count >= len(lengths) else "warning"
        return Found(severity, count / len(lengths), number, facts.worst(none * lengths))
    if few.any():
        number = f"{few.sum():,} of {len(lengths):,} sequences keep 1 or 2 of 20 or more tokens"
        return Found(
            "note", float(few.mean()), number, facts.worst(few * lengths), title="Masks that leave a token or two"
        )
    return None


_SPECIAL = re.compile(r"|<[^<>\s]*[^\W\d_][^<>\s]*>|\[PAD\]|⟨\d+⟩")  # no text of an answer: a name in brackets, an id


@rule(
    "padding",
    "Padding is trained on",
    threshold="at least 3 sequences and 5 % of them end in the same token four times or more, all of them response "
    "tokens: a special token or one that the file has only the id of (problem), or any other (warning).",
    reason="an answer ends once. What follows to the length of the longest is padding, which the policy did not draw: "
    "its tokens count in every mean, and with A > 0 it is taught to go on after its end. A policy that says one word "
    "for ever looks the same, and is worth a look too.",
    remedy="Give every token after the first end token the mask 0. Where padding and end token are one and the same, "
    "a mask of `tokens != pad` lets in all or none.",
    severities=("problem", "warning"),
)
def trained_on_padding(facts: Facts) -> Found | None:
    found = padding(facts.rollouts)
    if found is None:
        return None
    count = int(np.count_nonzero(found.rows))
    special = _SPECIAL.fullmatch(found.text) is not None
    tokens = int(found.rows.sum())
    number = (
        f"{tokens:,} response tokens ({percent(tokens / max(facts.tokens, 1))}) at the end of {count:,} of "
        f"{len(found.rows):,} sequences are {found.text!r}"
    )
    title = "" if special else "Answers end in one token over and over"
    return Found("problem" if special else "warning", count / len(found.rows), number, facts.worst(found.rows), title)


@rule(
    "tool_tokens",
    "A tool's output is trained on",
    threshold="in at least 3 sequences and 2 % of them, tokens between the tags of a tool's output (<tool_response>, "
    "<information>, <interpreter>, a message of the role tool …) are response tokens: all of them (problem), or more "
    "than those that are masked out (warning).",
    reason="the policy did not draw these tokens: their ratios mean nothing, and with A > 0 it is taught to make up "
    "what a tool should say. A policy that makes some up by itself leaves most others masked.",
    remedy="Give what a tool said the mask 0: in TRL `tool_mask`, in verl `response_mask` of the agent loop, in others "
    "the loss mask of the turn.",
    severities=("problem", "warning"),
)
def trained_on_tools(facts: Facts) -> Found | None:
    data = facts.rollouts
    inside = tool_tokens(data)
    if not inside.any():
        return None
    trained = np.add.reduceat((inside & data.mask).astype(np.int64), data.offsets[:-1])
    masked = np.count_nonzero(inside & ~data.mask)
    count, rows = int(trained.sum()), int(np.count_nonzero(trained))
    if rows < max(3, 0.02 * len(trained)) or count <= masked:
        return None
    drawn = data.mask & ~inside & (data.old_logprobs > SENTINEL_OLD)
    told = inside & data.mask & (data.old_logprobs > SENTINEL_OLD)
    number = f"{count:,} tokens in {rows:,} of {len(trained):,} sequences, {masked:,} masked out"
    if told.any() and drawn.any():
        means = [float(data.old_logprobs[which].mean()) for which in (told, drawn)]
        number += f"; mean log π_old {means[0]:.2g} there, {means[1]:.2g} elsewhere"
    return Found("warning" if masked else "problem", count / max(facts.tokens, 1), number, facts.worst(trained))


@rule(
    "length_cap",
    "Answers cut off at a length limit",
    threshold="at least 5 % of the sequences, and at least 3, have exactly the largest number of response tokens, "
    "which is more than ten times what lengths within 10 % below it have on average (warning); or 8 sequences or more "
    "are "
    "all equally long (problem where none of their rewards differ, a note where they do: these were read). Where a "
    "recorded run tells its limit, at least 5 % of the sequences, and at least 3, that reach it are enough (warning).",
    reason="lengths that end by themselves are spread; a pile at the largest one is a limit. Cut answers get a reward "
    "for a missing end and push the policy from long answers whatever they say (DAPO, arXiv 2503.14476, masks them).",
    remedy="Raise the generation budget, or mask or soften the reward of cut answers.",
    severities=("problem", "warning", "note"),
)
def length_cap(facts: Facts) -> Found | None:
    lengths = facts.counts + facts.sentinels
    top = int(lengths.max())
    at_top = lengths == top
    count = int(at_top.sum())
    if facts.cap and count < len(lengths) and (found := _reached(lengths, facts.cap)):
        return found
    if top < 8 or count < max(3, 0.05 * len(lengths)):
        return None
    if count == len(lengths):
        return _all_cut(facts, top)
    low = int(0.9 * top)
    near = np.count_nonzero((lengths >= low) & (lengths < top)) / max(top - low, 1)
    if count <= 10 * near:
        return None
    number = f"{count:,} of {len(lengths):,} sequences ({percent(count / len(lengths))}) have exactly {top:,} tokens"
    return Found("warning", count / len(lengths), number, tuple(int(i) for i in np.flatnonzero(at_top)[:8]))


def _reached(lengths: np.ndarray, cap: int) -> Found | None:
    """A limit that is known needs no pile to be seen."""
    there = np.flatnonzero(lengths >= cap)
    if len(there) < max(3, 0.05 * len(lengths)):
        return None
    number = (
        f"{len(there):,} of {len(lengths):,} sequences ({percent(len(there) / len(lengths))}) reach the run's limit of"
    )
    return Found("warning", len(there) / len(lengths), f"{number} {cap:,} tokens", tuple(map(int, there[:8])))


def _all_cut(facts: Facts, top: int) -> Found | None:
    count = len(facts.counts)
    if count < 8:
        return None
    rewards = facts.rewards[np.isfinite(facts.rewards)]
    alike = len(rewards) > 0 and np.ptp(rewards) == 0
    read = len(rewards) > 0 and not 0 < facts.cap <= top
    severity: Severity = "problem" if alike else "note" if read else "warning"
    said = f", and all have reward {rewards[0]:g}: none was read to its end" if alike else ""
    number = f"all {count:,} sequences have exactly {top:,} tokens{said}"
    title = "Every answer is equally long" if severity == "note" else "Every answer is cut off"
    return Found(severity, 1.0, number, tuple(range(min(8, count))), title)


@rule(
    "copies",
    "The same sequence more than once",
    threshold="sequences of 8 or more response tokens share all their old log-probs to the last bit, across "
    "different groups (warning), or so many within their groups that less than half of the completions are different "
    "ones (note).",
    reason="equal log-probs to the last bit are a copy of a row, or the same text sampled again. Across groups it is "
    "the former: rows written twice count twice. Within a group it shrinks G: copies get the same advantage.",
    remedy="Across groups: look for a batch that was written twice. Within groups: a higher temperature, or other "
    "prompts.",
    severities=("warning", "note"),
)
def copies(facts: Facts) -> Found | None:
    long = np.flatnonzero((facts.counts >= 8) & ~facts.constant)
    if len(long) < 2:
        return None
    _, first, kind = np.unique(facts.codes[long], return_index=True, return_inverse=True)
    repeated = len(long) - len(first)
    labels = facts.rollouts.groups
    group = np.unique([f"{labels[i]}" for i in long], return_inverse=True)[1]
    elsewhere = group != group[first][kind]
    if elsewhere.any() and any(labels[i] is not None for i in long):
        indices = long[elsewhere]
        number = f"{len(indices):,} of {len(long):,} sequences repeat one of another group"
        return Found("warning", len(indices) / len(long), number, tuple(int(i) for i in indices[:8]))
    if 2 * repeated > len(long):
        extra = np.ones(len(long), bool)
        extra[first] = False
        number = f"{len(first):,} different ones among {len(long):,} sequences"
        where = tuple(int(i) for i in long[extra][:8])
        return Found("note", repeated / len(long), number, where, title="Most completions are copies of one another")
    return None


@rule(
    "bf16",
    "Log-probs stored in 16 bits",
    threshold="at least 200 response tokens have log-probs that are not 0, and 99 % of them are bfloat16 numbers in "
    "both columns.",
    reason="bfloat16 has 8 bits: between −1 and −2 its steps are 0.0078, so a ratio moves in steps of 0.8 %. That is "
    "twenty times GSPO's band, and most of what one update does to a token.",
    remedy="Take log-softmax and the gather in float32 and store float32; the model may stay in bf16.",
    severities=("warning",),
)
def bf16(facts: Facts) -> Found | None:
    if facts.nonzero < 200 or facts.bf16 < 0.99 * facts.nonzero:
        return None
    share = facts.bf16 / facts.nonzero
    return Found("warning", share, f"{percent(share)} of {facts.nonzero:,} tokens")
