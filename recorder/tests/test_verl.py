"""With verl's own loss on a processor, nested tensors as its engine has them; the engine itself needs a GPU."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("verl", reason="verl is not installed here; pip install verl==0.9.1 beside torch to run these")

CODE = """
import json, sys, torch
from tensordict import TensorDict
import verl
from verl.utils import tensordict_utils as tu
from verl.workers.config import ActorConfig
from verl.trainer.ppo.rollout_corr_helper import compute_rollout_correction_weights
from verl.workers.utils import losses
import sapo_recorder_verl as plugin

step, mode, corrected = int(sys.argv[1]), sys.argv[2], len(sys.argv) > 3  # step 0: the driver tells none
config = ActorConfig(strategy="fsdp", policy_loss={"loss_mode": mode}, tau_pos=2.0, tau_neg=3.0, rollout_n=2,
                     ppo_micro_batch_size_per_gpu=2, use_kl_loss=corrected, kl_loss_coef=0.125)
draw = torch.Generator().manual_seed(0)
jag = lambda parts: torch.nested.as_nested_tensor(parts, layout=torch.jagged)
prompts, lengths = [3, 2], [4, 6]
def rows(of): return jag([of(n) for n in lengths])
old = [-torch.rand(n, generator=draw) - 2 for n in lengths]
weight = torch.nn.Parameter(torch.zeros(sum(lengths)))
optimizer = torch.optim.SGD([weight], lr=1.0)

def batch():
    data = TensorDict({
        "prompts": jag([torch.arange(10, 10 + n) for n in prompts]),
        "responses": jag([torch.arange(20 * n, 21 * n) for n in lengths]),
        "response_mask": rows(lambda n: torch.ones(n)),
        "old_log_probs": jag(old),
        "rollout_log_probs": jag([each + 0.125 for each in old]),
        "advantages": jag([torch.full((n,), a) for n, a in zip(lengths, (1.0, -2.0))]),
        "rm_scores": rows(lambda n: torch.full((n,), 0.5 / n)),
    }, batch_size=[2])
    tu.assign_non_tensor(data, dp_size=1, batch_num_tokens=None, global_batch_size=None)
    if step:
        tu.assign_non_tensor(data, **{plugin.STEP: step})
    if corrected:
        sampler = [each + 0.4 * torch.randn(each.shape, generator=draw) for each in old]
        one = lambda of: torch.cat(of)[None]
        weights, _ = compute_rollout_correction_weights(one(old) - one(sampler), one(old) < 0, "token", "0.7_1.5")
        data["rollout_log_probs"], data["rollout_is_weights"] = jag(sampler), jag(list(weights[0].split(lengths)))
        data["ref_log_prob"] = jag([each - 0.25 for each in old])
        asked = {"rollout_is": "token", "rollout_is_threshold": "0.7_1.5"}
        tu.assign_non_tensor(data, **{plugin.CORRECTION: json.dumps(asked)})
    return data

def output():
    # log-probs of whole sequences, one place early, as verl's engine gives them
    parts = weight.split(lengths)
    rest = lambda n: torch.full((n,), -9.0)
    return {"log_probs": jag([torch.cat([rest(p - 1), o + w, rest(1)]) for p, o, w in zip(prompts, old, parts)])}

class TrainingWorker:  # what patch_worker wraps: two mini-batches of one micro-batch
    def train_mini_batch(self, data):
        assert not {plugin.STEP, plugin.CORRECTION} & set(data.keys())
        for _ in range(2):
            loss, metrics = losses.ppo_loss(config, output(), data)
            optimizer.zero_grad(); loss.backward(); optimizer.step()
            print(loss.item(), *weight.grad.tolist())

engine = type(sys)("engine"); engine.TrainingWorker = TrainingWorker
plugin.WORKER.patch_worker(engine)
for _ in range(1 if step else 2):
    TrainingWorker().train_mini_batch(batch())
plugin.WORKER.recorder.end()
assert plugin.WORKER.recorder.active, plugin.WORKER.recorder.reason
"""


def run(folder: Path, *words: str) -> list[list[float]]:
    """verl finds the recorder by its own variable, in a process of its own; the losses and gradients it computed."""
    import os

    environment = {
        **os.environ, "VERL_USE_EXTERNAL_MODULES": "sapo_recorder_verl",
        "SAPO_RECORD": str(folder), "SAPO_RECORD_EVERY": "1",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]),
    }  # fmt: skip
    command = [sys.executable, "-c", CODE, *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return [[float(word) for word in line.split()] for line in done.stdout.split("\n") if line.strip()]


def test_the_policys_log_probs_of_every_update_are_recorded(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow.parquet")
    updates = run(tmp_path / "run", "7", "sapo")
    events = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    steps = [event for event in events if event["type"] == "step"]
    assert [event["step"] for event in steps] == [7]
    rows = pyarrow.read_table(tmp_path / "run" / "tokens" / "step-00007.rank-0.parquet").to_pylist()
    assert [row["minibatch"] for row in rows] == [0, 0, 1, 1]
    first, last = rows[0], rows[2]
    assert first["logprobs"] == pytest.approx(first["old_logprobs"], abs=1e-6)  # on-policy
    assert last["logprobs"] != pytest.approx(last["old_logprobs"], abs=1e-6)  # one update later
    assert [len(row["token_ids"]) for row in rows] == [4, 6, 4, 6] and first["token_ids"] == [80, 81, 82, 83]
    assert first["reward"] == pytest.approx(0.5) and rows[1]["advantages"] == [-2.0] * 6
    mismatch = [a - b for a, b in zip(first["sampler_logprobs"], first["old_logprobs"])]
    assert mismatch == pytest.approx([0.125] * 4, abs=1e-6)
    import torch

    for part, (loss, *gradient) in zip((rows[:2], rows[2:]), updates):  # SAPO written out again
        assert [slope for row in part for slope in row["loss_gradients"]] == pytest.approx(gradient, abs=1e-6)
        means = []
        for row in part:
            z = torch.tensor(row["logprobs"], dtype=torch.float64) - torch.tensor(row["old_logprobs"])
            a = torch.tensor(row["advantages"], dtype=torch.float64)
            tau = torch.where(a > 0, 2.0, 3.0)
            means.append(float((-4 / tau * torch.sigmoid(tau * (z.exp() - 1)) * a).mean()))
        assert sum(means) / 2 == pytest.approx(loss, abs=1e-6)


def test_steps_are_counted_where_the_driver_tells_none(tmp_path: Path) -> None:
    run(tmp_path / "run", "0", "sapo")
    events = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events if event["type"] == "step"] == [1, 2]
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["framework"], config["objective"], config["knobs"]["tau_pos"]) == ("verl", "sapo", 2.0)
    assert importlib.import_module("verl").__version__ == config["version"]


def test_the_drivers_fields_become_a_step(tmp_path: Path) -> None:
    """With a stand-in for the queue that only the driver of a cluster has: the conversion, not the fetching."""
    import torch
    from tensordict import TensorDict

    import sapo_recorder_verl as plugin

    def nested(of: float) -> torch.Tensor:
        return torch.nested.as_nested_tensor([torch.full((n,), of) for n in (2, 4)], layout=torch.jagged)

    class Queue:
        @staticmethod
        def kv_batch_get(keys: list[str], partition_id: str, select_fields: list[str]) -> TensorDict:
            names = [name for name in select_fields if name not in ("uid", "prompts", "responses")]
            fields = {name: nested(-0.5) for name in names}
            ids = torch.nested.as_nested_tensor([torch.arange(2), torch.arange(4)], layout=torch.jagged)
            return TensorDict({**fields, "prompts": ids, "responses": ids, "rollout_log_probs": nested(-0.75)}, [2])

    class Meta:
        keys, partition_id = ["a", "b"], "train"

    batch = plugin.driver_batch(Queue, Meta)
    assert batch.logprobs.shape == (2, 4) and batch.old_logprobs is None
    assert batch.sampler_logprobs[1].tolist() == [-0.75] * 4 and batch.present.sum().item() == 6
    assert batch.rewards.tolist() == [-1.0, -2.0]
