"""The token files of one step of a training run, each read apart, together as one."""

from __future__ import annotations

from collections.abc import Sequence

from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.apart.asking import Given, reading_apart
from sapo_viz.rollouts.joined import joined
from sapo_viz.rollouts.readers.formats.pair import both_policies
from sapo_viz.rollouts.schema import Rollouts
from sapo_viz.rollouts.steps import Steps

_NAMED = 8  # ranks in a sentence


def reading_step(name: str, files: Sequence[Given], missing: Sequence[int] = ()) -> Steps[Rollouts]:
    """The sequences of all files that can be read, with a note of those that cannot and of the ranks without one.

    Args:
        files: one, or one per rank.
        missing: the ranks that have none.

    Raises:
        RolloutError: none of them can be read; the first one's reason.
    """
    parts: list[Rollouts] = []
    wrong: list[RolloutError] = []
    for file in files:
        try:
            parts.append(both_policies((yield from reading_apart([file], disk=True))))
        except RolloutError as error:
            wrong.append(error)
    if not parts:
        raise wrong[0]
    notes = [f"A file of this step is left out: {error}" for error in wrong]
    if missing:
        ranks = ", ".join(map(str, missing[:_NAMED])) + (" …" if len(missing) > _NAMED else "")
        notes.append(f"Ranks that have no tokens of this step here: {ranks}.")
    return joined(name, parts, notes) if len(parts) > 1 or notes else parts[0]
