"""Scoring 4,096 tokens of a vocabulary of 151,936: how much memory beside the model's own forward pass, how long?

Each sample is a fresh process, whose highest memory the system has counted: the model alone (weights loaded, nothing
run), its plain forward over the text, our scoring of the text. The weights are random; memory and time do not depend
on them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

from benchmarks.report import ROOT, Row, Section

ROUNDS = 5
TOKENS, VOCABULARY = 4096, 151_936
HEADROOM = 1.0  # GB that scoring may take beyond 1.25 times the forward
KINDS = ("model", "forward", "scoring")
NAMES = {"model": "weights only", "forward": "the model's forward", "scoring": "our scoring"}


def measure() -> Section:
    samples: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(ROUNDS):
        for kind in KINDS:
            command = [sys.executable, "-m", "benchmarks.scoring", kind]
            answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            samples[kind].append(json.loads(answer.stdout.splitlines()[-1]))
    memory = {kind: statistics.median(sample["gb"] for sample in samples[kind]) for kind in KINDS}
    allowed = 1.25 * memory["forward"] + HEADROOM
    difference = max(sample["difference"] for sample in samples["scoring"])
    rows = [Row(f"peak memory, {NAMES[kind]}", "GB", [s["gb"] for s in samples[kind]], digits=2) for kind in KINDS]
    rows += [Row(f"time, {NAMES[kind]}", "s", [s["seconds"] for s in samples[kind]], digits=1) for kind in KINDS[1:]]
    return Section(
        "Scoring a text",
        f"A Qwen3 of 8 layers, hidden size 256, vocabulary {VOCABULARY:,}, float32 on the processor; {TOKENS:,} "
        "tokens. The forward makes every logit, as `model(ids)` does; scoring makes them in chunks of 128 MB.",
        rows,
        [
            f"Scoring takes {memory['scoring']:.2f} GB; allowed are 1.25 × {memory['forward']:.2f} + {HEADROOM:g} = "
            f"{allowed:.2f} GB: {'kept' if memory['scoring'] <= allowed else 'NOT kept'}.",
            f"Largest difference to a log-softmax of all logits in float64, on 256 tokens: {difference:.1e}.",
        ],
    )


def sample(kind: str) -> dict[str, float]:
    """One measurement in this process: highest memory in GB, seconds, difference to the full log-softmax."""
    import resource
    import time

    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from sapo_viz.models.logprobs import token_logprobs
    from sapo_viz.models.policy import Policy

    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=8,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=TOKENS,
        tie_word_embeddings=True,
        dtype="float32",
    )
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(config).eval()
    ids = torch.randint(0, VOCABULARY, (1, TOKENS))
    row = ids[0].tolist()
    policy = Policy("benchmark", model, None)  # type: ignore[arg-type]
    began = time.perf_counter()
    if kind == "forward":
        with torch.inference_mode():
            model(input_ids=ids, use_cache=False)
    elif kind == "scoring":
        token_logprobs(policy, [row], [1])
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gb = peak * (1 if sys.platform == "darwin" else 1024) / 1e9
    difference = 0.0
    if kind == "scoring":  # after the memory was read
        short = row[:256]
        with torch.inference_mode():
            full = torch.log_softmax(model(input_ids=ids[:, :256]).logits.double(), -1)[0, :-1]
        expected = full.gather(-1, ids[0, 1:256, None])[:, 0]
        difference = float((token_logprobs(policy, [short], [1])[0].double() - expected).abs().max())
    return {"gb": gb, "seconds": seconds, "difference": difference}


if __name__ == "__main__":
    print(json.dumps(sample(sys.argv[1])))
