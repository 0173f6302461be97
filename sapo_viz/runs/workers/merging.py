"""From a run that trained an adapter, one model that anything can load: start and adapter added up."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
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
from sapo_viz.runs.workers.after import WIDTH
from sapo_viz.runs.workers.card import model_card
from sapo_viz.runs.workers.failure import is_disk_full

_ROOM = 32 << 20  # bytes that have to stay free: tokenizer and card, and the logs of runs that go


def merge_run(
    store: RunStore,
    run_id: str,
    out: Path,
    dtype: str = "float32",
    *,
    for_page: bool = False,
    told: Callable[[str, float], None] = lambda stage, share: None,
) -> Policy:
    """Write the run's policy as one model in Hugging Face format, with its card, and return it.

    The sum is made in float32, and rounded once if it is kept in bfloat16: of a small update some is lost there.

    Args:
        for_page: the start is looked for among the models that pages may use, and nowhere else.
        told: hears what is done now, and which share of it all is behind.

    Raises:
        RunError: the run has no adapter, or not yet; `out` is not empty; or the disk has too little room.
        ModelError: the policy that it began with is not there any more, or is another one.
    """
    config = store.config(run_id)
    adapter = _adapter_of(store, run_id, config)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} exists and is not empty; choose another folder with --out, or delete it.")
    told("loading", 0.0)
    root = visitors_root() if for_page else _root(config)
    start = starting_policy(replace(config, dtype="float32"), "cpu", root, bare=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    need = start.parameters * WIDTH[dtype] + _ROOM
    if (free := shutil.disk_usage(out.parent).free) < need:
        raise _no_room(out, need, free)
    told("adding", 0.4)
    policy = Policy(start.name, merged_with(start.model, adapter).to(getattr(torch, dtype)), start.tokenizer)
    told("writing", 0.6)
    part = part_of(out)
    shutil.rmtree(part, ignore_errors=True)
    try:
        policy.save(part)
        write_whole(part / "README.md", model_card(config, store.read_events(run_id)[0], merged=dtype))
        store.config(run_id)  # deleted meanwhile, its folder would be there again
        put_in_place(part, out)
    except Exception as error:
        shutil.rmtree(part, ignore_errors=True)
        if for_page:
            with contextlib.suppress(OSError):  # not empty, but for a run that was deleted meanwhile
                out.parent.rmdir()
        if is_disk_full(error):
            raise _no_room(out, need, shutil.disk_usage(out.parent).free) from None
        raise
    return policy


def _no_room(out: Path, need: int, free: int) -> RunError:
    return RunError(
        f"the merged model needs about {need / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free on the disk of "
        f"{out.parent.name}; delete runs or other files first, or keep it in bfloat16."
    )


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
