"""From texts and their scores by two models to rollouts, with whatever the dump said of rewards and groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sapo_viz.models.scoring.cache import ScoredText
from sapo_viz.rollouts.build import build
from sapo_viz.rollouts.record import Record
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.texts import TextDump


def first_groups(texts: TextDump, limit: int) -> TextDump:
    """The first whole groups with at most `limit` completions in all; of a first group that is larger, the beginning.

    Half a group would give other advantages than the run had.
    """
    members: dict[str, list[int]] = {}
    for index, group in enumerate(texts.groups):
        members.setdefault(group, []).append(index)
    taken: list[int] = []
    for group_members in members.values():
        if len(taken) + len(group_members) > limit:
            break
        taken += group_members
    if not taken:
        taken = next(iter(members.values()), [])[:limit]
    taken.sort()

    def pick(values: Sequence[object]) -> tuple[object, ...]:
        return tuple(values[index] for index in taken)

    columns = ("prompts", "completions", "rewards", "groups", "steps", "advantages")
    return replace(texts, **{name: pick(getattr(texts, name)) for name in columns})  # type: ignore[arg-type]


def scored_rollouts(
    texts: TextDump,
    new: Sequence[ScoredText | None],
    old: Sequence[ScoredText | None],
    notes: Sequence[str] = (),
    *,
    ids: Sequence[str] | None = None,
) -> Rollouts:
    """The sequences of `texts` whose scores are there, N of each.

    A completion without advantage and without reward counts as good (A = 1), which a note says.
    """
    rollouts = build(texts.name, _records(texts, new, old, ids))
    bare = sum(
        score is not None and advantage is None and reward is None
        for score, advantage, reward in zip(new, texts.advantages, texts.rewards, strict=True)
    )
    said = [f"No reward and no advantage is known, A = 1 is taken; sequences: {bare:,}."] if bare else []
    return replace(rollouts, notes=(*notes, *texts.notes, *said, *rollouts.notes))


def _records(
    texts: TextDump,
    new: Sequence[ScoredText | None],
    old: Sequence[ScoredText | None],
    ids: Sequence[str] | None,
) -> Iterator[Record]:
    for index, (score, old_score) in enumerate(zip(new, old, strict=True)):
        if score is None or old_score is None:
            continue
        values = {
            "tokens": list(score.tokens),
            "token_ids": list(score.token_ids),
            "logprobs": list(score.logprobs),
            "old_logprobs": list(old_score.logprobs),
            "prompt": texts.prompts[index],
            "id": ids[index] if ids else str(index + 1),
        }
        advantage, reward, step = texts.advantages[index], texts.rewards[index], texts.steps[index]
        if step is not None:
            values["step"] = step
        if advantage is not None:
            values["advantage"] = advantage
        elif reward is None:
            values["advantage"] = 1.0
        if reward is not None:
            values |= {"reward": reward, "group": texts.groups[index]}
        yield Record(texts.name, f"sequence {index + 1}", values)
