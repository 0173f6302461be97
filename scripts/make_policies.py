"""Make the policies that ship: `python -m scripts.make_policies` (`make policies`), about eight minutes on one core.

addition-start       1,500 supervised steps on a noisy teacher: knows the form, unsure about every column
addition-rl          the same after a run of our own engine
addition-moe-start   the warm start again, as a mixture of 8 experts, 2 for each token
chain-start          750 supervised steps on a noisy teacher of the chain of sums
grid-start           a Qwen3-VL, 700 supervised steps on a noisy teacher of a picture's cells

Seeds are fixed; the same versions of PyTorch on the same machine give the same weights.
"""

from __future__ import annotations

import argparse
import random
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from sapo_viz.models.pictures import pictures_of
from sapo_viz.models.policy import Policy, load_policy, new_policy
from sapo_viz.models.rollout import decode, sample
from sapo_viz.models.tasks import ADDITION, CHAIN, GRID, Task
from sapo_viz.paths import ASSETS
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.training.engine import train

POLICIES = ASSETS / "policies"
SEED, LR = 0, 2e-3
RL_STEPS = 150
_NO_LOSS = -100  # a target behind the end of a completion
SAMPLED, GREEDY = 4096, 2048  # problems in the evaluation


@dataclass(frozen=True)
class WarmStart:
    """Supervised steps on a task's noisy teacher."""

    task: Task
    steps: int
    batch: int
    p_wrong: float
    experts: int = 0

    def how(self) -> str:
        parts = "cells" if self.task.pictured else "results"
        return (
            f"{self.steps:,} supervised steps of {self.batch} completions by a noisy teacher, each of whose {parts} is "
            f"wrong with p = {self.p_wrong} and carried on consistently; AdamW, learning rate {LR:g} "
            f"throughout, gradient norm clipped at 1, seed {SEED}."
        )


WARM_STARTS = {
    "addition-start": WarmStart(ADDITION, steps=1500, batch=64, p_wrong=0.33),
    "addition-moe-start": WarmStart(ADDITION, steps=1500, batch=64, p_wrong=0.33, experts=8),
    "chain-start": WarmStart(CHAIN, steps=750, batch=32, p_wrong=0.05),
    "grid-start": WarmStart(GRID, steps=700, batch=64, p_wrong=0.08),
}


def warm_start(plan: WarmStart) -> Policy:
    """Cross-entropy on the teacher's completions; the prompt's tokens carry no loss."""
    task = plan.task
    policy = new_policy(task, SEED, experts=plan.experts)
    policy.model.train()
    # A constant rate: with a decay the policy ends surer of its noise, and RL then learns at half the speed.
    optimizer = torch.optim.AdamW(policy.model.parameters(), lr=LR)
    rng = random.Random(SEED)
    for step in range(plan.steps):
        prompts = task.sample_prompts(plan.batch, rng)
        texts = [prompt + task.teacher(prompt, rng, plan.p_wrong) for prompt in prompts]
        rows = [policy.encode(text, start=True) for text in texts]
        width = max(map(len, rows))
        ids = torch.tensor([row + [_NO_LOSS] * (width - len(row)) for row in rows])
        targets = ids[:, task.prompt_length :]
        seen = ids.clamp(min=0)[:, :-1]  # no token looks at what comes behind it, so padding needs no mask
        beside = {}
        if task.pictured:
            beside = pictures_of(policy.model, prompts, seen[:, : task.prompt_length], None).shown(
                seen.shape[1] - task.prompt_length
            )
        logits = policy.model(input_ids=seen, use_cache=False, **beside).logits[:, task.prompt_length - 1 :]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=_NO_LOSS)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.model.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 250 == 0:
            print(f"warm start {step + 1}/{plan.steps}  loss {loss.item():.4f}", flush=True)
    policy.model.eval()
    return policy


def accuracy(policy: Policy, task: Task, count: int, *, greedy: bool) -> float:
    """Share of `count` problems, drawn with a seed of their own, whose final answer is exact."""
    prompts = task.sample_prompts(count, random.Random("evaluation"))
    generator = torch.Generator().manual_seed(1)
    rollout = sample(policy, prompts, 1, max_length=task.completion_length, greedy=greedy, generator=generator)
    assert rollout is not None
    return sum(map(float, map(task.reward, prompts, decode(policy, rollout)))) / count


_EYES = """
Before it stands a tower of 2 layers of the same width, which looks at pictures of 32 × 32 pixels (−1 to 1) in patches
of 8 × 8, four of them to a place among the tokens.
"""
CARD = """\
---
license: apache-2.0
library_name: transformers
pipeline_tag: {pipeline}
---
# {name}

A {kind} of {parameters:,} parameters (hidden 64, 2 layers, 4 heads, 2 of them for keys and values, {mlp}, tied
embeddings, {symbols} symbols, one token each) that {does}:

    {example}
{eyes}
It is a toy to look at policy objectives with, and good for nothing else.

**How it was made.** {how}

**How good it is.** Share of exact final answers on problems drawn at random:
sampled at temperature 1: **{sampled:.3f}** (n = {sampled_n:,}); greedy: **{greedy:.3f}** (n = {greedy_n:,}).

Made by `scripts/make_policies.py` with torch {torch}. `{loader}.from_pretrained` loads it.
"""


def publish(policy: Policy, name: str, task: Task, how: str, root: Path) -> None:
    """Save weights, tokenizer and card; the card states what was measured just now."""
    folder = root / name
    shutil.rmtree(folder, ignore_errors=True)
    policy.save(folder)
    policy = load_policy(str(folder))  # measure what will be loaded
    prompt = {"addition": "^864+394=", "chain": "^38:", "grid": "⟨image 0110 1000 0000 0001⟩?"}[task.name]
    kind = {"qwen3_moe": "Qwen3Moe", "qwen3_vl": "Qwen3-VL"}.get(policy.model.config.model_type, "Qwen3")
    does = {
        "addition": "adds two three-digit numbers, column by column, units first",
        "chain": "writes twenty-two sums modulo 10, each of the two numbers before it, and the last two numbers",
        "grid": "lists the occupied cells of a picture of 4 × 4 cells (here written as digits), and then how many",
    }
    card = CARD.format(
        name=name,
        kind=kind,
        mlp="8 experts of width 32 in each layer, 2 for each token" if kind == "Qwen3Moe" else "MLP 128",
        eyes=_EYES if task.pictured else "",
        pipeline="image-text-to-text" if task.pictured else "text-generation",
        loader="AutoModelForImageTextToText" if task.pictured else "AutoModelForCausalLM",
        does=does[task.name],
        example=f"{prompt}  ->  {task.teacher(prompt, random.Random(0), 0.0)}",
        parameters=policy.parameters,
        symbols=len(task.vocabulary),
        how=how,
        sampled=accuracy(policy, task, SAMPLED, greedy=False),
        sampled_n=SAMPLED,
        greedy=accuracy(policy, task, GREEDY, greedy=True),
        greedy_n=GREEDY,
        torch=torch.__version__.split("+")[0],
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    print("\n".join(card.splitlines()[-5:-2]))


def reinforced(start: str) -> tuple[Policy, str]:
    """The policy in folder `start` after a run of our own engine, and how that went."""
    config = RunConfig(policy=start, seed=SEED, steps=RL_STEPS, lr=1e-4, snapshot_every=0)
    for event in train(config):
        if event.type == "step" and event.step % 10 == 0:
            print(f"rl {event.step}/{RL_STEPS}  reward {event.metrics['reward']:.3f}", flush=True)
    assert event.type == "finished", event
    how = (
        f"From addition-start by {RL_STEPS} steps of SAPO (τ₊ 1.0, τ₋ 1.05) in this project's engine: "
        f"16 prompts × 16 completions per step, 4 mini-batches, AdamW, learning rate 1e-4, gradient norm "
        f"clipped at 1, 8 warm-up updates, no KL penalty, seed {SEED}; the reward is 1 when the final answer is exact."
    )
    return event.payload, how


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=POLICIES, help="folder for the policies")
    parser.add_argument("--only", nargs="*", choices=[*WARM_STARTS, "addition-rl"], help="these and no others")
    args = parser.parse_args()
    torch.set_num_threads(1)
    began = time.time()
    for name in args.only or [*WARM_STARTS, "addition-rl"]:
        if name == "addition-rl":
            policy, how = reinforced(str(args.out / "addition-start"))
            publish(policy, name, ADDITION, how, args.out)
        else:
            plan = WARM_STARTS[name]
            publish(warm_start(plan), name, plan.task, plan.how(), args.out)
        print(f"{name}: {time.time() - began:.0f} s since the beginning", flush=True)


if __name__ == "__main__":
    main()
