"""Rules about rewards and advantages: is there a signal, and does it point the right way?"""

from __future__ import annotations

import numpy as np

from sapo_viz.rollouts.facts import Facts
from sapo_viz.rollouts.findings import Found, Severity, rule
from sapo_viz.rollouts.groups import group_labels
from sapo_viz.rollouts.rules_data import percent


@rule(
    "no_signal",
    "Every advantage is 0",
    threshold="no response token has an advantage other than 0.",
    reason="the gradient is A times something: here there is none, whatever the objective.",
    remedy="Look at the rewards: are they all equal, was the reward function called, is a group one completion only?",
    severities=("problem",),
)
def no_signal(facts: Facts) -> Found | None:
    if not facts.tokens or facts.size.any():
        return None
    return Found("problem", 0.0, f"A = 0 on all {facts.tokens:,} response tokens")


@rule(
    "dead_groups",
    "Groups whose rewards are all equal",
    threshold="any group of 2 or more has one reward for all (note); half of them or more (warning); all (problem).",
    reason="without a spread of rewards a group's advantages are 0: its rollouts are paid for and not learned from. "
    "Some are usual, and more late in a run; DAPO (arXiv 2503.14476) samples until there are none.",
    remedy="All at the lowest: prompts too hard, or a reward that cannot be reached (parsing). All at the highest: too "
    "easy, drop them from the pool. Sample more completions a prompt, or other prompts.",
    severities=("problem", "warning", "note"),
)
def dead_groups(facts: Facts) -> Found | None:
    known, label, count = group_labels(facts.rollouts)
    if not len(known):
        return None
    rewards = facts.rewards[known]
    lowest, highest = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(lowest, label, rewards)
    np.maximum.at(highest, label, rewards)
    several = np.bincount(label, minlength=count) >= 2
    dead = several & (lowest == highest)
    if not dead.any():
        return None
    low, high = rewards.min(), rewards.max()
    at_low = dead & (lowest == low) & (low < high or low <= 0)
    at_high = dead & (lowest == high) & ~at_low
    share = dead.sum() / several.sum()
    parts = [
        f"all at the lowest reward ({low:g}): {at_low.sum():,}",
        f"all at the highest ({high:g}): {at_high.sum():,}",
    ]
    if other := int(dead.sum() - at_low.sum() - at_high.sum()):
        parts.append(f"all equal at another: {other:,}")
    number = f"{dead.sum():,} of {several.sum():,} groups ({percent(share)}); " + ", ".join(parts)
    severity: Severity = "problem" if share == 1 else "warning" if share >= 0.5 else "note"
    first = np.unique(label, return_index=True)
    where = known[first[1][dead[first[0]]]]
    return Found(severity, share, number, tuple(int(i) for i in where[:8]))


@rule(
    "single_completions",
    "Groups of one completion",
    threshold="half of the groups or more have one completion only, and rewards differ between groups.",
    reason="a group-relative advantage compares the completions of one prompt; alone, each is its own mean and gets 0. "
    "Most often `group` was filled with the id of the sequence.",
    remedy="Write the prompt's id into `group`, the same for its G completions.",
    severities=("problem",),
)
def single_completions(facts: Facts) -> Found | None:
    known, label, count = group_labels(facts.rollouts)
    if len(known) < 2 or np.ptp(facts.rewards[known]) == 0:
        return None
    alone = int((np.bincount(label, minlength=count) == 1).sum())
    if 2 * alone < count:
        return None
    number = f"{alone:,} of {count:,} groups have one completion"
    return Found("problem", alone / count, number)


@rule(
    "reward_sign",
    "Advantages fall where rewards rise",
    threshold="within groups, the correlation of reward and advantage is below −0.1 and below −4/√n, n the completions "
    "(problem); or it is below 0.1 over 64 or more (warning).",
    reason="an advantage is a reward with a baseline taken off: within a group it can only rise with the reward. A "
    "length penalty or a KL term in the reward bends it, and does not turn it.",
    remedy="Look for a sign: a loss taken for a reward, or rewards and sequences that were shuffled against each "
    "other.",
    severities=("problem", "warning"),
)
def reward_sign(facts: Facts) -> Found | None:
    known, label, count = group_labels(facts.rollouts)
    known, label = known[facts.counts[known] > 0], label[facts.counts[known] > 0]
    if len(known) < 4:
        return None
    size = np.maximum(np.bincount(label, minlength=count), 1)

    def centred(values: np.ndarray) -> np.ndarray:
        return values - (np.bincount(label, values, count) / size)[label]

    reward, advantage = centred(facts.rewards[known]), centred(facts.advantages[known])
    norm = np.sqrt((reward @ reward) * (advantage @ advantage))
    if not norm > 1e-12:
        return None
    correlation = float(reward @ advantage / norm)
    against_it = correlation < -max(0.1, 4 / np.sqrt(len(known)))
    if not against_it and (correlation >= 0.1 or len(known) < 64):
        return None
    against = np.where(reward * advantage < 0, np.abs(reward * advantage), 0)
    score = np.zeros(len(facts.counts))
    score[known] = against
    severity: Severity = "problem" if against_it else "warning"
    title = "" if against_it else "Advantages have little to do with the rewards"
    number = f"correlation {correlation:.2f} over {len(known):,} completions"
    return Found(severity, correlation, number, facts.worst(score), title)


@rule(
    "one_sign",
    "All advantages have the same sign",
    threshold="there are 16 or more sequences with an advantage, and all of these are positive, or all negative.",
    reason="a group-relative advantage sums to 0 over its group, so both signs occur. One sign means that no baseline "
    "was taken off: the policy is pushed towards (or away from) everything that it said.",
    remedy="Subtract the group's mean reward; if the file was filtered by sign on purpose, read the shares with that "
    "in mind.",
    severities=("warning",),
)
def one_sign(facts: Facts) -> Found | None:
    signs = np.sign(facts.advantages[facts.size > 0])
    if len(signs) < 16 or abs(signs.sum()) < len(signs):
        return None
    return Found(
        "warning", float(signs[0]), f"{len(signs):,} of {len(signs):,} {'above' if signs[0] > 0 else 'below'} 0"
    )


@rule(
    "advantage_scale",
    "Advantages of an unusual size",
    threshold="the mean |A| of the tokens with A ≠ 0 is above 5 or below 0.01, or one |A| mean of a sequence is "
    "above 20.",
    reason="divided by the standard deviation, a group's mean |A| is at most 1, and the largest of G is below √G; R "
    "− mean is about as large as the rewards. The learning rate multiplies it, and gradient clipping hides it.",
    remedy="Compare with (R − mean)/std: rewards on another scale (0 to 100), a division by a tiny std, or one done "
    "twice.",
    severities=("warning",),
)
def advantage_scale(facts: Facts) -> Found | None:
    signal = facts.size > 0
    if not signal.any():
        return None
    sides = facts.sides[1].n + facts.sides[-1].n
    mean, largest = float(facts.size.sum() / sides), float(np.abs(facts.advantages).max())
    if 0.01 <= mean <= 5 and largest <= 20:
        return None
    number = f"mean |A| = {mean:.3g}, largest of a sequence {largest:.3g}"
    return Found("warning", mean, number, facts.worst(np.abs(facts.advantages)))
