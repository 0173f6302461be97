"""What a run may do that a page has started, and how many there may be: for servers that several people share.

    SAPO_VIZ_MODELS_DIR          the folder whose models such runs may start from (models/source.py)
    SAPO_VIZ_RUN_MINUTES         training time that a run has, over all its resumes; without it, as long as it takes
    SAPO_VIZ_RUNS_PER_VISIT      runs of one visit that may be alive at once; without it, any number
    SAPO_VIZ_RUNS_WAITING        runs of all visits that may wait for a free core at once; 200 without it

Whoever sits at the machine is not held to them: `train` on the command line starts its run by itself.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from sapo_viz.errors import RunError, SettingError
from sapo_viz.models.source import visitors_root
from sapo_viz.models.tasks import TEXT_TASKS
from sapo_viz.paths import data_dir
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.questions.exercise import reward_of
from sapo_viz.runs.questions.rewards import Reward

MINUTES, PER_VISIT, WAITING = "SAPO_VIZ_RUN_MINUTES", "SAPO_VIZ_RUNS_PER_VISIT", "SAPO_VIZ_RUNS_WAITING"
_USUALLY_WAITING = 200  # each is a process of 20 MB


@dataclass(frozen=True)
class Quotas:
    """The rules of one run; by default there are none."""

    models: Path | None = None  # `root` of models.source.locate
    data: Path | None = None  # the folder whose Python files may be rewards; None: any file, an empty path: none
    seconds: float = math.inf


def page_rules() -> Quotas:
    """Of a run that a page has started.

    Raises:
        SettingError: a variable of the environment means nothing.
    """
    return Quotas(visitors_root(), data_dir() or Path(), 60.0 * _number(MINUTES, math.inf))


def admitted_reward(config: RunConfig, rules: Quotas) -> Reward | None:
    """The reward that the settings ask for; None for a task that has its own.

    Raises:
        RunError: it means nothing, or is a Python file that may not run here.
    """
    if config.task not in TEXT_TASKS:
        return None
    folder = rules.data if rules.data != Path() else None
    return reward_of(config, folder=folder, any_file=rules.data is None)


def refuse_too_many(store: RunStore, wanted: int, mine: Collection[str]) -> None:
    """Before a visit starts `wanted` runs; `mine` are those that it has started before.

    Raises:
        RunError: there would be more than the server's owner allows.
    """
    states = {run.id: run.status for run in store.list() if run.live}
    alive, most = sum(run_id in mine for run_id in states), _number(PER_VISIT, math.inf)
    if alive + wanted > most:
        raise RunError(
            f"one visit may have {most:g} runs going or waiting on this server ({PER_VISIT}); {alive} are, and "
            f"{wanted} more were asked for: stop some, or wait for their end."
        )
    waiting, most = sum(status != "running" for status in states.values()), _number(WAITING, _USUALLY_WAITING)
    if waiting + wanted > most:
        raise RunError(
            f"{most:g} runs may wait on this server ({WAITING}); {waiting} do, and {wanted} more were asked for: try "
            "again when some have begun."
        )


def _number(variable: str, usual: float) -> float:
    text = os.environ.get(variable, "").strip()
    if not text:
        return usual
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise SettingError(f"{variable} is {text!r}; it takes a number above 0.")
    return value
