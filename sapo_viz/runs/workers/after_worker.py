"""The process that does what pages ask of finished runs (models/job_worker.py), within the rules of what they start."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

from sapo_viz.errors import RolloutError, RunError
from sapo_viz.models.job_worker import Tell, serve
from sapo_viz.rollouts.table import TextTable
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.asked import Asking, keep_answers
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.questions.kept import kept_table
from sapo_viz.runs.questions.rewards import Reward
from sapo_viz.runs.workers.after import merged_path
from sapo_viz.runs.workers.failure import is_disk_full
from sapo_viz.runs.workers.quotas import Quotas, admitted_reward, page_rules


def work(request: dict[str, Any], tell: Tell) -> None:
    store, run_id, kind = RunStore(Path(request.pop("root"))), request.pop("run"), request.pop("kind")
    try:
        number = _ask(store, run_id, request, tell) if kind == "ask" else _merge(store, run_id, request["dtype"], tell)
    except OSError as error:
        if is_disk_full(error):
            raise RunError(f"the disk of {store.root} is full; delete runs or other files first.") from None
        raise
    tell({"type": "done", "number": number})


def _ask(store: RunStore, run_id: str, request: dict[str, Any], tell: Tell) -> int:
    import torch

    from sapo_viz.runs.training.asking import ask

    config, trained, rules = store.config(run_id), store.policy_path(run_id), page_rules()
    if trained is None:
        raise RunError(f"run {run_id} has no trained policy any more.")
    torch.set_num_threads(config.threads)

    def told(stage: str, share: float, left: float | None) -> None:
        tell({"type": "progress", "stage": stage, "share": share, "seconds_left": left})

    asking = Asking(**request | {"prompts": tuple(request["prompts"])})
    folder = store.folder(run_id)
    answers, rows = ask(
        config, trained, asking, reward=_reward(config, rules), table=_table(folder, config), models=rules.models,
        seconds=rules.seconds, told=told,
    )  # fmt: skip
    return keep_answers(folder, answers, rows)


def _reward(config: RunConfig, rules: Quotas) -> Reward | None:
    """None where it may not be used here: then answers are worth nothing that could be said."""
    with contextlib.suppress(RunError):
        return admitted_reward(config, rules)
    return None


def _table(folder: Path, config: RunConfig) -> TextTable | None:
    """None where the run's copy is damaged or gone: then no answer of its own is known."""
    with contextlib.suppress(RunError, RolloutError):
        return kept_table(folder, config)
    return None


def _merge(store: RunStore, run_id: str, dtype: str, tell: Tell) -> int:
    from sapo_viz.runs.workers.merging import merge_run

    def told(stage: str, share: float) -> None:
        tell({"type": "progress", "stage": stage, "share": share})

    merge_run(store, run_id, merged_path(store, run_id), dtype, for_page=True, told=told)
    return 0


if __name__ == "__main__":
    sys.exit(serve(work, "this"))
