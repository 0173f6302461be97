"""Your own prompts after a run: what the starting policy says, and what the trained one says.

Both are asked alike: chat template and system message of the run, one temperature, one seed. Each answer is scored by
both at the temperature that the run's ratios were computed at: log π_trained − log π_start of a token is what the run
has changed about it, and the gates are those that an update from the one to the other would meet.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sapo_viz.core.lazy import torch
from sapo_viz.errors import ModelError, RunError
from sapo_viz.models.lora import with_adapter
from sapo_viz.models.memory import out_of_memory
from sapo_viz.models.policy import Policy, load_policy
from sapo_viz.models.rollout import Rollout, completion_logprobs, decode, sample
from sapo_viz.models.routing import quick_experts
from sapo_viz.models.scoring.score import limit_of
from sapo_viz.models.source import Located
from sapo_viz.models.tasks import TASKS
from sapo_viz.models.trained import sharing_copy
from sapo_viz.rollouts.table import TextTable
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.folder.asked import Answers, Asking, Reply
from sapo_viz.runs.questions.exercise import as_asked, completion_length, known_questions
from sapo_viz.runs.questions.rewards import Reward
from sapo_viz.runs.questions.rows import Question
from sapo_viz.runs.training.engine import pick_device, starting_policy
from sapo_viz.runs.training.snapshots import token_rows

_SAY = 0.2  # seconds between two words of how far it is
_SCORING = 0.1  # of the work: a pass over what is there, where sampling takes one for each token
START, TRAINED = "start", "trained"  # who answers

Told = Callable[[str, float, float | None], None]  # stage, share of the work, seconds left


def ask(
    config: RunConfig,
    trained: Path,
    asking: Asking,
    *,
    reward: Reward | None,
    table: TextTable | None = None,
    models: Path | None = None,
    seconds: float = math.inf,
    told: Told = lambda stage, share, left: None,
) -> tuple[Answers, list[dict[str, Any]]]:
    """The answers, and their tokens in the rollout schema: of each prompt the trained policy's with A = 1, the start's
    with A = −1.

    Args:
        trained: the folder with what the run has trained.
        reward: of a text task; None where it may not be used.
        table: the run's own questions: an answer to one of them is held to its own.
        models: `root` of `models.source.locate`.
        seconds: that it may take.

    Raises:
        ModelError, RunError: a policy is not there, does not fit or cannot read a prompt; or it takes too long.
    """
    told("loading", 0.0, None)
    device = pick_device(config.device)
    start, now = _both(config, trained, device, models)
    texts = [as_asked(config, start, prompt) for prompt in asking.prompts]
    length = _length(start, texts, asking.max_tokens or completion_length(config))
    pulse = _Pulse(told, 2 * length, seconds)
    low = config.dtype == "bfloat16"
    rollouts: dict[str, Rollout] = {}
    with out_of_memory(start.name, device), torch.no_grad():
        for name, policy in ((START, start), (TRAINED, now)):
            rollout = sample(
                policy,
                texts,
                1,
                max_length=length,
                temperature=asking.temperature or config.temperature,
                greedy=not asking.temperature,
                low_precision=low,
                generator=torch.Generator(device).manual_seed(asking.seed),
                should_stop=pulse.of(name, len(rollouts) * length),
            )
            assert rollout is not None  # the pulse raises, and does not stop
            rollouts[name] = rollout
        told("scoring", 1 - _SCORING, None)
        known = known_questions(config, table, reward) if reward else {}
        answers = {
            name: tuple(
                _answer(config, start, prompt, text, reward, known.get(prompt.strip()))
                for prompt, text in zip(asking.prompts, decode(start, rollout), strict=True)
            )
            for name, rollout in rollouts.items()
        }
        rows = {
            name: _rows(config, start, now, rollout, name, answers[name], low) for name, rollout in rollouts.items()
        }
    beside = [row for pair in zip(rows[TRAINED], rows[START], strict=True) for row in pair]
    return Answers(answers[START], answers[TRAINED], asking.temperature, asking.seed, length), beside


def _both(config: RunConfig, trained: Path, device: str, models: Path | None) -> tuple[Policy, Policy]:
    """Of a run with an adapter they share the frozen weights."""
    start = starting_policy(config, device, models, bare=True)
    start.model.requires_grad_(False)
    if not config.lora_rank:
        return start, load_policy(str(trained), device=device)
    model = with_adapter(sharing_copy(start.model), Located(trained.parent.name, str(trained), "", 0))
    return start, Policy(TRAINED, quick_experts(model).to(device).eval(), start.tokenizer)


def _length(policy: Policy, texts: list[str], wanted: int) -> int:
    """Tokens of an answer, as far as the policy reads so many."""
    longest = max(len(policy.encode(text, start=True)) for text in texts)
    limit = limit_of(policy.model.config)
    if limit is None:
        return wanted
    if longest >= limit:
        raise ModelError(f"a prompt is {longest:,} tokens; {policy.name} reads up to {limit:,}, so shorten it.")
    return min(wanted, limit - longest)


def _rows(
    config: RunConfig,
    start: Policy,
    now: Policy,
    rollout: Rollout,
    name: str,
    answers: Sequence[Reply],
    low: bool,
) -> list[dict[str, Any]]:
    """One policy's answers, token by token, with both policies' log-probs."""
    new, old = (
        completion_logprobs(policy, rollout, temperature=config.temperature, low_precision=low)
        for policy in (now, start)
    )
    count = len(rollout.prompts)
    advantages = torch.full((count,), 1.0 if name == TRAINED else -1.0)
    rewards = torch.tensor([math.nan if answer.reward is None else answer.reward for answer in answers])
    rows = token_rows(start, rollout, new, old, advantages, rewards, 0)
    return [
        {key: value for key, value in row.items() if key != "step"} | {"id": f"prompt {row['group'] + 1}, {name}"}
        for row in rows
    ]


def _answer(
    config: RunConfig, policy: Policy, prompt: str, text: str, reward: Reward | None, question: Question | None
) -> Reply:
    """As people read it. Worth something where the prompt is one of the run's questions, or the answer alone tells."""
    from sapo_viz.models.chat import without_end

    if config.task in TASKS:
        return Reply(prompt, text, TASKS[config.task].reward(prompt, text))
    said = without_end(policy, text)
    if reward is None or question is None and (reward.file or reward.needs_answers):
        return Reply(prompt, said)
    question = question or Question(prompt, "", {})
    return Reply(prompt, said, reward.score(question.text, said, question.answer, question.row))


class _Pulse:
    """Asked before each token: says how far it is, and ends what takes too long."""

    def __init__(self, told: Told, tokens: int, seconds: float) -> None:
        self._told, self._tokens, self._seconds = told, tokens, seconds
        self._began = time.monotonic()
        self._said = -math.inf

    def of(self, name: str, before: int) -> Callable[[], bool]:
        done = before

        def pulse() -> bool:
            nonlocal done
            now = time.monotonic()
            spent = now - self._began
            if spent > self._seconds:
                raise RunError(
                    f"it has taken {self._seconds / 60:g} min, which is what this server gives (SAPO_VIZ_RUN_MINUTES): "
                    "ask for fewer or shorter answers."
                )
            if now - self._said > _SAY:
                self._said = now
                left = spent / done * (self._tokens - done) if done else None
                self._told(name, (1 - _SCORING) * done / self._tokens, left)
            done += 1
            return False

        return pulse
