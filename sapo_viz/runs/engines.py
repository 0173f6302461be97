"""Which engine trains a run: SAPO Viz's own loop, or TRL's trainer with the catalogue's losses.

What one cannot serve is refused before the run has a folder.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from sapo_viz.core.objective import CATALOG
from sapo_viz.errors import RunError
from sapo_viz.models.tasks import TASKS
from sapo_viz.runs.chosen import aggregation

if TYPE_CHECKING:
    from sapo_viz.runs.config import RunConfig

Engine = Literal["loop", "trl"]


def engine_of(config: RunConfig) -> Engine:
    """`auto`: the loop, or TRL where `accelerate launch` has started several processes."""
    if config.engine != "auto":
        return "trl" if config.engine == "trl" else "loop"
    return "trl" if world() > 1 else "loop"


def world() -> int:
    """How many processes train together, as the launcher has it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_index() -> int:
    """Which of them this one is; the first, 0, writes."""
    return int(os.environ.get("RANK", "0"))


def admit_engine(config: RunConfig) -> None:
    """That the engine is installed, and can serve the settings.

    Raises:
        RunError: it is not, or cannot.
    """
    if engine_of(config) == "loop":
        if world() > 1:
            raise RunError(
                f"engine is 'loop', which trains in one process, and {world()} were started; take engine trl."
            )
        return
    refuse_for_trl(config)
    from sapo_viz.models.with_trl import missing

    if lacking := missing():
        raise RunError(f"engine trl needs {lacking}, not installed here; pip install 'sapo-viz[trl]', or take loop.")


def refuse_for_trl(config: RunConfig) -> None:
    """A RunError for the first setting that TRL's trainer cannot serve."""
    for name, usual, why in _NOT_BY_TRL:
        value = getattr(config, name)
        if value != usual:
            raise RunError(f"{name} is {value!r}, and engine trl {why}; it takes {usual!r}, or engine loop.")
    if config.task == "synonyms":
        raise RunError("task is 'synonyms', whose completions end in 600 ways; engine trl knows one end, so take loop.")
    if config.task in TASKS and TASKS[config.task].pictured:
        raise RunError(
            f"task is {config.task!r}, whose prompts have pictures; engine trl is given texts here, so take loop."
        )
    whole = config.prompts * config.completions
    each, left = divmod(whole, config.minibatches)
    if left:
        raise RunError(
            f"minibatches is {config.minibatches}, which does not divide {config.prompts} × {config.completions} "
            "completions, as engine trl needs; take another number, or engine loop."
        )
    if not config.micro_batch:
        return
    if each % config.micro_batch:
        raise RunError(
            f"micro_batch is {config.micro_batch}, which does not divide a mini-batch of {each} completions, as engine "
            "trl needs; take another number, or engine loop."
        )
    if aggregation(config) == "token-mean" or CATALOG[config.objective].reads_other_sequences():
        raise RunError(
            f"micro_batch is {config.micro_batch}, and engine trl sees one at a time, where "
            f"{CATALOG[config.objective].label} looks at the whole mini-batch; it takes 0, or engine loop."
        )


_NOT_BY_TRL = (
    ("staleness", 0, "has fresh rollouts alone"),
    ("sampler_noise", 0.0, "adds no noise to its sampler"),
    ("sampler_dtype", "same", "samples in the trainer's precision"),
    ("correction", "off", "samples with the trainer's own policy, which leaves nothing to correct"),
    ("routing_replay", "off", "replays no routes"),
)
