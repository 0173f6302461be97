"""Rules about rewards and advantages: is there a signal, and does it point the right way?"""

from __future__ import annotations

import numpy as np

from sapo_viz.rollouts.analysis.facts import Facts
from sapo_viz.rollouts.analysis.groups import (
    RECIPES,
    WITHIN,
    follow_rewards,
    group_labels,
    group_sums,
    mixed_up,
    normalisation,
    sequence_advantages,
    split_prompts,
)
from sapo_viz.rollouts.findings.rule import Found, Severity, rule
from sapo_viz.rollouts.findings.rules_data import percent


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
    threshold="any group of 2 or more has one reward for all and no advantage (note); half of 16 groups or more "
    "(warning, unless `split_groups` says why); all of 4 or more (problem).",
    reason="where advantages are taken against the group's own mean, a group without a spread of rewards has none: its "
    "rollouts are paid for and not learned from. (One that has advantages all the same is not counted: they come from "
    "completions that the file leaves out, from a baseline of the whole batch, or from a penalty for length or KL "
    "beside the reward.) Some such groups are usual, and more late in a run; DAPO (arXiv "
    "2503.14476) samples until there are none. With a chance p of "
    "a right answer and prompts alike, p^G + (1 − p)^G of the groups are dead: a larger G is the remedy where that is "
    "what is seen.",
    remedy="All at the lowest: prompts too hard, or a reward that cannot be reached (parsing). All at the highest: too "
    "easy, drop them from the pool. Sample more completions per prompt, or other prompts.",
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
    size = np.abs(np.nan_to_num(sequence_advantages(facts.rollouts)[known]))
    given = np.bincount(label, size > 0.01 * size[size > 0].mean() if size.any() else size > 0, count) > 0
    dead = several & (lowest == highest) & ~given
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
    number += _forecast(rewards, label, several, float(share))
    many = share >= 0.5 and several.sum() >= 16  # of fewer, half may be chance
    split = split_groups(facts)
    many = many and (split is None or split.severity == "note")
    whole = share == 1 and several.sum() >= 4
    severity: Severity = "problem" if whole else "warning" if many else "note"
    first = np.unique(label, return_index=True)
    where = known[first[1][dead[first[0]]]]
    return Found(severity, share, number, tuple(int(i) for i in where[:8]))


def _forecast(rewards: np.ndarray, label: np.ndarray, several: np.ndarray, share: float) -> str:
    """p^G + (1−p)^G beside what is seen, and the G that would leave a tenth; empty unless rewards take two values."""
    low, high = rewards.min(), rewards.max()
    if low == high or not np.isin(rewards, (low, high)).all():
        return ""
    sizes = np.bincount(label, minlength=len(several))[several]
    p = float((rewards == high).mean())
    expected = float((p**sizes + (1 - p) ** sizes).mean())
    enough = np.arange(2, 10_001)
    enough = enough[p**enough + (1 - p) ** enough <= 0.1]
    text = f". With p = {p:.2g} and G = {np.median(sizes):g} one expects p^G + (1 − p)^G = {percent(expected)}"
    if share > expected + 3 * np.sqrt(expected * (1 - expected) / len(sizes)) + 0.05:
        return text + " if prompts are alike; more are dead, so some prompts are too hard or too easy at any G"
    return text + (f"; G = {enough[0]:,} would leave a tenth" if len(enough) and enough[0] > np.median(sizes) else "")


@rule(
    "single_completions",
    "Groups of one completion",
    threshold="half of the groups or more have one completion only, rewards differ between groups, and of these "
    "completions 90 % have an advantage of 0, or their own reward for one (problem); or their advantages are others "
    "(note).",
    reason="a group-relative advantage compares the completions of one prompt; alone, each is its own mean and gets 0, "
    "or, in verl, its reward with no baseline taken off. Most often `group` was filled with the id of the sequence. An "
    "advantage that is neither was taken against others: those of the group that the file leaves out, as where a few "
    "sequences of a shuffled batch are recorded, or a baseline that is not the group's.",
    remedy="Write the prompt's id into `group`, the same for its G completions.",
    severities=("problem", "note"),
)
def single_completions(facts: Facts) -> Found | None:
    known, label, count = group_labels(facts.rollouts)
    if len(known) < 2 or np.ptp(facts.rewards[known]) == 0:
        return None
    lone = known[(np.bincount(label, minlength=count) == 1)[label]]
    if 2 * len(lone) < count:
        return None
    number = f"{len(lone):,} of {count:,} groups have one completion"
    given = sequence_advantages(facts.rollouts)[lone]
    given, reward = given[np.isfinite(given)], facts.rewards[lone][np.isfinite(given)]
    none, own = np.abs(given) <= 1e-6, np.abs(given - reward) <= 0.005 + 0.01 * np.abs(reward)
    if not len(given) or max(none.mean(), own.mean()) >= 0.9:
        return Found("problem", len(lone) / count, number)
    against = f"{number}; {np.count_nonzero(~none):,} of these have an advantage, taken against others than the file's"
    return Found(
        "note",
        len(lone) / count,
        against,
        title="Groups of which the file has one completion",
        remedy="Nothing, where the file has a part of each group on purpose: read shares over groups (dead ones, pass "
        "rates) with that in mind. Where it should have whole ones, look at what was written into `group`.",
    )


@rule(
    "split_groups",
    "One prompt's completions are several groups",
    threshold="prompts are in the file, at least 4 of them and half have two or more groups of two or more completions "
    "at one step, next to one another (warning where the advantages were taken against these parts alone, else a "
    "note).",
    reason="the baseline of a part is noisier than that of the whole, and a part is dead more often: p^G + (1 − p)^G "
    "at half of G. Splits come from ranks or micro-batches that each make advantages from what they hold.",
    remedy="Gather rewards over all ranks before advantages are made, and number groups by prompt.",
    severities=("warning", "note"),
)
def split_groups(facts: Facts) -> Found | None:
    found = split_prompts(facts.rollouts)
    if found is None or found.split < max(4, 0.5 * found.prompts):
        return None
    number = f"{found.split:,} of {found.prompts:,} prompts, {found.parts:.3g} groups each"
    severity: Severity = "note"
    if normalisation(facts.rollouts).recipe in WITHIN:
        number += "; advantages are taken against these parts"
        severity = "warning"
    return Found(severity, found.split / found.prompts, number, found.where)


@rule(
    "reward_sign",
    "Advantages fall where rewards rise",
    threshold="within groups, the correlation of reward and advantage is below −0.1 and that by 4 standard errors, as "
    "Student's t of the completions in groups with different rewards gives them, or below −0.99 in 2 such groups or "
    "more (problem); or it is below 0.1 over 24 "
    "or more of these (warning).",
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
        away: np.ndarray = values - (np.bincount(label, values, count) / size)[label]
        return away

    reward, advantage = centred(facts.rewards[known]), centred(facts.advantages[known])
    norm = np.sqrt((reward @ reward) * (advantage @ advantage))
    if not norm > 1e-12:
        return None
    correlation = float(reward @ advantage / norm)
    telling = (np.bincount(label, np.abs(reward) > 1e-12, count) > 0)[label]
    free = int(telling.sum()) - len(np.unique(label[telling])) - 1
    against_it = correlation < -0.1 and free >= 3 and deviations(correlation, free) < -4
    against_it = against_it or (correlation < -0.99 and len(np.unique(label[telling])) >= 2)
    few = telling.sum() < 24
    if not against_it and (correlation >= 0.1 or few or mixed_up(facts.rollouts) is not None):
        return None
    against = np.where(reward * advantage < 0, np.abs(reward * advantage), 0)
    score = np.zeros(len(facts.counts))
    score[known] = against
    severity: Severity = "problem" if against_it else "warning"
    title = "" if against_it else "Advantages have little to do with the rewards"
    number = f"correlation {correlation:.2f} over {telling.sum():,} completions"
    return Found(severity, correlation, number, facts.worst(score), title)


def deviations(correlation: float, free: int) -> float:
    """How sure a correlation is, in standard deviations of a normal variable: Wallace's transformation (1959) of t."""
    rest = max(1 - correlation**2, 1e-12)
    return float(np.sign(correlation) * (8 * free + 1) / (8 * free + 3) * np.sqrt(-free * np.log(rest)))


@rule(
    "advantage_recipe",
    "Advantages that do not follow from the groups",
    threshold="one advantage per sequence, at least 16 completions in groups with different rewards, no known recipe "
    "agrees on 90 % of them, and either another grouping or one more scaling explains 90 %, or half of the groups have "
    "advantages that neither sum to 0 nor rise with the rewards in a line (warning); or the recipe is one without the "
    "group's own mean or std, R − mean scaled over the batch, or one divided by the number of tokens (note).",
    reason="a group-relative advantage can be worked out again from rewards and groups. Completions that were "
    "interleaved otherwise than the code believed are compared with those of other prompts; a second "
    "normalisation over the batch changes the step's size with every batch.",
    remedy="Work out one group's advantages by hand. Look where completions are repeated for a prompt (repeat or "
    "repeat_interleave), where rows are shuffled, and at each place that divides by a standard deviation.",
    severities=("warning", "note"),
)
def advantage_recipe(facts: Facts) -> Found | None:
    data = facts.rollouts
    flat = np.abs(facts.size - np.abs(facts.sum_a)) <= 1e-6 * np.maximum(facts.size, 1)
    made = normalisation(data)
    if not flat.all() or made.completions < 16:
        return None
    if made.recipe is not None:
        if made.recipe not in ("batch_std", "batch"):
            return None
        number = f"{RECIPES[made.recipe].formula} on {percent(made.explained)} of {made.completions:,} completions"
        return Found("note", made.explained, number, title="Advantages are scaled by the whole file's rewards")
    best = max(made.agree, key=lambda name: made.agree[name])
    number = f"{RECIPES[best].formula} agrees on {percent(made.agree[best])} of {made.completions:,} completions"
    where = tuple(int(i) for i in made.differ[:8])
    found = mixed_up(data)
    if found is not None:
        if found.kind in ("twice", "batch") and advantage_scale(facts) is not None:
            return None
        severity, title = _MIXED[found.kind]
        number = f"{found.text}, on {percent(found.explained)} of the completions; {number}"
        return Found(severity, found.explained, number, where, title=title)
    off, groups = group_sums(data)
    straight, told = follow_rewards(data)
    if off < 0.5 or groups < 4 or told < 4 or straight > 0.5 or reward_sign(facts) is not None:
        return None
    return Found("warning", off, f"{percent(off)} of {groups:,} groups do not sum to 0; {number}", where)


@rule(
    "one_sign",
    "All advantages have the same sign",
    threshold="there are 16 or more sequences with an advantage, or 4 whose advantage is their own reward, and all of "
    "these are positive, or all negative (warning); or the advantage of 16 or more is their own reward, of both signs, "
    "and groups do not sum to 0 (warning). A note where all advantages are negative and better rewards have 0, or "
    "all positive and worse ones have it, and they are not the rewards times a number: so looks what was left out on "
    "purpose. Not where `single_completions` says why.",
    reason="a group-relative advantage sums to 0 over its group, so both signs occur. One sign means that no baseline "
    "was taken off: the policy is pushed towards (or away from) everything that it said. Rewards of ±1 hide it: a "
    "prompt that is always solved pushes on for ever.",
    remedy="Subtract the group's mean reward; if the file was filtered by sign on purpose, read the shares with that "
    "in mind.",
    severities=("warning", "note"),
)
def one_sign(facts: Facts) -> Found | None:
    signs = np.sign(facts.advantages[facts.size > 0])
    alone = single_completions(facts)
    enough = 4 if own_rewards(facts) else 16
    if len(signs) < enough or (alone is not None and alone.severity == "problem"):
        return None
    if abs(signs.sum()) < len(signs):
        return _own_rewards(facts) if len(signs) >= 16 and own_rewards(facts) else None
    number = f"{len(signs):,} of {len(signs):,} {'above' if signs[0] > 0 else 'below'} 0"
    known = (facts.counts > 0) & np.isfinite(facts.rewards)
    learned, left_out = known & (facts.size > 0), known & (facts.size == 0)
    if not left_out.any() or not learned.any() or _proportional(facts, learned):
        return Found("warning", float(signs[0]), number)
    apart = signs[0] * (facts.rewards[learned].mean() - facts.rewards[left_out].mean())
    severity: Severity = "note" if apart > 0 else "warning"
    return Found(severity, float(signs[0]), number)


def _proportional(facts: Facts, rows: np.ndarray) -> bool:
    """Whether the advantages of these sequences are their rewards times one number: no baseline either."""
    rewards, given = facts.rewards[rows], facts.advantages[rows]
    return bool(np.allclose(given * (rewards @ rewards), rewards * (given @ rewards), atol=1e-6) and rewards.any())


def _own_rewards(facts: Facts) -> Found | None:
    """Advantages that are the rewards themselves, unless these were made group-relative before they were written."""
    off, groups = group_sums(facts.rollouts)
    if groups < 2 or off < 0.5:
        return None
    count = int((facts.size > 0).sum())
    number = f"A = R on all {count:,} sequences; {percent(off)} of {groups:,} groups do not sum to 0"
    return Found("warning", off, number, title="Advantages are the rewards: no baseline was taken off")


def own_rewards(facts: Facts) -> bool:
    """Whether each sequence's advantage is its own reward, where these differ: no baseline was taken off."""
    used = (facts.counts > 0) & np.isfinite(facts.rewards)
    rewards = facts.rewards[used]
    return len(rewards) > 0 and np.ptp(rewards) > 0 and bool(np.allclose(facts.advantages[used], rewards, atol=1e-6))


_MIXED: dict[str, tuple[Severity, str]] = {
    "twice": ("warning", "Advantages are scaled a second time"),
    "groups": ("warning", "Advantages were made with other groups"),
    "batch": ("note", "Advantages are scaled over the whole batch"),
    "length": ("note", "Advantages are divided by the answer's length"),
}


@rule(
    "advantage_scale",
    "Advantages of an unusual size",
    threshold="the mean |A| of the tokens with A ≠ 0 is above 5 or below 0.01 (not where each is divided by its "
    "answer's length), or one |A| mean of a sequence is above 20.",
    reason="divided by the standard deviation, a group's mean |A| is at most 1, and the largest of G is below √G; R "
    "− mean is about as large as the rewards. The learning rate multiplies it, and gradient clipping hides it.",
    remedy="Compare with (R − mean)/std: rewards on another scale (0 to 100), a division by a tiny std, or one done "
    "twice.",
    severities=("warning",),
)
def advantage_scale(facts: Facts) -> Found | None:
    sides = facts.sides[1].n + facts.sides[-1].n
    if not sides:  # none, or log-probs that are filled in
        return None
    mean, largest = float(facts.size.sum() / sides), float(np.abs(facts.advantages).max())
    if 0.01 <= mean <= 5 and largest <= 20:
        return None
    mixed = mixed_up(facts.rollouts) if mean < 0.01 else None
    if mixed is not None and mixed.kind == "length":
        return None
    number = f"mean |A| = {mean:.3g}, largest of a sequence {largest:.3g}"
    return Found("warning", mean, number, facts.worst(np.abs(facts.advantages)))
