"""What became of a run, in the few numbers that an experiment looks at; from the run's folder, or as shipped.

A run is known by the key of its settings (runs/groups.py) and its seed, so it counts for every experiment that asks
for it, whoever started it, and is not started again.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from sapo_viz.errors import RunError
from sapo_viz.experiments.collapse import RolloutSize, find_collapse
from sapo_viz.models.tasks import TEXT_TASKS
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.store import RunStore, RunSummary
from sapo_viz.runs.groups import group_key

State = Literal["done", "diverged", "failed", "live", "halted"]
Key = tuple[str, int]  # of the settings, and the seed
_EVENTS_A_STEP, _BESIDE = 3, 1_000  # a step, a sample, a checkpoint; and what workers say when they begin and end
_PARTS = 4  # of a run's steps; it is judged by the mean of the last one

_BEST = ("done", "diverged", "live", "halted", "failed")  # of several runs with one key, the first of these counts


@dataclass(frozen=True)
class RunRecord:
    """One run. `rewards` has one number for each step that is done."""

    key: str
    seed: int
    state: State
    steps: int  # asked for
    rewards: tuple[float, ...]
    entropies: tuple[float, ...] = ()  # as long; the rule of collapse looks at them too
    kls: tuple[float, ...] = ()  # as long, of the policy that earned the reward to the start; empty where not known
    asked: str = ""  # a held-out prompt, and what the policy answers after so many steps
    said: tuple[tuple[int, str], ...] = ()
    fell: tuple[int, str] | None = None  # step and kind of its collapse
    seconds: float = 0.0  # spent in steps
    run_id: str = ""
    message: str = ""
    ended: float = 0.0  # seconds since 1970

    @property
    def counts(self) -> bool:
        """Whether it has an outcome."""
        return self.state in ("done", "diverged")

    @property
    def curve(self) -> tuple[float, ...]:
        """Reward by step. A run that diverged earns nothing in the steps that it did not come to."""
        return self.rewards + (0.0,) * (self.steps - len(self.rewards)) if self.state == "diverged" else self.rewards

    @property
    def final(self) -> float:
        """Mean reward of the last quarter of the steps."""
        return statistics.fmean(self.curve[-self.last :]) if self.curve else 0.0

    @property
    def last(self) -> int:
        return max(1, self.steps // _PARTS)

    @property
    def final_kl(self) -> float | None:
        """KL to the start over the same steps; None for a run that did not come to its end."""
        return statistics.fmean(self.kls[-self.last :]) if len(self.kls) == self.steps else None

    @property
    def collapsed(self) -> bool:
        return self.fell is not None or self.state == "diverged"


def find_records(store: RunStore, wanted: Collection[Key]) -> dict[Key, RunRecord]:
    """The runs of the store that have these settings and seeds; of several the one that has come furthest."""
    found: dict[Key, RunRecord] = {}
    for summary in store.list():  # newest first
        if summary.config is None:
            continue
        key = (group_key(summary.config), summary.config.seed)
        if key in wanted:
            record = _read(str(store.root), summary.id, summary.status, summary.step) or record_of(store, summary)
            if record is None:
                continue
            if key not in found or _BEST.index(record.state) < _BEST.index(found[key].state):
                found[key] = record
    return found


def record_of(store: RunStore, summary: RunSummary) -> RunRecord | None:
    """The record of one run as its events tell it now; None for one that is gone or cannot be read, and for one that
    is finished without all of its steps: it counts for nothing, and may be run anew."""
    config = summary.config
    try:
        events, _offset = store.read_events(summary.id, most=_EVENTS_A_STEP * config.steps + _BESIDE if config else 0)
    except RunError:
        return None
    steps = [event for event in events if event["type"] == "step"]
    if config is None or summary.status == "finished" and len(steps) < config.steps:
        return None
    states: Mapping[str, State] = {"finished": "done", "failed": "diverged" if summary.kind == "diverged" else "failed"}
    return RunRecord(
        key=group_key(config),
        seed=config.seed,
        state="live" if summary.live else states.get(summary.status, "halted"),
        steps=config.steps,
        rewards=_series(steps, "reward"),
        entropies=_series(steps, "entropy"),
        kls=_series(steps, "kl_start") if all("kl_start" in step["metrics"] for step in steps) else (),
        **_said(events, config),
        fell=fell_of(events, config),
        seconds=float(steps[-1]["metrics"].get("seconds") or 0.0) if steps else 0.0,
        run_id=summary.id,
        message=summary.message,
        ended=float(events[-1]["time"]) if events else summary.created,
    )


def fell_of(events: Iterable[Mapping[str, Any]], config: RunConfig) -> tuple[int, str] | None:
    """Step and kind of the collapse in a run's events. That a run ended early is told by its state."""
    fell = find_collapse(events, RolloutSize(config.prompts, config.completions))
    return (fell.step, fell.kind) if fell and fell.kind not in ("failed", "diverged") else None


def _series(steps: Iterable[Mapping[str, Any]], name: str) -> tuple[float, ...]:
    return tuple(float(step["metrics"].get(name) or 0.0) for step in steps)


def _said(events: Iterable[Mapping[str, Any]], config: RunConfig) -> dict[str, Any]:
    """What a language model answers to the first held-out prompt, at each look."""
    if config.task not in TEXT_TASKS:
        return {}
    looks = [(event["step"], event["answers"][0]) for event in events if event.get("answers")]
    said = {step: str(answer["completion"]) for step, answer in looks}  # the last word of a run that was resumed
    return {"asked": str(looks[0][1]["prompt"]), "said": tuple(sorted(said.items()))} if looks else {}


@lru_cache(maxsize=2000)
def _read(root: str, run_id: str, status: str, step: int) -> RunRecord | None:
    """The record of a finished run, which does not change any more; None for all others."""
    store = RunStore(root)
    return record_of(store, store.summary(run_id)) if status == "finished" else None


def record_json(record: RunRecord) -> dict[str, Any]:
    """As shipped: without the run's id, which means nothing elsewhere, and without what follows from the rest."""
    return {
        "key": record.key,
        "seed": record.seed,
        "state": record.state,
        "steps": record.steps,
        "seconds": round(record.seconds, 1),
        "rewards": [round(reward, 4) for reward in record.rewards],
        "entropies": [round(entropy, 4) for entropy in record.entropies],
        **({"kls": [round(kl, 4) for kl in record.kls]} if record.kls else {}),
        **({"asked": record.asked, "said": record.said} if record.said else {}),
    }


def record_from(values: Mapping[str, Any], config: RunConfig) -> RunRecord:
    """The same back, known by the key that its settings have now, with today's rule of collapse for its curves."""
    rewards, entropies = tuple(values["rewards"]), tuple(values["entropies"])
    events = [
        {"type": "step", "step": step, "metrics": {"reward": reward, "entropy": entropy}}
        for step, (reward, entropy) in enumerate(zip(rewards, entropies, strict=True), 1)
    ]
    if values["state"] == "done":
        events.append({"type": "finished", "step": len(rewards)})
    return RunRecord(
        key=group_key(config),
        seed=values["seed"],
        state=values["state"],
        steps=values["steps"],
        rewards=rewards,
        entropies=entropies,
        kls=tuple(values.get("kls", ())),
        asked=values.get("asked", ""),
        said=tuple((step, text) for step, text in values.get("said", ())),
        fell=fell_of(events, config),
        seconds=values["seconds"],
    )
