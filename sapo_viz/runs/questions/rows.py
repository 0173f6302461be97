"""A table's rows as questions with answers: which columns they are, and the text that a policy is asked.

Nothing here needs a model, so a page can show it at once and refuse what cannot be trained on before a run has begun.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass

from sapo_viz.errors import RunError
from sapo_viz.rollouts.table import TableRow, TextTable
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.questions.rewards import Reward, check_answer

QUESTION = ("question", "prompt", "problem", "instruction", "query", "input", "text")
ANSWER = ("answer", "solution", "target", "label", "ground_truth", "output", "response", "completion")
CHOICES = ("choices", "options")
LETTERS = "ABCDEFGHIJ"
MOST_TEXT = 128 * 10**6  # characters of all questions as they are asked: a template may repeat what a row says
_PATTERNS = 200_000  # characters of answers that are patterns; compiling them takes two seconds at worst
_FIELD = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Question:
    """One row: what is asked, what is right, and the whole row for whoever wants more."""

    text: str
    answer: str
    row: TableRow


def questions_of(table: TextTable, config: RunConfig, reward: Reward, *, whole: bool = False) -> list[Question]:
    """Every row as a question, in the file's order; of equal ones the first.

    Args:
        whole: look at each answer that is a pattern, as a run does in its own process; a page sees to the first ones.

    Raises:
        RunError: a column that is not there, a template that names one, an answer that fits no completion.
    """
    question = _column(table, config.question_column, QUESTION, "question_column", "the question")
    needed = reward.needs_answers
    answer = _column(table, config.answer_column, ANSWER, "answer_column", "the answer") if needed else None
    if answer is None and (config.answer_column or any(name in table.columns for name in ANSWER)):
        answer = _column(table, config.answer_column, ANSWER, "answer_column", "the answer")
    template = config.template.replace("\\n", "\n") or (
        "{question}\n{choices}" if _has_choices(table) else "{question}"
    )
    found: dict[str, Question] = {}
    characters, patterns = 0, 0
    for index in range(len(table)):
        row = table.row(index)
        place = f"{table.name}, row {index + 1:,}"
        text = _asked(template, row, question, place)
        if not text.strip():
            raise RunError(f"{place}: the question is empty; fill it in, or leave the row out.")
        characters += len(text)
        if characters > MOST_TEXT:
            raise RunError(
                f"{table.name}: as template asks them, its questions have more than {MOST_TEXT // 10**6} million "
                "characters; take a shorter template, or a part of the file."
            )
        told = row[answer] if answer else ""
        if any(part.name == "choice" for part in reward.parts):
            told = _letter_of(told, row)
        if needed:
            check_answer(reward, told, place, patterns=whole or patterns < _PATTERNS)
            patterns += len(told)
        found.setdefault(text, Question(text, told, row))
    return list(found.values())


def split(questions: list[Question], config: RunConfig) -> tuple[list[Question], list[Question]]:
    """To train on, and held out: at most `held_out`, and at most a fifth; which ones follows from `split_seed` alone.

    Raises:
        RunError: validation is asked for, and there are too few questions for it.
    """
    count = min(config.held_out, len(questions) // 5) if config.validate_every else 0
    if config.validate_every and not count:
        raise RunError(
            f"there {'is 1 question' if len(questions) == 1 else f'are {len(questions)} questions'} and none can be "
            "held out, which a fifth of them is at most; give at least 5, or validate every 0 steps."
        )
    chosen = set(random.Random(config.split_seed).sample(range(len(questions)), count))
    kept = [question for index, question in enumerate(questions) if index not in chosen]
    return kept, [question for index, question in enumerate(questions) if index in chosen]


def _column(table: TextTable, named: str, usual: tuple[str, ...], setting: str, what: str) -> str:
    if named:
        if named not in table.columns:
            raise RunError(f"{setting} is {named!r}; {table.name} has {_names(table.columns)}.")
        return named
    lower = {name.strip().lower(): name for name in reversed(table.columns)}
    found = next((lower[name] for name in usual if name in lower), None)
    if found is None:
        raise RunError(f"{table.name}: no column is known as {what} among {_names(table.columns)}; name it: {setting}.")
    return found


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(name[:40] for name in columns[:12]) + (" …" if len(columns) > 12 else "")


def _asked(template: str, row: TableRow, question: str, place: str) -> str:
    def put(found: re.Match[str]) -> str:
        name = found[1]
        if name == "choices" and (choices := _choices(row)):
            return "\n".join(f"{letter}) {text}" for letter, text in zip(LETTERS, choices, strict=False))
        if name == "question":
            return row[question]
        if name not in row:
            raise RunError(f"{place}: template names {{{name[:40]}}}, and there is no such column; take {{question}}.")
        return row[name]

    return _FIELD.sub(put, template)


def _has_choices(table: TextTable) -> bool:
    return any(name in table.columns for name in CHOICES) and bool(_choices(table.row(0)))


def _choices(row: TableRow) -> list[str]:
    """What is to choose from: a column with a JSON list."""
    for name in CHOICES:
        try:
            found = json.loads(row.get(name, ""))
        except (ValueError, RecursionError):
            continue
        if isinstance(found, list):
            return [text if isinstance(text, str) else json.dumps(text) for text in found][: len(LETTERS)]
    return []


def _letter_of(answer: str, row: TableRow) -> str:
    """The letter of an answer that is one of the choices' texts, or their number from 0; else the answer itself."""
    choices = _choices(row)
    if answer in choices:
        return LETTERS[choices.index(answer)]
    if choices and answer.strip().isdecimal() and int(answer) < len(choices):
        return LETTERS[int(answer)]
    return answer
