"""What a run is trained on, whatever the task: prompts to draw from, prompts held out, and what a completion earns."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sapo_viz.errors import RunError
from sapo_viz.models.tasks import TASKS, Task
from sapo_viz.rollouts.table import TextTable
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.questions import gym, mood
from sapo_viz.runs.questions.rewards import Reward, parse_reward
from sapo_viz.runs.questions.rows import Question, questions_of, split

if TYPE_CHECKING:
    from sapo_viz.models.policy import Policy

TOKENS = 64  # of a completion, for your own questions, unless the settings say otherwise
EXAMPLES = 5


@dataclass(frozen=True)
class Exercise:
    """Prompts with a reward that can be computed. `reward` gives None for a completion that is not rewarded.

    `correct` is what validation counts: 1 or 0, or the reward where nothing says what is right.
    """

    completion_length: int
    draw: Callable[[random.Random], str]
    reward: Callable[[str, str], float | None]  # (prompt, completion)
    correct: Callable[[str, str], float | None]
    held_out: tuple[str, ...] = ()
    counts_right: bool = True  # whether `correct` is a share of right answers
    plain: Callable[[str, str], tuple[str, str]] = lambda prompt, completion: (
        prompt,
        completion,
    )  # as people read them

    def sample_prompts(self, count: int, rng: random.Random) -> list[str]:
        """`count` prompts, drawn independently; none of those held out."""
        return [self._one(rng) for _ in range(count)]

    def _one(self, rng: random.Random) -> str:
        while (prompt := self.draw(rng)) in self.held_out:
            pass
        return prompt


@dataclass(frozen=True)
class Examples:
    """What a page can say of questions before anything is loaded: the first of them, and what their answers earn."""

    questions: tuple[Question, ...]
    scores: tuple[float | None, ...]  # of the answer itself as a completion; None without an answer
    train: int
    held_out: int


def toy_exercise(task: Task, config: RunConfig) -> Exercise:
    """One of the tasks with bundled policies. Held out are the first distinct prompts of a stream of its own; a task
    with few prompts, as the chain's hundred, keeps four fifths of them."""
    count = config.held_out if config.validate_every else 0
    rng = random.Random("held out")
    found: dict[str, None] = {}
    for _ in range(2000):  # draws enough to have seen all of a small task's prompts
        found[task.prompt(rng)] = None
    every = len(found)
    if every > 1000:  # a large task: hardly any was drawn twice
        while len(found) < count:
            found[task.prompt(rng)] = None
    else:
        count = min(count, every // 5)
    return Exercise(completion_length(config), task.prompt, task.reward, task.reward, tuple(list(found)[:count]))


def reward_of(config: RunConfig, *, folder: Path | None = None, any_file: bool = False) -> Reward:
    """The reward that the settings ask for; the mood task has its own where they are at their default."""
    return parse_reward(reward_line(config), folder=folder, any_file=any_file)


def reward_line(config: RunConfig) -> str:
    """The setting, or the task's own where it is empty."""
    usual = "gym" if config.task == "questions" and gym.is_gym(config.data) else "exact"
    return config.reward or ("mood" if config.task == "mood" else usual)


def completion_length(config: RunConfig) -> int:
    """Tokens of a completion, at most: the setting, or the task's own."""
    if config.max_tokens or config.task not in TASKS:
        return config.max_tokens or (mood.TOKENS if config.task == "mood" else TOKENS)
    return TASKS[config.task].completion_length


def table_of(config: RunConfig, table: TextTable | None) -> TextTable:
    """The questions of the run.

    Raises:
        RunError: the task wants a file of them, and none is there.
    """
    if config.task == "mood":
        return mood.mood_table()
    if table is None:
        raise RunError("task is 'questions', and there is no file of them; name one with data.")
    return table


def examples_of(config: RunConfig, table: TextTable | None, reward: Reward) -> Examples:
    """All that can be checked without a policy, and the first five questions with what their answers earn.

    Raises:
        RunError: the questions cannot be trained on.
    """
    questions = questions_of(table_of(config, table), complete(config), reward)
    train, held_out = split(questions, config)
    first = tuple(train[:EXAMPLES])
    scores = tuple(reward.score(q.text, q.answer, q.answer, q.row) if q.answer else None for q in first)
    return Examples(first, scores, len(train), len(held_out))


def text_exercise(config: RunConfig, policy: Policy, table: TextTable | None, reward: Reward) -> Exercise:
    """Questions as the policy is asked them: in its chat template, or as they are.

    Raises:
        RunError, ModelError: the questions, or the policy's tokenizer, cannot be used.
    """
    from sapo_viz.models.chat import without_end

    config = complete(config)
    train, held_out = split(questions_of(table_of(config, table), config, reward, whole=True), config)
    hidden = {as_asked(config, policy, question.text): question for question in held_out}
    seen = {as_asked(config, policy, question.text): question for question in train}
    known, prompts = seen | hidden, [prompt for prompt in seen if prompt not in hidden]

    def score(prompt: str, completion: str) -> float | None:
        question = known[prompt]
        return reward.score(question.text, without_end(policy, completion), question.answer, question.row)

    def correct(prompt: str, completion: str) -> float | None:
        judged = reward.correct(without_end(policy, completion), known[prompt].answer, known[prompt].row)
        return score(prompt, completion) if judged is None else judged

    return Exercise(
        completion_length(config),
        lambda rng: rng.choice(prompts),
        score,
        correct,
        tuple(hidden),
        plain=lambda prompt, completion: (known[prompt].text, without_end(policy, completion)),
        counts_right=reward.needs_answers,
    )


def known_questions(config: RunConfig, table: TextTable | None, reward: Reward) -> dict[str, Question]:
    """The questions of the run's own file by their text, held out or not; empty where it has none."""
    return {} if table is None else {q.text.strip(): q for q in questions_of(table, complete(config), reward)}


def as_asked(config: RunConfig, policy: Policy, text: str) -> str:
    """A question as the policy reads it: of a text task in its chat template, or below the system message.

    Raises:
        ModelError: the settings want a template, and the tokenizer has none.
    """
    from sapo_viz.models.chat import chat_prompt, has_template

    if config.task in TASKS:
        return text
    system = complete(config).system
    chat = config.chat == "on" or config.chat == "auto" and has_template(policy)
    return chat_prompt(policy, text, system) if chat else plain_prompt(text, system)


def exercise_of(config: RunConfig, policy: Policy, table: TextTable | None, reward: Reward | None) -> Exercise:
    """Of the settings' task. `reward` is of a text task; a toy task has its own."""
    if config.task in TASKS:
        return toy_exercise(TASKS[config.task], config)
    return text_exercise(config, policy, table, reward or reward_of(config, any_file=True))


def complete(config: RunConfig) -> RunConfig:
    """The settings with the mood task's own template and system message where the settings have none, and with
    reasoning-gym's template."""
    if config.task != "mood":
        asks = config.task == "questions" and gym.is_gym(config.data)
        return replace(config, template=config.template or gym.TEMPLATE) if asks else config
    return replace(config, template=config.template or mood.TEMPLATE, system=config.system or mood.SYSTEM)


def plain_prompt(text: str, system: str) -> str:
    """A question outside a chat template."""
    return f"{system}\n\n{text}" if system else text
