"""Four runs with TRL's own trainer: one as it is, three with a fault of the kind that a log does not show.

    python faulty.py FOLDER        writes FOLDER/healthy, temperature, advantages and mask

Answers of sums differ in length and end, the loss is SAPO with τ₊ = 1 and τ₋ = 2, two updates per rollout.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import small  # noqa: E402
import torch  # noqa: E402
from trl import GRPOTrainer  # noqa: E402

from sapo_recorder import record  # noqa: E402


class WrongTemperature(GRPOTrainer):
    """A fork that reads one field twice: negative tokens get τ₊."""

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        negative, self.args.sapo_temperature_neg = self.args.sapo_temperature_neg, self.args.sapo_temperature_pos
        try:
            return super()._compute_loss(model, inputs)
        finally:
            self.args.sapo_temperature_neg = negative


class LostAdvantages(GRPOTrainer):
    """The public rewrite of SAPO that chose τ by the advantage's sign and then forgot to multiply by it."""

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        attention = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        mask = inputs["completion_mask"]
        logps = self._get_per_token_logps_and_entropies(model, ids, attention, mask.size(1))[0]
        ratio = torch.exp(logps - inputs["old_per_token_logps"])
        tau = torch.where(inputs["advantages"][:, None] > 0, self.args.sapo_temperature_pos,
                          self.args.sapo_temperature_neg)  # fmt: skip
        losses = -torch.sigmoid(tau * (ratio - 1)) * 4 / tau
        return ((losses * mask).sum(-1) / mask.sum(-1).clamp(min=1)).mean()


class ShiftedMask(GRPOTrainer):
    """Labels moved by one, and the mask with them once too often: it begins at the second token."""

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        mask = inputs["completion_mask"]
        shifted = torch.cat([torch.zeros_like(mask[:, :1]), mask[:, :-1]], dim=1)
        return super()._compute_loss(model, {**inputs, "tool_mask": shifted, "completion_mask": torch.ones_like(mask)})


KINDS: dict[str, Any] = {
    "healthy": GRPOTrainer,
    "temperature": WrongTemperature,
    "advantages": LostAdvantages,
    "mask": ShiftedMask,
}


def run(kind: str, folder: Path, **settings: Any) -> None:
    usual: dict[str, Any] = dict(
        max_completion_length=36, sapo_temperature_neg=2.0, learning_rate=3e-4, steps=4, num_generations=4
    )
    with tempfile.TemporaryDirectory() as out:
        trainer = small.trainer(Path(out), kind=KINDS[kind], **{**usual, **settings})
        record(trainer, folder, every=1, sequences=8)
        trainer.train()


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in KINDS:
        run(name, Path(sys.argv[1]) / name)
