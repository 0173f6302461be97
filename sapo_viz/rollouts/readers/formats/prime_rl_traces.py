"""prime-rl and verifiers v1: `traces.jsonl`, one line per episode, whose traces are graphs of messages.

Written by `FileMonitor.log_episodes` (PrimeIntellect-ai/prime-rl, src/prime_rl/monitors/file.py: on by default, under
rollouts/step_*/train/) and by `write_episode` (PrimeIntellect-ai/verifiers, verifiers/v1/utils/trace_store.py): id,
env, task, group, run.work.step, ok, traces[] of id, agent.trainable, rewards {name: {score, weight}}, nodes[].

A node has parent, message, sampled, token_ids, mask, and for the True entries of its mask only: logprobs (the
sampler's), advantages, reference_logprobs. Concatenated from a root to a leaf, nodes are what the model saw, so a trace
gives one sequence per leaf. A node that several paths share is trained in the first of them
(`iter_trainable_branches`). Evaluations through an API have no token_ids: texts only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sapo_viz.rollouts.readers.formats.base import (
    Contents,
    Entry,
    Format,
    Groups,
    Item,
    Notes,
    each,
    finite_mask,
    response,
)
from sapo_viz.rollouts.readers.formats.messages import split, written_out
from sapo_viz.rollouts.readers.formats.pair import OneSequence
from sapo_viz.rollouts.readers.formats.text_rows import Text, contents
from sapo_viz.rollouts.record import shown
from sapo_viz.rollouts.schema import MAX_TOKENS
from sapo_viz.rollouts.vocabulary import IDS_ONLY, placeholders

FAILED = "Episodes or traces that failed, left out"
FROZEN = "Traces of agents that are not trained, left out"
SHARED = "Answers that several paths of a trace share, trained in the first and masked out in the others"


def recognise(first: Mapping[str, Any]) -> bool:
    traces = first.get("traces")
    whole = isinstance(traces, list) and ("task" in first or "env" in first)
    return whole or ("nodes" in first and "task" in first and isinstance(first["nodes"], list))


def read(file: str, items: Iterator[Item], notes: Notes) -> Contents:
    groups = Groups()

    def take(episode: Entry) -> Iterator[Text | OneSequence]:
        traces = [episode] if episode.has("nodes") else episode.objects("traces")
        if not traces or episode.values.get("ok") is False:
            notes.count(FAILED)
            return
        for trace in traces:
            agent = trace.values.get("agent")
            if trace.values.get("ok") is False:
                notes.count(FAILED)
            elif isinstance(agent, Mapping) and agent.get("trainable") is False:
                notes.count(FROZEN)
            else:
                yield from _completions(episode, trace, groups, notes)

    return contents(file, FORMAT.name, each(file, items, notes, take), notes)


def _completions(episode: Entry, trace: Entry, groups: Groups, notes: Notes) -> Iterator[Text | OneSequence]:
    nodes = trace.objects("nodes")
    paths = _paths(trace, nodes)
    label = _label(episode, trace)
    common = {"reward": _reward(trace), "step": _step(episode)}
    if not any(node.has("token_ids") and node.values["token_ids"] for node in nodes):
        messages = [nodes[at].inner("message") for at in paths[0]] if paths else []
        prompt, answer = split(trace, messages, notes)
        if answer is not None:
            yield Text(prompt, answer, group=label, **common)  # type: ignore[arg-type]
        return
    notes.say(IDS_ONLY)
    name = trace.values.get("id")
    trained: set[int] = set()
    for number, path in enumerate(paths, start=1):
        sequence = _sequence([nodes[at] for at in path], path, trained, notes)
        if sequence is not None:
            ids, part, logprobs, mask, credit, reference = sequence
            answers = (i for i, at in enumerate(path) if at in trained and nodes[at].values.get("sampled"))
            first = next(answers, len(path))  # none, where what was sampled holds no token
            before = [nodes[at].inner("message") for at in path[:first]]
            yield OneSequence(
                id=f"{name or trace.place}{f' path {number}' if len(paths) > 1 else ''}",
                tokens=tuple(placeholders(ids[part])),
                logprobs=logprobs[part],
                mask=finite_mask(mask, notes, logprobs)[part],
                token_ids=ids[part],
                advantages=None if credit is None else credit[part],
                ref_logprobs=None if reference is None else reference[part],
                group=label or groups.of(ids[: part.start]),
                prompt=written_out(before, Notes()) if before else None,
                **common,  # type: ignore[arg-type]
            )


def _paths(trace: Entry, nodes: list[Entry]) -> list[list[int]]:
    """Indices from root to leaf, one list per leaf."""
    parents: list[int | None] = []
    for index, node in enumerate(nodes):
        parent = node.whole("parent")
        if parent is not None and not 0 <= parent < index:
            node.fail(f"parent is {shown(parent)}; it takes the index of an earlier node")
        parents.append(parent)
    lengths = [len(ids) if isinstance(ids := node.values.get("token_ids"), list) else 0 for node in nodes]
    leaves = sorted(set(range(len(nodes))) - {parent for parent in parents if parent is not None})
    paths: list[list[int]] = []
    size = 0
    for leaf in leaves:
        path: list[int] = []
        at: int | None = leaf
        while at is not None:
            path.append(at)
            size += 1 + lengths[at]
            at = parents[at]
            if size > MAX_TOKENS:
                trace.fail("its paths from root to leaf are too long together; split the file")
        paths.append(path[::-1])
    return paths


def _sequence(nodes: list[Entry], path: list[int], trained: set[int], notes: Notes) -> Any:
    """ids, the response's part, logprobs, mask, advantages or None, reference log-probs or None.

    None where nothing was sampled that an earlier path does not train.
    """
    ids: list[np.ndarray] = []
    masks: list[np.ndarray] = []
    columns: dict[str, list[np.ndarray]] = {"logprobs": [], "advantages": [], "reference_logprobs": []}
    some = dict.fromkeys(columns, False)
    for node, at in zip(nodes, path, strict=True):
        own = node.ids("token_ids") if node.has("token_ids") else np.zeros(0, np.int64)
        drawn = node.flags("mask", len(own)) if node.has("mask") and node.values["mask"] else np.zeros(len(own), bool)
        for name, column in columns.items():
            values = np.full(len(own), np.nan)
            if drawn.any() and node.has(name):
                values[drawn] = node.numbers(name, int(drawn.sum()), "the true entries of mask")
                some[name] = True
            column.append(values)
        if drawn.any() and at in trained:
            notes.count(SHARED)
            drawn = np.zeros(len(own), bool)
        elif drawn.any():
            trained.add(at)
        ids.append(own)
        masks.append(drawn)
    mask = np.concatenate(masks)
    if not mask.any():
        return None
    whole = {name: np.concatenate(column) for name, column in columns.items()}
    credit = np.nan_to_num(whole["advantages"]) if some["advantages"] else None
    reference = whole["reference_logprobs"] if some["reference_logprobs"] else None
    return np.concatenate(ids), response(mask), whole["logprobs"], mask, credit, reference


def _label(episode: Entry, trace: Entry) -> str | None:
    group = episode.values.get("group")
    name = group.get("id") if isinstance(group, Mapping) else None
    if isinstance(name, (str, int)):
        return str(name)
    for task in (episode.values.get("task"), trace.values.get("task")):
        data = task.get("data") if isinstance(task, Mapping) else None
        index = data.get("idx") if isinstance(data, Mapping) else None
        if isinstance(index, (str, int)):
            return f"task {index}"
    return None


def _step(episode: Entry) -> int | None:
    run = episode.values.get("run")
    work = run.get("work") if isinstance(run, Mapping) else None
    return Entry(episode.file, episode.place, work).whole("step") if isinstance(work, Mapping) else None


def _reward(trace: Entry) -> float | None:
    """The sum of its weighted rewards; None where none was given."""
    rewards = trace.values.get("rewards")
    if not isinstance(rewards, Mapping):
        return trace.number("reward")
    found = []
    for name, value in rewards.items():
        if isinstance(value, Mapping):
            one = Entry(trace.file, f"{trace.place}, rewards, {name}", value)
            score, weight = one.number("score"), one.number("weight")
            found += [] if score is None else [score * (1.0 if weight is None else weight)]
        elif value is not None:
            score = Entry(trace.file, trace.place, rewards).number(name)
            found += [] if score is None else [score]
    return float(sum(found)) if found else None


FORMAT = Format(
    name="an episode log of prime-rl or verifiers",
    framework="prime-rl, verifiers v1",
    file="rollouts/step_*/train/*/traces.jsonl",
    docs="https://github.com/PrimeIntellect-ai/prime-rl/blob/main/src/prime_rl/monitors/file.py",
    kind="json",
    holds="one policy",
    marks=("nodes",),
    taken="`nodes[].logprobs`, the sampler's, on each path from root to leaf; `advantages`; without ids its texts",
    recognise=recognise,
    read=read,
    lists={"traces": 1},
)
