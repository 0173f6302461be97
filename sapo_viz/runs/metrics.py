"""Every number that a step logs: what it is, how it is computed, what is usual.

Ratio and gate metrics come from `core.metrics`. They are taken over all tokens of the step that carry signal
(A ≠ 0), each with the ratio that it had in the update that it was used in: the first mini-batch's are 1, the
last one's have moved furthest.
"""

from __future__ import annotations

from dataclasses import replace

from sapo_viz.core.metrics import METRICS, Metric

RUN_METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "reward", "Reward", "mean R over the rollout", "rises; on addition 1 is all answers exact",
            {
                "TRL": "reward", "verl": "critic/score/mean", "ms-swift": "reward", "OpenRLHF": "reward",
                "SkyRL": "reward/avg_raw_reward", "slime": "rollout/raw_reward",
            },
        ),
        Metric(
            "held_out", "Held-out", "mean over the held-out prompts of what the likeliest answer is worth (1: right)",
            "rises with the reward; falling while that rises, the policy learns its prompts or its judge by heart",
        ),
        Metric(
            "held_out_low", "Held-out, low", 
            "lower end of its 95 % interval over prompts (Wilson's for right and wrong)", "beside it",
        ),
        Metric("held_out_high", "Held-out, high", "upper end of the same interval", "beside it"),
        Metric(
            "pass_k", "pass@k", "share of held-out prompts of which one of k samples is right", "above Held-out",
        ),
        METRICS["kl_old"],
        METRICS["kl_old_k1"],
        Metric(
            "kl_start", "KL to start",
            "mean(r − 1 − log r), r = π_start/π_old, from up to 32 sequences, or all with a KL penalty",
            "rises slowly; below 1 nat per token", 
            {"TRL": "kl", "verl": "actor/kl_loss", "ms-swift": "kl", "SkyRL": "policy/policy_kl"},
        ),
        Metric(
            "entropy", "Entropy", "mean −Σ π log π per sampled token, nats", "falls as the policy becomes sure",
            
            {
                "TRL": "entropy", "verl": "actor/entropy", "ms-swift": "entropy/mean", "SkyRL": "policy/policy_entropy",
                "slime": "train/entropy_loss", "torchforge": "loss/entropy/mean",
            },
        ),
        replace(METRICS["gate_mean"], formula="Σ|A|·w / Σ|A| over the step's updates"),
        replace(METRICS["clip_fraction"], formula="share of tokens with A ≠ 0 and c = 0, over the step's updates"),
        METRICS["ratio_p01"],
        METRICS["ratio_p50"],
        METRICS["ratio_p99"],
        replace(METRICS["ratio_max"], formula="largest r of all of the step's updates"),
        Metric(
            "log_ratio_max", "Log-ratio, max", "largest |log r| of all of the step's updates, either way",
            "below 1; beyond 3 a token's probability moved twentyfold",
        ),
        Metric(
            "changed_routes", "Changed routes", "share of tokens and layers with other experts than at rollout",
            "0 with replay and in dense policies; below 0.1",
        ),
        Metric(
            "grad_norm", "Gradient norm", "largest ‖∇‖ of the step's updates, before clipping", "no lone spikes",
            {
                "TRL": "grad_norm", "verl": "actor/grad_norm", "ms-swift": "grad_norm", "OpenRLHF": "actor_grad_norm",
                "SkyRL": "policy/grad_norm", "slime": "train/grad_norm",
            },
        ),
        replace(
            METRICS["loss"], formula="mean over updates of −aggregate(J) + β·KL", healthy="near 0; its size says little"
        ),
        Metric(
            "signal", "Signal", "share of sequences with A ≠ 0", "above 0.2; 0 means nothing to learn from",
            {"TRL": "1 − `frac_reward_zero_std`"},
        ),
        Metric(
            "dead_groups", "Dead groups", "share of prompts whose completions all earned the same",
            "below 0.8; at 1 there is nothing to learn, unless Advantage is none",
            {"TRL": "frac_reward_zero_std", "ms-swift": "frac_reward_zero_std"},
        ),
        Metric(
            "lr", "Learning rate", "of the step's last update", "reaches its setting after the warm-up",
            {
                "TRL": "learning_rate", "verl": "actor/lr", "ms-swift": "learning_rate", "OpenRLHF": "actor_lr",
                "SkyRL": "policy/policy_lr", "slime": "train/lr-pg_0",
            },
        ),
        Metric(
            "length", "Length", "mean tokens per completion", "steady; 32 on addition, 135 on chain",
            {
                "TRL": "completions/mean_length", "verl": "response_length/mean", "ms-swift": "completions/mean_length",
                "OpenRLHF": "response_length", "SkyRL": "generate/avg_num_tokens", "slime": "rollout/response_len/mean",
            },
        ),
        Metric("completions_per_s", "Completions/s", "completions / seconds of the step", "by machine"),
        Metric("tokens", "Tokens", "sampled tokens since the start", "grows"),
        Metric("seconds", "Seconds", "time spent in steps since the start", "grows"),
    )
}  # fmt: skip
