"""Which loss a recorded run says it trains with, in the audit's words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from sapo_viz.core.correction import Correction, CorrectionHow, CorrectionLevel
from sapo_viz.core.objective import AGGREGATIONS, Aggregation, RatioLevel, make_objective
from sapo_viz.errors import SapoVizError
from sapo_viz.rollouts.audit.claim import Claim
from sapo_viz.runs.folder.reading import NotReadable, json_object, read_small
from sapo_viz.runs.recorded import KIND, Recorded

# How each loss_type of TRL 1.16 is averaged (grpo_trainer.py, _compute_loss); the divisor of a sum is found from the
# gradients themselves.
_TRL: dict[str, Aggregation] = {
    **dict.fromkeys(("grpo", "sapo"), "seq-mean-token-mean"),
    **dict.fromkeys(("bnpo", "dapo", "cispo", "vespo"), "token-mean"),
    "dr_grpo": "seq-mean-token-sum-norm",
    "luspo": "seq-mean-token-sum",
}
# Two of verl's losses (0.9, core_algos.py) look at no loss_agg_mode.
_VERL: dict[str, Aggregation] = dict.fromkeys(("sapo", "geo_mean"), "seq-mean-token-mean")
_TRL_LEVELS: dict[str, CorrectionLevel] = {"token": "token", "sequence": "sequence-sum"}


def claim_of(recorded: Recorded) -> Claim | None:
    """What can be compared with its tokens; None for a loss that the catalogue does not have."""
    verls_gspo = (recorded.framework, recorded.objective) == ("verl", "gspo")  # each token has its own gradient there
    try:
        objective = make_objective("gspo_token" if verls_gspo else recorded.objective, dict(recorded.knobs))
    except (SapoVizError, TypeError):
        return None
    level: RatioLevel = objective.ratio_level
    if recorded.level in ("token", "sequence") and level != "sequence-product":
        level = cast(RatioLevel, recorded.level)
    name = f"{recorded.source.partition(' ')[0]}'s `{recorded.loss}`"
    settings = recorded.settings
    asked = settings.get("loss_agg_mode")
    aggregation: Aggregation = asked if asked in AGGREGATIONS else objective.aggregation
    claim = Claim(name, objective, level, aggregation)
    match recorded.framework:
        case "trl":
            return replace(
                claim,
                aggregation=_TRL.get(recorded.loss, objective.aggregation),
                correction=_trl_correction(settings),
                kl=_number(settings.get("beta")),
                kl_by_ratio=bool(settings.get("use_bias_correction_kl")),
            )
        case "verl":
            correction = _verl_correction(settings)
            if recorded.loss == "geo_mean" and correction and correction.level == "token":
                return None  # it takes the weights' geometric mean
            k3 = settings.get("kl_loss_type", "low_var_kl") in ("low_var_kl", "k3")
            return replace(
                claim,
                aggregation=_VERL.get(recorded.loss, aggregation),
                correction=correction,
                kl=_number(settings.get("kl_loss_coef")) if settings.get("use_kl_loss") and k3 else 0.0,
                kl_aggregation=aggregation,
            )
    return claim


def claim_beside(path: Path) -> Claim | None:
    """What it says that its loss is; `path` as in `recorded_beside`."""
    recorded = recorded_beside(path)
    return claim_of(recorded) if recorded else None


def recorded_beside(path: Path) -> Recorded | None:
    """The recorded run whose folder this is, or its `tokens` folder, or a file in that."""
    folder = path.absolute() if path.is_dir() else path.absolute().parent
    folder = folder.parent if folder.name == "tokens" else folder
    try:
        values = json_object(read_small(folder / "config.json"))
    except (OSError, NotReadable):
        return None
    return Recorded.from_dict(values) if values.get("kind") == KIND else None


def _trl_correction(settings: Mapping[str, Any]) -> Correction | None:
    if not (settings.get("use_vllm") and settings.get("vllm_importance_sampling_correction")):
        return None
    level, _, how = str(settings.get("vllm_importance_sampling_mode") or "sequence_mask").partition("_")
    high = settings.get("vllm_importance_sampling_clip_max", settings.get("vllm_importance_sampling_cap"))
    try:
        return Correction(
            _TRL_LEVELS[level],
            cast(CorrectionHow, how),
            _number(settings.get("vllm_importance_sampling_clip_min")),
            math.inf if high is None else _number(high),
        )
    except (SapoVizError, KeyError):
        return None


def _verl_correction(settings: Mapping[str, Any]) -> Correction | None:
    """A threshold of two numbers, "0.5_2.0", drops what lies outside them."""
    levels: dict[Any, CorrectionLevel] = {"token": "token", "sequence": "sequence-sum"}
    low, _, high = str(settings.get("rollout_is_threshold", 2.0)).rpartition("_")
    try:
        level = levels[settings.get("rollout_is")]
        return Correction(level, "mask" if low else "truncate", float(low or 0), float(high))
    except (SapoVizError, KeyError, ValueError):
        return None


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0
