"""What frameworks log, under our names, which the metrics declare. Numbers that have no name here are left out.

One name means different things in different frameworks, so whose log it is comes first. Left out on purpose, since
a number under a wrong name is worse than none:

TRL       num_tokens counts prompts too; cispo_clip_ratio is the share at the cap, whose gradient goes on
OpenRLHF  kl by an estimator of one's choice, k1 by default; policy_loss and entropy_loss of a part of the batch
slime     kl_loss by an estimator of one's choice, k1 by default
SkyRL     policy/response_length is that of the padded batch

verl's actor/kl_loss and SkyRL's policy/policy_kl are k3 unless kl_loss_type or kl_estimator_type says otherwise.
Read in TRL 2026-07, verl 2026-01, ms-swift 2026-08, OpenRLHF 2026-08, SkyRL 2026-08, slime 2026-08.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sapo_viz.runs.folder.reading import number
from sapo_viz.runs.metrics import RUN_METRICS

# framework -> names that only its log has. Asked in this order.
_MARKS = {
    "verl": re.compile(r"(actor/(?!lr$)|response_length/|timing_s/|global_seqlen/|critic/(score|rewards)/)"),
    "SkyRL": re.compile(r"(policy/(policy_|final_loss)|reward/avg_raw_reward|generate/avg_num_tokens)"),
    "slime": re.compile(r"(train/pg_clipfrac|train/lr-pg_\d|rollout/(raw_reward|response_len/))"),
    "OpenRLHF": re.compile(r"(train/)?(actor_lr|ppo_clip_ratio|actor_grad_norm)$"),
    "ms-swift": re.compile(r"(train/)?(entropy/mean$|global_step/max_steps$|memory\(GiB\)$)"),
    "TRL": re.compile(r"(train/)?(frac_reward_zero_std|reward_std|completions/mean_length)$"),
}
_PREFIXED = ("TRL", "ms-swift", "OpenRLHF")  # their TensorBoard tags have train/ before the name
# Beside the name that a metric declares, and taken where that one is missing.
_ELSE = {
    "verl": {"critic/rewards/mean": "reward", "actor/entropy_loss": "entropy"},
    "TRL": {"clip_ratio/region_mean": "clip_fraction"},
}
_OWN = {name: name for name in RUN_METRICS}
NAMES: dict[str, dict[str, str]] = {
    framework: {
        metric.frameworks[framework]: name for name, metric in RUN_METRICS.items() if framework in metric.frameworks
    }
    | _ELSE.get(framework, {})
    for framework in _MARKS
}
_FOLDER_NAMES = {"TRL": "trl", "OpenRLHF": "openrlhf"}  # as recorders write them


def ours(values: Mapping[str, Any], framework: str = "") -> dict[str, float]:
    """The numbers that have a name here. Without a framework it is told from the names, and is else TRL's kind."""
    told = framework_of(values) or framework or "TRL"
    names = _OWN | NAMES[told] if told == "TRL" else NAMES[told]
    found: dict[str, float] = {}
    for theirs, name in names.items():
        value = values.get(theirs)
        if value is None and told in _PREFIXED:
            value = values.get(f"train/{theirs}")
        plain = number(value)
        if plain is not None and name not in found:
            found[name] = float(plain)
    return found


def framework_of(names: Iterable[str]) -> str:
    """Whose log has such names; empty where none is seen."""
    seen = list(names)
    return next((framework for framework, mark in _MARKS.items() if any(map(mark.match, seen))), "")


def as_recorded(framework: str) -> str:
    """The framework's name as a recorder writes it into config.json."""
    return _FOLDER_NAMES.get(framework, framework)
