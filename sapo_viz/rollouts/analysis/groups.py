"""The group view: the completions of a prompt beside one another, and how the file's advantages were made.

Completions belong together when they share `group` and `step`: many frameworks number prompts anew each step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sapo_viz.rollouts.analysis.facts import numbers_of
from sapo_viz.rollouts.once import once
from sapo_viz.rollouts.schema import Rollouts

if TYPE_CHECKING:
    import pandas as pd

    from sapo_viz.rollouts.analysis.analyse import Analysis

_EPS = 1e-6  # as in core.advantages: it is what the file's framework adds to the standard deviation, or nearly


@once
def group_labels(rollouts: Rollouts) -> tuple[np.ndarray, np.ndarray, int]:
    """The sequences that have a group and a reward [K], which group each is in [K] from 0, and how many groups.

    Groups are numbered in the order in which they come first.
    """
    rewards = numbers_of(rollouts.rewards)
    known = [i for i, group in enumerate(rollouts.groups) if group is not None and np.isfinite(rewards[i])]
    numbers: dict[object, int] = {}
    label = [numbers.setdefault((rollouts.groups[i], _plain(rollouts.steps[i])), len(numbers)) for i in known]
    return np.array(known, dtype=np.int64), np.array(label, dtype=np.int64), len(numbers)


def _plain(step: object) -> object:
    return None if step is None or step != step else step


@dataclass(frozen=True)
class Recipe:
    """A way to make advantages from rewards."""

    name: str
    formula: str
    where: str  # who does it so


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("std", "(R − mean)/(std + ε), sample std", "GRPO in TRL, verl and here"),
        Recipe("std_population", "(R − mean)/(std + ε), population std", "NumPy's default std"),
        Recipe("mean", "R − mean", "Dr. GRPO (arXiv 2503.20783)"),
        Recipe("leave_one_out", "R − mean of the others", "RLOO (arXiv 2402.14740)"),
        Recipe("batch_std", "(R − mean of the group)/(std of the file + ε)", 'TRL\'s scale_rewards="batch"'),
        Recipe("batch", "(R − mean of the file)/(std of the file + ε)", "no group baseline"),
        Recipe("reward", "R", "no baseline"),
    )
}

WITHIN = ("std", "std_population", "mean", "leave_one_out")  # recipes that compare within a group
_LEAST = 16  # completions that say another recipe is it


@dataclass(frozen=True)
class Normalisation:
    """How the file's advantages seem to have been made.

    recipe     of `RECIPES`, the one that explains most completions; None if none explains 90 % of them
    explained  share of the completions on which it agrees within 1 % of |A| and 0.005
    agree      recipe -> that share
    differ     [D] completions on which the file differs from the recipe (all, where there is none)
    completions  how many were compared: those with reward, group and a response token, in groups with a spread
    """

    recipe: str | None
    explained: float
    agree: dict[str, float]
    differ: np.ndarray
    completions: int

    @property
    def sentence(self) -> str:
        if not self.completions:
            return "No group has completions with different rewards, so how advantages were made cannot be seen."
        if self.recipe is None:
            best = max(self.agree, key=lambda name: self.agree[name])
            return (
                f"No known recipe explains the advantages; the nearest, {RECIPES[best].formula}, agrees on "
                f"{self.agree[best]:.0%} of {self.completions:,} completions."
            )
        recipe = RECIPES[self.recipe]
        return (
            f"The advantages are {recipe.formula} ({recipe.where}) on {round(self.explained * self.completions):,} of "
            f"{self.completions:,} completions."
        )


@dataclass(frozen=True)
class Split:
    """Prompts whose completions are several groups, among all prompts with two completions or more."""

    split: int
    prompts: int
    parts: float  # groups each of them has
    where: tuple[int, ...]


@once
def split_prompts(rollouts: Rollouts) -> Split | None:
    """None where a prompt is not known, or the groups of one do not stand next to one another.

    Those of two epochs of one prompt stand far apart, and are two groups rightly.
    """
    known, label, _ = group_labels(rollouts)
    texts = [rollouts.prompts[i] for i in known]
    if not texts or any(text is None for text in texts):
        return None
    numbers: dict[object, int] = {}
    prompt = [
        numbers.setdefault((text, _plain(rollouts.steps[i])), len(numbers))
        for i, text in zip(known, texts, strict=True)
    ]
    pairs, size = np.unique(np.stack((prompt, label)), axis=1, return_counts=True)
    parts = np.bincount(pairs[0], size >= 2, len(numbers))
    of = np.array(prompt)
    size_of = np.bincount(of, minlength=len(numbers))
    last = np.zeros(len(numbers), np.int64)
    np.maximum.at(last, of, np.arange(len(of)))
    first = np.full(len(numbers), len(of))
    np.minimum.at(first, of, np.arange(len(of)))
    split = (parts >= 2) & (last - first + 1 == size_of)
    if not split.any():
        return None
    where = tuple(int(known[i]) for i in first[split][:8])
    return Split(int(split.sum()), int((size_of >= 2).sum()), float(parts[split].mean()), where)


def recomputed(rollouts: Rollouts) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Each recipe's advantage. Returns the completions [K] and recipe -> [K].

    The means are exact for equal rewards: a group without a spread gets 0, not a rounding error over ε.
    """
    known, label, count = group_labels(rollouts)
    return known, _recipes(numbers_of(rollouts.rewards)[known], label, count)


def _recipes(reward: np.ndarray, label: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """recipe -> advantage [K] of rewards [K] whose groups [K] are numbered from 0 to `count`."""
    size = np.bincount(label, minlength=count)[label]
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, label, reward)
    np.maximum.at(high, label, reward)
    spread = (high > low)[label] if count else np.zeros(0, bool)
    mean = np.bincount(label, reward, count)[label] / size
    centred = np.where(spread, reward - mean, 0.0)
    square = np.bincount(label, centred**2, count)[label]
    whole = reward - reward.mean() if len(reward) else reward
    std = reward.std(ddof=1) if len(reward) > 1 else 0.0
    return {
        "std": centred / (np.sqrt(square / np.maximum(size - 1, 1)) + _EPS),
        "std_population": centred / (np.sqrt(square / np.maximum(size, 1)) + _EPS),
        "mean": centred,
        "leave_one_out": centred * size / np.maximum(size - 1, 1),
        "batch_std": centred / (std + _EPS),
        "batch": whole / (std + _EPS),
        "reward": reward,
    }


def sequence_advantages(rollouts: Rollouts) -> np.ndarray:
    """Mean A over the response tokens of each sequence; NaN without any. [N]"""
    starts = rollouts.offsets[:-1]
    total = np.add.reduceat(np.where(rollouts.mask, rollouts.advantages, 0.0), starts)
    count = np.add.reduceat(rollouts.mask.astype(np.int64), starts)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@once
def normalisation(rollouts: Rollouts) -> Normalisation:
    """Which recipe the file's advantages follow, over the completions of groups with different rewards.

    Recipes are asked in the order of `RECIPES`; a tie (rewards that make two agree) goes to the first.
    """
    known, values = recomputed(rollouts)
    given = sequence_advantages(rollouts)[known]
    take = np.isfinite(given) & (values["mean"] != 0)
    compared = int(take.sum())
    if not compared:
        return Normalisation(None, np.nan, dict.fromkeys(RECIPES, np.nan), np.zeros(0, np.int64), 0)
    fits = {name: np.abs(given - value) <= 0.005 + 0.01 * np.abs(value) for name, value in values.items()}
    agree = {name: float(fit[take].mean()) for name, fit in fits.items()}
    best = max(agree, key=lambda name: agree[name])
    recipe = best if agree[best] >= 0.9 else None
    differ = known[take & ~fits[best]] if recipe else known[take]
    return Normalisation(recipe, agree[best], agree, differ, compared)


@dataclass(frozen=True)
class Mixed:
    """What explains advantages that follow no recipe within their groups; empty `text` where nothing does."""

    # "groups": with other groups a recipe fits; "twice": what was divided by a std is scaled once more; "batch": what
    # was not is scaled over the batch, once; "length": divided by the number of tokens.
    kind: str
    text: str
    explained: float  # share of the completions


@once
def mixed_up(rollouts: Rollouts) -> Mixed | None:
    """Were advantages made with other groups than the file says, or scaled once more? None where neither explains 90 %.

    Other groups: of the same size, from rows that lie a stride apart (1: in runs). Scaled: taken against the mean and
    standard deviation of the batch, a recipe becomes a line a·A + b. Of R − mean that is REINFORCE++ with a baseline
    (OpenRLHF, verl), of what was divided by its group's std a second normalisation; R − mean is asked first, since
    groups of one std make both lines.
    """
    known, label, count = group_labels(rollouts)
    given = sequence_advantages(rollouts)[known]
    reward = numbers_of(rollouts.rewards)[known]
    sizes = np.bincount(label, minlength=max(count, 1))
    if len(known) < _LEAST or not np.isfinite(given).all() or count < 2:
        return None
    values = {name: own for name, own in _recipes(reward, label, count).items() if name in WITHIN}
    take = values["mean"] != 0
    if take.sum() >= _LEAST:
        tokens = np.add.reduceat(rollouts.mask.astype(np.int64), rollouts.offsets[:-1])[known]
        for name in ("mean", *(other for other in WITHIN if other != "mean")):
            own, formula = values[name], RECIPES[name].formula
            factor, base = np.polyfit(own, given, 1)
            fits = np.abs(given - factor * own - base) <= 0.005 + 0.01 * np.abs(given)
            if fits.mean() >= 0.9 and factor > 0 and np.abs(given[take]).max() > 0.01:
                offset = f" {base:+.2g}" if abs(base) > 0.005 else ""
                kind = "batch" if name in ("mean", "leave_one_out") else "twice"
                return Mixed(kind, f"they are {factor:.3g} × ({formula}){offset}", float(fits.mean()))
            factor = float(given * tokens @ own / (own @ own))
            fits = np.abs(given * tokens - factor * own) <= 0.01 * np.abs(factor * own) + 1e-9
            if fits.mean() >= 0.9 and factor > 0 and np.ptp(tokens[take]) > 0:
                return Mixed("length", f"they are {factor:.3g} × ({formula})/tokens", float(fits.mean()))
    if sizes.min() == sizes.max() and sizes[0] >= 2:
        return _other_groups(given, reward, values, int(sizes[0]), count)
    return None


def _other_groups(
    given: np.ndarray, reward: np.ndarray, values: dict[str, np.ndarray], size: int, count: int
) -> Mixed | None:
    """A recipe over groups of the same size whose completions lie `stride` rows apart."""
    place = np.arange(len(given))
    for stride in (n for n in range(1, count + 1) if count % n == 0):
        other = place // (stride * size) * stride + place % stride
        for name, own in _recipes(reward, other, count).items():
            if name not in WITHIN or not np.any(own):
                continue
            fits = np.abs(given - own) <= 0.005 + 0.01 * np.abs(own)
            differs = np.abs(own - values[name]) > 0.005 + 0.01 * np.abs(own)
            if fits.mean() >= 0.9 and differs.sum() >= _LEAST:
                rows = "rows that follow one another" if stride == 1 else f"rows {stride:,} apart"
                text = f"they are {RECIPES[name].formula} with {rows} taken for one prompt's completions"
                return Mixed("groups", text, float(fits.mean()))
    return None


def group_sums(rollouts: Rollouts) -> tuple[float, int]:
    """Share of groups whose advantages do not sum to 0 (beyond a tenth of Σ|A|), and how many groups have a spread."""
    known, label, count = group_labels(rollouts)
    given = np.nan_to_num(sequence_advantages(rollouts)[known])
    total, size = np.bincount(label, given, count), np.bincount(label, np.abs(given), count)
    asked = (size > 1e-6) & (np.bincount(label, minlength=count) >= 2)
    return float((np.abs(total) > 0.1 * size)[asked].mean()) if asked.any() else 0.0, int(asked.sum())


@once
def follow_rewards(rollouts: Rollouts) -> tuple[float, int]:
    """Share of groups within which A is a rising line of R, and how many groups can tell.

    Every comparison within a prompt gives one, R − mean over std, and it stays one where a part of the group was left
    out of the file; its sum is 0 no more. Three completions can tell, or two of equal rewards.
    """
    known, label, count = group_labels(rollouts)
    reward = numbers_of(rollouts.rewards)[known]
    given = np.nan_to_num(sequence_advantages(rollouts)[known])
    size = np.maximum(np.bincount(label, minlength=count), 1)
    r, a = (values - (np.bincount(label, values, count) / size)[label] for values in (reward, given))
    rr, ra = np.bincount(label, r * r, count), np.bincount(label, r * a, count)
    slope = np.where(rr > 0, ra / np.where(rr > 0, rr, 1), 0.0)
    on_it = np.abs(a - slope[label] * r) <= 0.005 + 0.01 * np.abs(given)
    line = (np.bincount(label, ~on_it, count) == 0) & (slope >= 0)
    some = np.bincount(label, np.abs(given) > 1e-6, count) > 0
    asked = some & ((size > 2) | ((size == 2) & (rr == 0)))
    return float(line[asked].mean()) if asked.any() else 0.0, int(asked.sum())


def group_table(rollouts: Rollouts, analysis: Analysis | None = None) -> pd.DataFrame:
    """One row per group, in the order of the file.

    group, step, first (its first sequence), completions, reward_mean, reward_min, reward_max, reward_std (sample),
    advantage_min, advantage_max, spread (`mixed`, `all lowest`, `all highest`, `all equal`; lowest and highest of the
    file), tokens, and `kept_<key>`, Σ|A|·w / Σ|A| over the group, for each objective of `analysis`.
    """
    import pandas as pd

    known, label, _ = group_labels(rollouts)
    rewards, given = numbers_of(rollouts.rewards)[known], sequence_advantages(rollouts)[known]
    rows = pd.DataFrame({"label": label, "index": known, "reward": rewards, "advantage": given})
    by = rows.groupby("label", sort=True)
    frame = pd.DataFrame(
        {
            "first": by["index"].first(),
            "completions": by.size(),
            "reward_mean": by["reward"].mean(),
            "reward_min": by["reward"].min(),
            "reward_max": by["reward"].max(),
            "reward_std": by["reward"].std(ddof=1),
            "advantage_min": by["advantage"].min(),
            "advantage_max": by["advantage"].max(),
        }
    ).reset_index(drop=True)
    frame.insert(0, "group", [rollouts.groups[i] for i in frame["first"]])
    frame.insert(1, "step", pd.array([_plain(rollouts.steps[i]) for i in frame["first"]], dtype="Int64"))
    lowest, highest = (rewards.min(), rewards.max()) if len(rewards) else (0.0, 0.0)
    kinds = [frame["reward_min"] < frame["reward_max"], frame["reward_max"] == lowest, frame["reward_min"] == highest]
    kinds[1] &= lowest < highest
    kinds[2] &= lowest < highest
    frame["spread"] = np.select(kinds, ["mixed", "all lowest", "all highest"], "all equal")
    if analysis is not None:
        sequences = analysis.sequences
        size = _sizes(rollouts)[known]
        total = np.bincount(label, size, len(frame))
        frame["tokens"] = np.bincount(label, analysis.counts[known], len(frame)).astype(np.int64)
        for key in analysis.objectives:
            kept = np.bincount(label, size * np.nan_to_num(sequences[f"kept_{key}"].to_numpy()[known]), len(frame))
            frame[f"kept_{key}"] = np.where(total > 0, kept / np.where(total > 0, total, 1), np.nan)
    return frame


def completion_table(rollouts: Rollouts, first: int, analysis: Analysis | None = None) -> pd.DataFrame:
    """One row per completion of the group that sequence `first` is in, the highest reward first.

    sequence (its place in the file), id, reward, advantage, advantage_std and advantage_mean ((R − mean)/std and
    R − mean, recomputed), length, and log_s and `kept_<key>` with `analysis`.
    """
    import pandas as pd

    known, label, _ = group_labels(rollouts)
    place = int(np.flatnonzero(known == first)[0])
    _, values = recomputed(rollouts)
    members = np.flatnonzero(label == label[place])
    index = known[members]
    frame = pd.DataFrame(
        {
            "sequence": index,
            "id": [rollouts.ids[i] for i in index],
            "reward": numbers_of(rollouts.rewards)[index],
            "advantage": sequence_advantages(rollouts)[index],
            "advantage_std": values["std"][members],
            "advantage_mean": values["mean"][members],
            "length": rollouts.lengths[index],
        }
    )
    if analysis is not None:
        frame["log_s"] = analysis.log_s[index]
        for key in analysis.objectives:
            frame[f"kept_{key}"] = analysis.sequences[f"kept_{key}"].to_numpy()[index]
    return frame.sort_values("reward", ascending=False, kind="stable").reset_index(drop=True)


def _sizes(rollouts: Rollouts) -> np.ndarray:
    """Σ|A| of each sequence. [N]"""
    return np.add.reduceat(np.where(rollouts.mask, np.abs(rollouts.advantages), 0.0), rollouts.offsets[:-1])
