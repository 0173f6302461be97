"""prime-rl: `TokenExporter.export`, with a reinforcement-learning and a cross-entropy member."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from scripts.format_writers.answers import ANSWERS, STEP
from scripts.format_writers.source import Source

FRAMEWORK = "prime-rl"
FUNCTION = "src/prime_rl/trainer/rl/token_export.py TokenExporter.export"


class _LossConfig:
    dppo_mask_high = dppo_mask_low = 0.2


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    yield "prime-rl-rank_0.jsonl", FUNCTION, _export(source, set())
    yield "prime-rl-ce-rank_0.jsonl", FUNCTION, _export(source, {1})


def _export(source: Source, cross_entropy: set[int]) -> bytes:
    """`cross_entropy` are the answers that are trained on as given text."""
    import torch

    loss = source.take("src/prime_rl/trainer/rl/loss.py", "compute_importance_ratio_and_mismatch_kl")
    taken = source.take(
        "src/prime_rl/trainer/rl/token_export.py",
        DefaultLossConfig=_LossConfig,
        compute_importance_ratio_and_mismatch_kl=loss.compute_importance_ratio_and_mismatch_kl,
    )

    def flat(prompt: float, answer: str | float) -> torch.Tensor:
        rows = [
            [prompt] * len(a.prompt_ids)
            + [float(x) for x in (getattr(a, answer) if isinstance(answer, str) else [answer] * len(a.ids))]
            for a in ANSWERS
        ]
        return torch.tensor([x for row in rows for x in row])[None]

    lengths = [len(a.prompt_ids) + len(a.ids) for a in ANSWERS]
    kind = torch.tensor([float(i in cross_entropy) for i, n in enumerate(lengths) for _ in range(n)])[None]
    mask = flat(0, 1) != 0
    batch = {
        "input_ids": torch.tensor([[x for a in ANSWERS for x in (*a.prompt_ids, *a.ids)]]),
        "position_ids": torch.tensor([[x for n in lengths for x in range(n)]]),
        "loss_mask": mask,
        "advantages": torch.tensor([[a.advantage for a, n in zip(ANSWERS, lengths, strict=True) for _ in range(n)]]),
        "inference_logprobs": flat(0.0, "sampler") * (1 - kind),
        "env_names": ["math"] * sum(lengths),
    }
    if cross_entropy:
        batch |= {"rl_weights": mask * (1 - kind), "ce_weights": mask * kind}
    output = {"logprobs": flat(-1.0, "trainer"), "entropy": torch.full((1, sum(lengths)), 0.5)}
    with tempfile.TemporaryDirectory() as folder:
        exporter = taken.TokenExporter(Path(folder), 0)
        exporter.export(STEP, 0, batch, output, lengths, _LossConfig())
        exporter.close()
        return Path(folder, "token_exports", f"step_{STEP}", "rank_0.jsonl").read_bytes()
