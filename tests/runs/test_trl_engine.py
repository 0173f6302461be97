"""The second engine, TRL's trainer: its loss is TRL's own where TRL has one, and a run of it is like any other."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.commands.launch import launch_command_parser
from trl.trainer.grpo_trainer import GRPOTrainer

from sapo_viz import CATALOG
from sapo_viz.core.losses import policy_loss
from sapo_viz.errors import RunError
from sapo_viz.models.tasks import TASKS
from sapo_viz.models.with_trl import Hooks, Minibatch, join, trainer_with
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.events import RunEvent
from sapo_viz.runs.exports.export import FRAMEWORKS
from sapo_viz.runs.exports.launch import PLACES, Place, launch_command
from sapo_viz.runs.exports.mapping import translated
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.questions.exercise import toy_exercise
from sapo_viz.runs.training.by_trl import plan_of, train_by_trl
from sapo_viz.runs.training.engine import starting_policy
from sapo_viz.runs.training.relay import relayed
from sapo_viz.runs.training.update import make_optimizer
from sapo_viz.runs.workers.worker import work

SMALL: dict[str, Any] = dict(prompts=2, completions=4, minibatches=2, held_out=4, validate_every=2, checkpoint_every=1)
BY_TRL = [name for name in CATALOG if FRAMEWORKS["trl"].has(name) and name != "gmpo"]  # which has a trainer of its own


def small(**changes: Any) -> RunConfig:
    return RunConfig.from_dict({"objective": "sapo", "engine": "trl", "device": "cpu", **SMALL, "steps": 3, **changes})


@pytest.fixture(scope="module")
def trainer() -> Iterator[Any]:
    """TRL's trainer as the engine makes it, with a loss that is put in by the test."""
    config = small()
    join(cpu=True)
    policy = starting_policy(config, "cpu")
    plan = plan_of(config, toy_exercise(TASKS["addition"], config), 0, 1, "cpu")
    optimizer = make_optimizer(config, policy)
    hooks = Hooks(*([None] * 4), lambda batch: box["loss"](batch), lambda *_: False)  # type: ignore[arg-type]
    box: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        made = trainer_with(policy, plan, hooks, optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, float), folder)
        made.box, made.policy = box, policy
        made.model.train()
        made.current_gradient_accumulation_steps = 1
        yield made


def batch(trainer: Any) -> dict[str, Any]:
    """A mini-batch whose π_old is some way from π: ratios from 0.5 to 2, one completion shorter."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1, 17, (4, 12), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    prompt = torch.randint(1, 11, (4, 5), generator=generator)
    given = {
        "prompt_ids": prompt,
        "prompt_mask": torch.ones_like(prompt),
        "completion_ids": ids,
        "completion_mask": mask,
    }
    whole, seen = torch.cat([prompt, ids], 1), torch.cat([given["prompt_mask"], mask], 1)
    with torch.no_grad():
        now = trainer._get_per_token_logps_and_entropies(trainer.model, whole, seen, 12)[0]
    old = now - 0.7 * (2 * torch.rand(now.shape, generator=generator) - 1)
    advantages = torch.tensor([1.0, -0.5, 0.8, -1.3])
    return given | {
        "old_per_token_logps": old,
        "advantages": advantages,
        "num_items_in_batch": 2 * mask.sum(),
    }  # of a rollout


@pytest.mark.parametrize("name", BY_TRL)
def test_the_loss_and_its_gradient_are_trls_own_to_1e_6(trainer: Any, name: str) -> None:
    """The same mini-batch through TRL's `_compute_loss`, with the settings of an export, and through ours."""
    config = RunConfig(name)
    for line in translated(config, FRAMEWORKS["trl"]).lines:
        if line.group == "objective" or line.name == "loss_type":
            setattr(trainer.args, line.name, line.value)
            setattr(trainer, line.name, line.value)
    trainer.epsilon_low, trainer.epsilon_high = trainer.args.epsilon, trainer.args.epsilon_high
    level = "sequence" if CATALOG[name].ratio_level == "sequence" else "token"
    trainer.importance_sampling_level = level

    def ours(given: Minibatch) -> Any:
        objective, length = config.make_objective(), trainer.max_completion_length
        return policy_loss(
            objective, given.logprobs, given.old_logprobs, given.advantages, given.mask, max_length=length
        ).loss

    trainer.box["loss"] = ours
    found = []
    for compute in (GRPOTrainer._compute_loss, type(trainer)._compute_loss):
        trainer.model.zero_grad()
        loss = compute(trainer, trainer.model, batch(trainer))
        loss.backward()
        found.append(
            (float(loss), torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None]))
        )
    (theirs, slope), (own, own_slope) = found
    assert own == pytest.approx(theirs, rel=1e-6, abs=1e-6)
    assert float((own_slope - slope).abs().max()) < 1e-6 * max(1.0, float(slope.abs().max()))
    assert float(slope.norm()) > 1e-3
    trainer.args.delta = None


def numbers(events: list[RunEvent]) -> list[dict[str, float]]:
    timed = ("seconds", "completions_per_s")
    return [{k: v for k, v in e.metrics.items() if k not in timed} for e in events if e.type == "step"]


def test_a_run_says_what_a_loops_run_says_and_goes_on_from_a_checkpoint_as_it_would_have(tmp_path: Path) -> None:
    config = small(steps=3)
    whole = []
    for event in train_by_trl(config):
        whole.append(event)
        if event.type == "checkpoint" and event.step == 1:
            torch.save(event.payload, tmp_path / "kept.pt")  # its tensors are the live policy's
    types = [(event.type, event.step) for event in whole]
    assert types == [
        *(("start", 0), ("step", 1), ("sample", 1), ("checkpoint", 1), ("step", 2), ("checkpoint", 2)),
        *(("step", 3), ("sample", 3), ("checkpoint", 3), ("finished", 3)),
    ]
    kept = torch.load(tmp_path / "kept.pt", weights_only=True)
    again = list(train_by_trl(config, resume=kept))
    for here, there in zip(numbers(again), numbers(whole)[1:], strict=True):
        assert here == pytest.approx(there, rel=1e-4, abs=1e-6)
    sample = next(event for event in whole if event.type == "sample")
    assert len(sample.payload) == 8 and {"tokens", "logprobs", "old_logprobs", "advantage"} <= set(sample.payload[0])


def test_the_worker_does_it_in_the_same_folder_and_stops_between_two_updates(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    run_id = store.create(small(objective="erf", steps=50, micro_batch=2, lora_rank=2, kl_coef=0.1))  # not TRL's
    last = work(store.folder(run_id), echo=lambda event: event.step == 1 and store.request_stop(run_id))
    assert last.type == "stopped" and 1 <= last.step < 50
    assert store.status(run_id) == "stopped" and store.snapshots(run_id) == [1]


@pytest.mark.parametrize(
    "changes, said",
    [
        (dict(staleness=2), "staleness is 2, and engine trl has fresh rollouts alone; it takes 0, or engine loop."),
        (dict(sampler_noise=0.5), "sampler_noise is 0.5, and engine trl adds no noise"),
        (dict(sampler_dtype="bfloat16"), "samples in the trainer's precision; it takes 'same', or engine loop"),
        (
            dict(correction="token-mask", old_logprobs="recomputed"),
            "correction is 'token-mask', and engine trl samples",
        ),
        (dict(routing_replay="r3"), "routing_replay is 'r3', and engine trl replays no routes"),
        (dict(task="synonyms"), "ends? in 600 ways; engine trl knows one end"),
        (dict(minibatches=3), r"minibatches is 3, which does not divide 2 × 4 completions"),
        (dict(micro_batch=3), "micro_batch is 3, which does not divide a mini-batch of 4"),
        (dict(micro_batch=2, objective="dapo"), "DAPO looks at the whole mini-batch; it takes 0"),
    ],
)
def test_what_trl_cannot_serve_is_refused_before_there_is_a_run(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RunError, match=said):
        small(**changes)
    RunConfig.from_dict({**SMALL, "objective": "sapo", "steps": 3, **changes})  # the loop takes it


def test_what_is_said_waits_until_the_next_is_asked_for_and_an_end_ends_the_work() -> None:
    done: list[int] = []

    def work(say: Any) -> None:
        for number in itertools.count():
            say(number)
            done.append(number)

    events = relayed(work)
    assert next(events) == 0 and done == []
    assert next(events) == 1 and done == [0]
    events.close()  # type: ignore[attr-defined]
    assert done == [0]

    def fails(say: Any) -> None:
        say(1)
        raise RunError("out of chalk")

    with pytest.raises(RunError, match="chalk"):
        list(relayed(fails))


def test_two_processes_train_one_run_and_the_first_writes_it(tmp_path: Path) -> None:
    """accelerate on two processes that speak gloo: 4 prompts × 4 completions, of which each has half."""
    settings = ["--prompts", "4", "--completions", "4", "--minibatches", "2", "--steps", "2", "--validate-every", "0"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launcher, "-m", "sapo_viz", "train", *settings, "--max-tokens", "8", "--out", str(tmp_path / "run")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    events = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    assert [event["type"] for event in events if event["type"] != "sample"][-2:] == ["checkpoint", "finished"]
    assert next(event for event in events if event["type"] == "start")["processes"] == 2
    steps = [event["metrics"] for event in events if event["type"] == "step"]
    assert [step["tokens"] for step in steps] == [2 * 8 * 8, 2 * 2 * 8 * 8] and steps[1]["kl_start"] > 0


@pytest.mark.parametrize("where", PLACES)
def test_accelerates_own_parser_takes_each_launch_command(where: Place) -> None:
    config = RunConfig("sapo", {"tau_neg": 2.0}, engine="trl", lr=1e-3, label="a b")
    command = launch_command(config, where)
    made = launch_command_parser().parse_args(shlex.split(command)[2:])
    if where in ("fsdp", "deepspeed"):
        assert made.training_script == "train.py" and (made.use_fsdp or made.use_deepspeed)
        return
    assert made.module and made.training_script == "sapo_viz"
    said = ["train", "--objective", "sapo", "--tau-neg", "2", "--label", "a b", "--lr", "0.001", "--engine", "trl"]
    assert made.training_script_args == said
