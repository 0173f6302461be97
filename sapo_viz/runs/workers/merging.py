"""From a run that trained an adapter, one model that anything can load: start and adapter added up."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from sapo_viz.core.lazy import torch
from sapo_viz.errors import RunError
from sapo_viz.models.lora import merged_with
from sapo_viz.models.policy import Policy
from sapo_viz.models.source import Located, local_folder, visitors_root
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.files import part_of, put_in_place, write_whole
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.training.engine import starting_policy
from sapo_viz.runs.workers.card import model_card


def merge_run(store: RunStore, run_id: str, out: Path, dtype: str = "float32") -> Policy:
    """Write the run's policy as one model in Hugging Face format, with its card, and return it.

    The sum is made in float32, and rounded once if it is kept in bfloat16: of a small update some is lost there.

    Raises:
        RunError: the run has no adapter, or not yet; or `out` is not empty.
        ModelError: the policy that it began with is not there any more, or is another one.
    """
    config = store.config(run_id)
    adapter = _adapter_of(store, run_id, config)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} exists and is not empty; choose another folder with --out, or delete it.")
    whole = replace(config, lora_rank=0, recompute="off", dtype="float32")
    start = starting_policy(whole, "cpu", _root(config))
    policy = Policy(start.name, merged_with(start.model, adapter).to(getattr(torch, dtype)), start.tokenizer)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(out)
    shutil.rmtree(part, ignore_errors=True)
    policy.save(part)
    write_whole(part / "README.md", model_card(config, store.read_events(run_id)[0], merged=dtype))
    put_in_place(part, out)
    return policy


def _adapter_of(store: RunStore, run_id: str, config: RunConfig) -> Located:
    folder = store.policy_path(run_id)
    if not config.lora_rank:
        where = f", in {folder}" if folder else " once the run is finished"
        raise RunError(f"run {run_id} trained all weights (lora_rank is 0): its policy is whole as it is{where}.")
    if folder is None:
        raise RunError(f"run {run_id} is {store.status(run_id)}; its adapter is there once it is finished: resume it.")
    return Located(run_id, str(folder), run_id, 0)


def _root(config: RunConfig) -> Path | None:
    """Where the start is found: as on the command line, or else among the models that pages may use."""
    there = local_folder(config.policy, None) is None and local_folder(config.policy, visitors_root()) is not None
    return visitors_root() if there else None
