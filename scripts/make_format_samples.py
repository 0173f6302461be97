"""Write assets/samples/formats: one small file of every format that is read, to download and to try.

    python -m scripts.make_format_samples

They are the tests' own samples (tests/rollouts/formats/samples.py), built from each framework's documented fields.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.rollouts.formats import samples
from tests.rollouts.formats.samples import chat, lines

FOLDER = Path(__file__).parents[1] / "assets" / "samples" / "formats"


def files() -> dict[str, bytes]:
    """File name -> content. The two responses are a pair."""
    return {
        "nemo-rl-train_data_step1.jsonl": lines(*samples.NEMO),
        "prime-rl-rank_0.jsonl": lines(*samples.PRIME),
        "slime-train.pt": samples.slime_train(2),
        "slime-rollout.pt": samples.slime_rollout(),
        "skyrl-global_step_1_training_input.pkl": samples.skyrl(),
        "unipo.json": json.dumps(samples.UNIPO, indent=1).encode(),
        "openai-new.json": json.dumps(chat(-0.5, -1.0, -0.25), indent=1).encode(),
        "openai-old.json": json.dumps(chat(-0.75, -1.0, -0.5), indent=1).encode(),
        "trl-completions_00005.parquet": samples.trl(),
        "verl-5.jsonl": lines(*samples.VERL),
        "ms-swift-completions.jsonl": lines(*samples.SWIFT_ROWS),
        "roll-rollout_dump_data.step_5.jsonl": lines(samples.ROLL),
    }


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, data in files().items():
        (FOLDER / name).write_bytes(data)
        print(f"{len(data):6,} bytes  {name}")
