"""Losses and gradients as the frameworks' own functions compute them: tests/golden/frameworks.json.

    python -m scripts.make_golden --verl DIR --prime-rl DIR --trinity DIR --dgpo DIR --maspo DIR --m2po DIR \
        --archer DIR --unirl DIR --swift DIR

Each DIR is an installed package's folder or a checkout. A function is read from its own file and executed as it stands,
in a namespace with torch and the few helpers that it calls, which are read from the same checkout; nothing of the
frameworks is imported, so neither Ray nor a GPU is needed, and nothing of theirs is kept but numbers. What is left out
keeps the numbers that it has. The batches are those of tests/golden/policy_losses.json: key =
framework:function:parameters:aggregation.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from sapo_viz.paths import HOME

GOLDEN = HOME / "tests" / "golden"
MODES = ("token-mean", "seq-mean-token-mean", "seq-mean-token-sum", "seq-mean-token-sum-norm")
Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # (log π, log π_old, A, mask), all [B, T]


def functions(path: Path, *names: str, **given: Any) -> SimpleNamespace:
    """Functions (and methods) of these names out of a Python file, without their decorators and annotations."""
    wanted: dict[str, ast.FunctionDef] = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name in names:
            node.decorator_list, node.returns = [], None
            for argument in (*node.args.args, *node.args.kwonlyargs):
                argument.annotation = None
            wanted.setdefault(node.name, node)
    missing = set(names) - set(wanted)
    if missing:
        raise SystemExit(f"{path} has no {', '.join(sorted(missing))}.")
    body: list[ast.stmt] = [ast.parse("from __future__ import annotations").body[0], *wanted.values()]
    module = ast.fix_missing_locations(ast.Module(body, []))
    namespace: dict[str, Any] = {"torch": torch, "math": math, **given}
    exec(compile(module, str(path), "exec"), namespace)
    return SimpleNamespace(**{name: namespace[name] for name in names})


class Config(SimpleNamespace):
    def get(self, name: str, default: Any = None) -> Any:
        return getattr(self, name, default)


def helpers(folder: Path) -> SimpleNamespace:
    """verl's masked sums and means."""
    return functions(folder / "verl/utils/torch_functional.py", "masked_sum", "masked_mean")


def verl(folder: Path) -> Iterator[tuple[str, Loss]]:
    names: tuple[str, ...] = (
        "agg_loss",
        "compute_policy_loss_gpg",
        "compute_policy_loss_dro",
        "compute_policy_loss_kl_cov",
    )
    names += ("compute_policy_loss_clip_cov", "compute_policy_loss_gspo", "compute_policy_loss_sapo")
    names += ("compute_policy_loss_cispo",)
    kinds = {"AlgoConfig": type("AlgoConfig", (), {}), "ActorConfig": Config}
    code = functions(folder / "verl/trainer/ppo/core_algos.py", *names, verl_F=helpers(folder), **kinds)

    def run(name: str, mode: str, **settings: Any) -> Loss:
        policy = SimpleNamespace(**{"clip_cov_ratio": None, "clip_cov_lb": None, "clip_cov_ub": None} | settings)
        bands = dict(clip_ratio=0.2, clip_ratio_low=0.2, clip_ratio_high=0.28, tau_pos=1.0, tau_neg=1.05)
        config = Config(policy_loss=policy, global_batch_info={}, **bands)

        def loss(new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
            function = getattr(code, f"compute_policy_loss_{name}")
            found: Tensor = function(old, new, advantages, mask, loss_agg_mode=mode, config=config)[0]
            return found

        return loss

    for mode in MODES:
        yield f"verl:gpg::{mode}", run("gpg", mode)
        yield f"verl:gspo:0.2:0.28:{mode}", run("gspo", mode)
        yield f"verl:cispo:0.2:0.28:{mode}", run("cispo", mode)
        for beta in (0.1, 1.0):
            yield f"verl:dro:{beta}:{mode}", run("dro", mode, dro_beta=beta)
    yield "verl:sapo:1.0:1.05:token-mean", run("sapo", "token-mean")  # the mode is not looked at
    for share in (2e-4, 0.2):
        yield f"verl:kl_cov:{share}:1.0:token-mean", run("kl_cov", "token-mean", kl_cov_ratio=share, ppo_kl_coef=1.0)
    # All that lie between the bounds are left out, so that the random draw among them decides nothing.
    settings = dict(clip_cov_ratio=1.0, clip_cov_lb=0.1, clip_cov_ub=5.0)
    yield "verl:clip_cov:1.0:0.1:5.0:token-mean", run("clip_cov", "token-mean", **settings)


def prime_rl(folder: Path) -> Iterator[tuple[str, Loss]]:
    """Per sequence; the sum is divided by the tokens of the batch, as its trainer does."""
    given = {"LossOutputs": SimpleNamespace}
    names = ("_safe_mean", "compute_importance_ratio_and_mismatch_kl", "default_loss_fn", "ipo_loss_fn")
    code = functions(folder / "src/prime_rl/trainer/rl/loss.py", *names, **given)

    def run(name: str, **settings: float) -> Loss:
        config = SimpleNamespace(**settings)

        def loss(new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
            total = new.sum() * 0
            for row in range(len(new)):
                inputs = SimpleNamespace(
                    trainer_logprobs=new[row],
                    inference_logprobs=old[row],
                    advantages=advantages[row],
                    loss_mask=mask[row].bool(),
                    loss_weights=None,
                )
                total = total + getattr(code, name)(inputs, config).loss
            mean: Tensor = total / mask.sum()
            return mean

        return loss

    for tau in (1e-3, 0.5):
        settings = dict(dppo_mask_low=0.2, dppo_mask_high=0.1, adv_tau=1.0, kl_tau=tau)
        yield f"prime-rl:default:0.2:0.1:{tau}:token-mean", run("default_loss_fn", **settings)
        yield f"prime-rl:ipo:0.1:{tau}:token-mean", run("ipo_loss_fn", ipo_threshold=0.1, adv_tau=1.0, kl_tau=tau)


def verl_fork(folder: Path, mode: str, **settings: float) -> Loss:
    """The shared function of the authors of DGPO and MASPO, on a verl of theirs."""
    code = functions(
        folder / "verl/trainer/ppo/core_algos.py", "agg_loss", "compute_policy_loss", verl_F=helpers(folder)
    )
    config = SimpleNamespace(ratio_clip=SimpleNamespace(ratio_mode=mode, **settings))

    def loss(new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
        band = dict(cliprange=0.2, cliprange_low=0.2, cliprange_high=0.28, clip_ratio_c=3.0)
        more = dict(loss_agg_mode="token-mean", policy_loss_config=config)
        found: Tensor = code.compute_policy_loss(old, new, advantages, mask, **band, **more)[0]
        return found

    return loss


def dgpo(folder: Path) -> Iterator[tuple[str, Loss]]:
    for n, m in ((1, 2), (2, 1)):
        yield f"dgpo:0.2:0.28:{n}:{m}:token-mean", verl_fork(folder, "dgpo", dgpo_n=n, dgpo_m=m)


def maspo(folder: Path) -> Iterator[tuple[str, Loss]]:
    for sigma, alpha, beta in ((1.0, 0.3, 0.03), (0.1, 0.5, 0.2)):
        bounds = dict(maspo_sigma_high=10.0, maspo_adv_low=0.1, maspo_adv_high=10.0)
        knobs = dict(maspo_sigma_base=sigma, maspo_alpha=alpha, maspo_beta_neg=beta, maspo_beta_pos=beta)
        yield f"maspo:{sigma}:{alpha}:{beta}:token-mean", verl_fork(folder, "maspo", **bounds, **knobs)


def m2po(folder: Path) -> Iterator[tuple[str, Loss]]:
    names: tuple[str, ...] = (
        "_solve_tau_from_sorted_delta2",
        "_get_trust_region_tokens_delta_sq",
        "kpo_clip_harmful_tokens",
        "agg_loss",
    )
    names += ("compute_m2po_policy_loss",)
    given = dict(verl_F=helpers(folder), get_ratio_stats=lambda *_: {}, print=lambda *_: None)
    code = functions(folder / "verl/trainer/ppo/core_algos.py", *names, **given)
    for budget in (0.04, 0.3):

        def loss(new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, budget: float = budget) -> Tensor:
            band = dict(miniclip_low=0.05, miniclip_high=0.05)
            found: Tensor = code.compute_m2po_policy_loss(old, new, advantages, mask, M2_budget=budget, **band)[0]
            return found

        yield f"m2po:{budget}:0.05:0.05:token-mean", loss


def archer(folder: Path) -> Iterator[tuple[str, Loss]]:
    """ASPO. Its value is another one (`notes`), so only its gradient is compared."""
    names = ("agg_loss", "compute_policy_loss_archer")
    code = functions(folder / "verl/trainer/ppo/core_algos.py", *names, verl_F=helpers(folder))

    def loss(new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
        bands = dict(negative_low_entropy_clip_ratio_low=0.2, negative_high_entropy_clip_ratio_low=0.2)
        bands |= dict(positive_low_entropy_clip_ratio_high=0.2, positive_high_entropy_clip_ratio_high=0.2)
        everywhere = torch.ones_like(mask, dtype=torch.bool)
        found: Tensor = code.compute_policy_loss_archer(old, new, advantages, mask.bool(), everywhere, **bands)[0]
        return found

    yield "aspo:0.2:0.2:3.0:token-mean", loss


def unirl(folder: Path) -> Iterator[tuple[str, Loss]]:
    code = functions(folder / "unirl/algorithms/drpo.py", "_drpo_loss")
    for weighted, epsilon in ((True, 12.5), (True, 0.2), (False, 0.2)):

        def loss(
            new: Tensor,
            old: Tensor,
            advantages: Tensor,
            mask: Tensor,
            weighted: bool = weighted,
            epsilon: float = epsilon,
        ) -> Tensor:
            arguments = dict(new_logp=new, old_logp=old, advantages=advantages, epsilon=epsilon)
            each, _ = code._drpo_loss(**arguments, mu_weighted=weighted)
            total: Tensor = (each * mask).sum() / mask.sum()
            return total

        yield f"unirl:{'drpo' if weighted else 'spo'}:{epsilon}:token-mean", loss


def swift(folder: Path) -> Iterator[tuple[str, Loss]]:
    """FIPO: its influence weight from the trainer's own method, times GRPO's clipped surrogate."""
    code = functions(folder / "swift/rlhf_trainers/grpo_trainer.py", "_compute_fipo_influence")
    trainer = SimpleNamespace(
        args=SimpleNamespace(delta=None),
        fipo_gamma=2 ** (-1 / 32.0),
        fipo_clip_range=0.2,
        fipo_clip_high_only=True,
        fipo_safety_threshold=4.0,
    )

    def loss(new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
        ratio = (new - old).exp()
        weight, _ = code._compute_fipo_influence(trainer, new - old, ratio, advantages, mask.bool())
        clipped = torch.min(ratio * advantages, ratio.clamp(1 - 0.2, 1 + 0.28) * advantages)
        total: Tensor = -(weight * clipped * mask).sum() / mask.sum()
        return total

    yield "ms-swift:fipo:0.2:0.28:32.0:0.2:4.0:token-mean", loss


def trinity(folder: Path) -> Iterator[tuple[str, Loss]]:
    """TOPR with each token's own ratio: the same as ours on sequences of one token, so these are compared."""
    code = functions(
        folder / "trinity/algorithm/policy_loss_fn/topr_policy_loss.py", "__call__", **_trinity_helpers(folder)
    )
    settings = SimpleNamespace(advantage_threshold=0.0, loss_agg_mode="token-mean")

    def loss(new: Tensor, old: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
        found: Tensor = vars(code)["__call__"](settings, new, old, mask, advantages)[0]
        return found

    yield "trinity:topr:token-mean", loss


def _trinity_helpers(folder: Path) -> dict[str, Any]:
    names = ("masked_sum", "masked_mean", "aggregate_loss")
    return vars(functions(folder / "trinity/algorithm/utils.py", *names))


SOURCES = {
    "verl": (verl, "verl 0.9.1"),
    "prime-rl": (prime_rl, "prime-rl 559b447 (2026-08-21)"),
    "dgpo": (dgpo, "FlyTune/DGPO-RL cc225d4"),
    "maspo": (maspo, "VenomRose-Juri/MASPO-RL 22b4681"),
    "m2po": (m2po, "Infini-AI-Lab/M2PO af54a3e"),
    "archer": (archer, "wizard-III/Archer2.0 b08d963"),
    "unirl": (unirl, "Tencent-Hunyuan/UniRL 1a7b501"),
    "swift": (swift, "ms-swift 4.6.0"),
    "trinity": (trinity, "Trinity-RFT 0.6.0"),
}


def compute(loss: Loss, case: dict[str, Any]) -> dict[str, Any]:
    def rows(name: str) -> Tensor:
        return torch.tensor(case[name], dtype=torch.float64)

    new = rows("logp_new").requires_grad_(True)
    advantages = rows("advantages")[:, None].expand_as(new)
    value = loss(new, rows("logp_old"), advantages, rows("mask"))
    value.backward()
    assert new.grad is not None
    return {"loss": value.item(), "grad": new.grad.tolist()}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for name in SOURCES:
        parser.add_argument(f"--{name}", type=Path)
    asked = vars(parser.parse_args())
    torch.set_default_dtype(torch.float64)  # for the constants that they make on the way
    cases = json.loads((GOLDEN / "policy_losses.json").read_text(encoding="utf-8"))["cases"]
    path = GOLDEN / "frameworks.json"
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    sources, refs = dict(kept.get("sources", {})), dict(kept.get("refs", {}))
    for name, (losses, version) in SOURCES.items():
        folder = asked[name.replace("-", "_")]
        if folder is None:
            continue
        sources[name] = version
        for key, loss in losses(folder):
            refs[key] = [compute(loss, case) for case in cases]
    lines = ",\n  ".join(f"{json.dumps(key)}: {json.dumps(refs[key])}" for key in sorted(refs))
    head = json.dumps(dict(sorted(sources.items())))
    path.write_text(f'{{"sources": {head},\n "refs": {{\n  {lines}\n }}}}\n', encoding="utf-8")
    print(f"{len(refs)} entries of {len(sources)} sources")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
