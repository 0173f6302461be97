"""Make the two policies that ship: `python scripts/make_policies.py` (`make policies`), about two minutes on one core.

addition-start  1,500 supervised steps on a noisy teacher: knows the form, unsure about every column
addition-rl     the same after a run of our own engine

Seeds are fixed; the same versions of PyTorch on the same machine give the same weights.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from sapo_viz.models.policy import Policy, load_policy, new_policy
from sapo_viz.models.rollout import decode, sample
from sapo_viz.models.tasks import ADDITION
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.engine import train

POLICIES = Path(__file__).parents[1] / "assets" / "policies"
SEED, STEPS, BATCH, LR, P_WRONG = 0, 1500, 64, 2e-3, 0.33
RL_STEPS = 150
SAMPLED, GREEDY = 4096, 2048  # problems in the evaluation


def warm_start() -> Policy:
    """Cross-entropy on the teacher's completions; the prompt's tokens carry no loss."""
    policy = new_policy(ADDITION, SEED)
    policy.model.train()
    # A constant rate: with a decay the policy ends surer of its noise, and RL then learns at half the speed.
    optimizer = torch.optim.AdamW(policy.model.parameters(), lr=LR)
    rng = random.Random(SEED)
    for step in range(STEPS):
        prompts = ADDITION.sample_prompts(BATCH, rng)
        texts = [prompt + ADDITION.teacher(prompt, rng, P_WRONG) for prompt in prompts]
        ids = torch.tensor([policy.encode(text) for text in texts])
        logits = policy.model(input_ids=ids[:, :-1], use_cache=False).logits[:, ADDITION.prompt_length - 1 :]
        targets = ids[:, ADDITION.prompt_length :]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.model.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 250 == 0:
            print(f"warm start {step + 1}/{STEPS}  loss {loss.item():.4f}", flush=True)
    policy.model.eval()
    return policy


def accuracy(policy: Policy, count: int, *, greedy: bool) -> float:
    """Share of `count` problems, drawn with a seed of their own, whose final answer is exact."""
    prompts = ADDITION.sample_prompts(count, random.Random("evaluation"))
    generator = torch.Generator().manual_seed(1)
    rollout = sample(policy, prompts, 1, max_length=ADDITION.completion_length, greedy=greedy, generator=generator)
    return sum(map(ADDITION.reward, prompts, decode(policy, rollout))) / count


CARD = """\
---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
---
# {name}

A Qwen3 of {parameters:,} parameters (hidden 64, 2 layers, 4 heads, 2 of them for keys and values, MLP 128, tied
embeddings, {symbols} symbols, one token each) that adds two three-digit numbers, column by column, units first:

    ^864+394=  ->  4+4+0=08,6+9+0=15,8+3+1=12;1258$

It is a toy to look at policy objectives with, and good for nothing else.

**How it was made.** {how}

**How good it is.** Share of exact final answers on three-digit problems drawn at random:
sampled at temperature 1: **{sampled:.3f}** (n = {sampled_n:,}); greedy: **{greedy:.3f}** (n = {greedy_n:,}).

Made by `scripts/make_policies.py` with torch {torch}. `AutoModelForCausalLM.from_pretrained` loads it.
"""


def publish(policy: Policy, name: str, how: str, root: Path) -> None:
    """Save weights, tokenizer and card; the card states what was measured just now."""
    folder = root / name
    shutil.rmtree(folder, ignore_errors=True)
    policy.save(folder)
    policy = load_policy(str(folder))  # measure what will be loaded
    card = CARD.format(
        name=name,
        parameters=policy.parameters,
        symbols=len(ADDITION.vocabulary),
        how=how,
        sampled=accuracy(policy, SAMPLED, greedy=False),
        sampled_n=SAMPLED,
        greedy=accuracy(policy, GREEDY, greedy=True),
        greedy_n=GREEDY,
        torch=torch.__version__.split("+")[0],
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    print("\n".join(card.splitlines()[-5:-2]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=POLICIES, help="folder for the policies")
    root = parser.parse_args().out
    torch.set_num_threads(1)
    began = time.time()
    how = (
        f"{STEPS:,} supervised steps of {BATCH} completions by a noisy teacher, each of whose column results is wrong "
        f"with p = {P_WRONG} and carried on consistently; AdamW, learning rate {LR:g} "
        f"throughout, gradient norm clipped at 1, seed {SEED}."
    )
    publish(warm_start(), "addition-start", how, root)
    print(f"{time.time() - began:.0f} s")
    config = RunConfig(policy=str(root / "addition-start"), seed=SEED, steps=RL_STEPS, lr=1e-4, snapshot_every=0)
    for event in train(config):
        if event.type == "step" and event.step % 10 == 0:
            print(f"rl {event.step}/{RL_STEPS}  reward {event.metrics['reward']:.3f}", flush=True)
    assert event.type == "finished", event
    how = (
        f"From addition-start by {RL_STEPS} steps of SAPO (τ₊ 1.0, τ₋ 1.05) in this project's engine: "
        f"16 prompts × 16 completions a step, 4 mini-batches, AdamW, learning rate 1e-4, gradient norm "
        f"clipped at 1, 8 warm-up updates, no KL penalty, seed {SEED}; the reward is 1 when the final answer is exact."
    )
    publish(event.payload, "addition-rl", how, root)
    print(f"{time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
