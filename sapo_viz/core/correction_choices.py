"""The corrections for the sampler that frameworks offer, with the bounds that are usual and what each calls them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sapo_viz.core.correction import CHOICES, HIGH, LOW, OFF, Correction, correction_of
from sapo_viz.errors import TensorError


@dataclass(frozen=True)
class Usual:
    """A correction that frameworks offer, with the bounds that are usual and what each framework calls it."""

    label: str  # one of core.correction.CHOICES
    correction: Correction
    names: Mapping[str, str]


TRL_DEFAULT = "sequence-mask"
# TRL 1.16 grpo_config.py; verl 0.9 rollout_corr; SkyRL OffPolicyCorrectionConfig; slime arguments.py; prime-rl's loss.
USUAL: dict[str, Usual] = {
    one.label: one
    for one in (
        Usual(
            "token-truncate",
            Correction("token", "truncate", 0.0, 2.0),
            {
                "TRL": 'vllm_importance_sampling_mode="token_truncate"',
                "verl": 'rollout_is="token", rollout_is_threshold=2.0',
                "SkyRL": "off_policy_correction.tis_ratio_type=token, token_tis_ratio_clip_high=2.0",
                "slime": "--use-tis --tis-clip 2.0 --tis-clip-low 0",
            },
        ),
        Usual(
            "token-mask",
            Correction("token", "mask", 0.125, 8.0),
            {
                "TRL": 'vllm_importance_sampling_mode="token_mask"',
                "verl": 'rollout_is="token", rollout_is_threshold="0.125_8.0" (IcePop)',
                "prime-rl": "loss.token_mask_low = 0.125, loss.token_mask_high = 8.0",
            },
        ),
        Usual(
            "sequence-truncate",
            Correction("sequence-sum", "truncate", 0.0, 5.0),
            {
                "TRL": 'vllm_importance_sampling_mode="sequence_truncate"',
                "verl": 'rollout_is="sequence", rollout_is_threshold=5.0',
                "SkyRL": "off_policy_correction.tis_ratio_type=sequence, sequence_tis_ratio_clip_high=5.0",
            },
        ),
        Usual(
            TRL_DEFAULT,
            Correction("sequence-sum", "mask", 0.0, 3.0),
            {
                "TRL": 'the default: vllm_importance_sampling_mode="sequence_mask", …_clip_max=3',
                "verl": 'rollout_is="sequence", rollout_is_threshold="0_3.0"',
                "SkyRL": "off_policy_correction.sequence_mask_metric=product, product_mask_low=0, product_mask_high=3",
            },
        ),
        Usual(
            "sequence-mean-mask",
            Correction("sequence-mean", "mask", 0.99, 1.01),
            {"SkyRL": "off_policy_correction.sequence_mask_metric=geometric (0.99 to 1.01)"},
        ),
    )
}


def chosen(choice: str, low: float | None = None, high: float | None = None) -> Correction | None:
    """The correction of this name, with the bounds that are usual where none is given; None for `off`.

    Raises:
        TensorError: there is no such choice, or bounds where nothing is corrected.
        KnobError: a bound that is out of its range.
    """
    given = {name: value for name, value in (("low", low), ("high", high)) if value is not None}
    if choice == OFF and given:
        name, value = next(iter(given.items()))
        raise TensorError(f"the correction is {OFF}, and its {name} is {value:g}; choose one of {', '.join(CHOICES)}.")
    usual = USUAL[choice].correction if choice in USUAL else Correction()
    low = LOW.check("the correction", given.get("low", usual.low))
    return correction_of(choice, low, HIGH.check("the correction", given.get("high", usual.high)))
