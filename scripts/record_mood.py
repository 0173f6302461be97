"""Record the samples of real language: `.venv-trl/bin/python -m scripts.record_mood` (`make samples`).

TRL's own GRPOTrainer fine-tunes SmolLM2-135M-Instruct on the mood task (one short sentence about a thing, rewarded by
VADER for how pleasant it sounds) under SAPO, GRPO and GSPO: the same seed, prompts and settings, on a processor. The
recorder in recorder/ keeps the tokens of a few steps, as it would of anyone's run:

    assets/samples/recorded/<objective>/ config.json, events.jsonl, tokens/step-00008.rank-0.parquet …

A step is an update, and a rollout is used for four of them, so that ratios move: step 8 is the last update of the
second rollout. All weights are trained, with products in bfloat16, but for the head, whose logits would be off by
hundredths of a nat (TRL's `cast_lm_head_to_fp32` does that for models that are held in bfloat16). The three runs take
about a quarter of an hour of a processor's time.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from sapo_viz.runs.questions.mood import SYSTEM, TEMPLATE, TOKENS, mood_table
from scripts.make_smollm2 import NAME, ROOT, make

SAMPLES = ROOT / "assets" / "samples" / "recorded"
OBJECTIVES: dict[str, dict[str, Any]] = {
    "sapo": {"loss_type": "sapo", "sapo_temperature_pos": 1.0, "sapo_temperature_neg": 1.05},
    "grpo": {"loss_type": "grpo", "epsilon": 0.2, "epsilon_high": 0.27},
    "gspo": {"loss_type": "grpo", "importance_sampling_level": "sequence", "epsilon": 0.03, "epsilon_high": 0.04},
}
ROLLOUTS, UPDATES, EVERY = 5, 4, 4  # updates of each rollout; steps between two that keep their tokens
PROMPTS, COMPLETIONS = 2, 8
SEED, LR = 1, 5e-5


def mood(completions: list[Any], **_: Any) -> list[float]:
    """VADER's compound score of each answer, from -1 to 1: the reward of the app's own mood task."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    judge = SentimentIntensityAnalyzer()
    return [float(judge.polarity_scores(completion[0]["content"])["compound"]) for completion in completions]


def train(objective: str, folder: Path) -> None:
    """One run of TRL's, recorded into `folder`."""
    sys.path.insert(0, str(ROOT / "recorder"))
    import torch
    from datasets import Dataset
    from sapo_recorder import record
    from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed

    trl: Any = importlib.import_module("trl")  # its types are not those that it takes

    start = make()
    set_seed(SEED)
    model = AutoModelForCausalLM.from_pretrained(start, dtype="float32")
    model.name_or_path = NAME  # what the recorder writes down: its name, not this machine's folder
    (things,) = mood_table().cells
    asked = [
        [{"role": "system", "content": SYSTEM}, {"role": "user", "content": TEMPLATE.format(question=thing)}]
        for thing in things
    ]
    with tempfile.TemporaryDirectory() as out:
        trainer = trl.GRPOTrainer(
            model=model,
            reward_funcs=mood,
            args=trl.GRPOConfig(
                output_dir=out, use_cpu=True, bf16=True, gradient_checkpointing=False, seed=SEED, report_to="none",
                save_strategy="no", disable_tqdm=True, logging_steps=UPDATES, learning_rate=LR,
                lr_scheduler_type="constant", per_device_train_batch_size=PROMPTS * COMPLETIONS,
                num_generations=COMPLETIONS, steps_per_generation=1, num_iterations=UPDATES, beta=0.0,
                max_steps=ROLLOUTS * UPDATES, max_completion_length=TOKENS, **OBJECTIVES[objective],
            ),
            train_dataset=Dataset.from_dict({"prompt": asked}),
            processing_class=AutoTokenizer.from_pretrained(start, padding_side="left"),
        )  # fmt: skip
        head = trainer.model.lm_head
        product = head.forward

        def in_float32(hidden: Any) -> Any:
            with torch.autocast("cpu", enabled=False):
                return product(hidden.float())

        head.forward = in_float32
        recorder = record(trainer, folder, every=EVERY, sequences=PROMPTS * COMPLETIONS)
        if not recorder.active:
            raise RuntimeError(recorder.reason)
        trainer.train()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("objectives", nargs="*", default=list(OBJECTIVES), help="some of sapo, grpo, gspo; else all")
    parser.add_argument("--out", type=Path, default=SAMPLES, help="folder for the runs")
    given = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    for objective in given.objectives:
        folder = given.out / objective
        shutil.rmtree(folder, ignore_errors=True)
        train(objective, folder)
        for of_the_process in ("worker.json", ".rank-0.lock"):
            (folder / of_the_process).unlink()
        print(f"{objective}: {sum(path.stat().st_size for path in folder.rglob('*')) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
