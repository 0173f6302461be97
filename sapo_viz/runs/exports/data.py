"""The questions of an export: the prompts that the run draws, step by step, and those that it holds out."""

from __future__ import annotations

import random
from collections.abc import Iterable

from sapo_viz.errors import RunError
from sapo_viz.models.tasks import TASKS
from sapo_viz.rollouts.table import TextTable
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.exports.mapping import ExportRow, is_plain
from sapo_viz.runs.questions.exercise import complete, plain_prompt, reward_of, table_of, toy_exercise
from sapo_viz.runs.questions.rewards import Reward
from sapo_viz.runs.questions.rows import Question, questions_of, split

MOST_ROWS = 20_000
MOST_TEXT = 64 * 10**6  # characters of their questions, which a file has two or three times


def steps_written(config: RunConfig) -> int:
    """For how many steps prompts are written; a long run goes through them again."""
    return min(config.steps, max(1, MOST_ROWS // config.prompts))


def rows_of(config: RunConfig, table: TextTable | None) -> tuple[list[ExportRow], list[ExportRow]]:
    """To train on, `prompts` rows a step in the run's own order; and held out.

    A row has `prompt`, a text or, where the run asks in a chat template, messages; the same as `text` and as `messages`
    whatever the run does; `question`; `answer`; and the table's `row` where the reward is a Python file.

    Raises:
        RunError: the questions cannot be trained on.
    """
    config = complete(config)
    if config.task in TASKS:
        exercise = toy_exercise(TASKS[config.task], config)
        drawn = [exercise.sample_prompts(config.prompts, rng) for rng in _chances(config)]
        return [_toy(text) for prompts in drawn for text in prompts], [_toy(text) for text in exercise.held_out]
    with_rows = config.reward.endswith(".py")
    reward = Reward(config.reward) if with_rows else reward_of(config)
    train, held_out = split(questions_of(table_of(config, table), config, reward), config)
    asked = [rng.choice(train) for rng in _chances(config) for _ in range(config.prompts)]
    if sum(len(question.text) + len(question.answer) for question in asked) > MOST_TEXT:
        raise RunError(
            f"the prompts of {steps_written(config):,} steps have more than {MOST_TEXT // 10**6} million characters; "
            "export a run of fewer steps, or of shorter questions."
        )
    return list(_texts(asked, config, with_rows)), list(_texts(held_out, config, with_rows))


def _chances(config: RunConfig) -> Iterable[random.Random]:
    """As the engine draws: step k's prompts follow from (seed, k) alone."""
    return (random.Random(f"{config.seed}/{step}") for step in range(1, steps_written(config) + 1))


def _toy(text: str) -> ExportRow:
    return {"prompt": text, "text": text, "messages": [_said("user", text)], "question": text, "answer": ""}


def _texts(questions: Iterable[Question], config: RunConfig, with_rows: bool) -> Iterable[ExportRow]:
    for question in questions:
        text, plain = plain_prompt(question.text, config.system), is_plain(config)
        messages = [_said("system", config.system)] if config.system and not plain else []
        messages.append(_said("user", text if plain else question.text))
        row: ExportRow = {"prompt": text if plain else messages, "text": text, "messages": messages}
        row |= {"question": question.text, "answer": question.answer}
        yield row | {"row": dict(question.row)} if with_rows else row


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
