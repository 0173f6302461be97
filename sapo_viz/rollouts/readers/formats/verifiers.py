"""verifiers before its version 1: `results.jsonl`, one line per rollout, prompt and completion as messages.

Written by `save_outputs` (PrimeIntellect-ai/verifiers, verifiers/legacy/utils/save_utils.py): example_id, prompt,
completion, reward, error, metrics, …; before that by `Dataset.to_json` in verifiers/scripts/eval.py, with id in place
of example_id. With `trajectory` among its state columns a row has a list of steps, whose `tokens` hold prompt_ids,
completion_ids, completion_mask and completion_logprobs, the sampler's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sapo_viz.rollouts.readers.formats.base import Contents, Entry, Format, Item, Notes, each
from sapo_viz.rollouts.readers.formats.messages import answered
from sapo_viz.rollouts.readers.formats.pair import OneSequence
from sapo_viz.rollouts.readers.formats.text_rows import Text, contents
from sapo_viz.rollouts.readers.formats.turns import chained
from sapo_viz.rollouts.vocabulary import IDS_ONLY

FAILED = "Rollouts that failed, left out"


def recognise(first: Mapping[str, Any]) -> bool:
    named = "example_id" in first or {"id", "task"} <= first.keys()
    return {"prompt", "completion", "reward"} <= first.keys() and named and "tokens" not in first


def read(file: str, items: Iterator[Item], notes: Notes) -> Contents:
    def take(row: Entry) -> Iterator[Text | OneSequence]:
        if row.has("error") or not row.has("completion") or row.values["completion"] == []:
            notes.count(FAILED)
            return
        group = next((f"example {row.values[name]}" for name in ("example_id", "id") if row.has(name)), None)
        sequences = list(_sequences(row, group, notes))
        if sequences:
            yield from sequences
            return
        prompt, answer = answered(row, "prompt", "completion", notes)
        if answer is not None:
            yield Text(
                prompt,
                answer,
                row.number("reward"),
                advantage=row.number("advantage"),
                group=group or repr(row.values["prompt"]),
            )

    return contents(file, FORMAT.name, each(file, items, notes, take), notes)


def _sequences(row: Entry, group: str | None, notes: Notes) -> Iterator[OneSequence]:
    """The steps of a trajectory; a step whose prompt goes on from the one before continues its sequence."""
    if not isinstance(row.values.get("trajectory"), list):
        return
    steps = [step.inner("tokens") for step in row.objects("trajectory") if step.has("tokens")]
    if not steps or not all(step.has("completion_logprobs") for step in steps):
        return
    notes.say(IDS_ONLY)
    joined = chained(steps, "prompt_ids", "completion_ids", "completion_logprobs")
    for number, (turns, _) in enumerate(joined, start=1):
        one = turns.sequence(f"{row.place}{f'.{number}' if len(joined) > 1 else ''}", notes)
        yield OneSequence(
            one.id, one.tokens, one.logprobs, one.mask, one.token_ids, reward=row.number("reward"), group=group
        )


FORMAT = Format(
    name="a verifiers results log",
    framework="verifiers v0",
    file="outputs/evals/*/results.jsonl",
    docs="https://github.com/PrimeIntellect-ai/verifiers/blob/main/verifiers/legacy/utils/save_utils.py",
    kind="json",
    holds="texts only",
    marks=("prompt", "completion", "reward"),
    taken="prompt, completion, reward, group from `example_id`; `trajectory[].tokens.completion_logprobs` where kept",
    recognise=recognise,
    read=read,
    lists={"example_id": 0},
)
