"""What a completion earns, by a line such as `numeric + 0.2*length(1, 30) + 0.1*format(#### \\d+)`.

    exact               the answer itself; case, blanks round it and a final full stop do not count
    numeric             its last number is the answer's last number; thousands' commas are left out
    regex(PATTERN)      the pattern is found in it; `{answer}` stands for the answer. Without PATTERN the answer is one
    choice              the last letter that stands alone is the answer's: A, (b), C.
    math                its last formula or number equals the answer, by math-verify: 1/2, 0.5, \\boxed{\\frac12}
                        (pip install 'sapo-viz[math]')
    gym                 what reasoning-gym's own scorer gives for it, 0 to 1 (pip install 'sapo-viz[gym]')
    length(LEAST, MOST) it has so many words
    format(PATTERN)     the pattern is found in it, whatever the answer
    mood                how pleasant it sounds, −1 to 1: VADER's compound score (pip install 'sapo-viz[mood]')
    FILE.py             the owner's own `def reward(prompt, completion, row)`: a number, or None for "not rewarded"

Each gives 1 or 0 unless it says otherwise; the reward is their weighted sum. The first six look at the answer, and
the first of those says what counts as correct.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sapo_viz.errors import RolloutError, RunError
from sapo_viz.paths import DATA_VARIABLE
from sapo_viz.rollouts.apart.folder import inside
from sapo_viz.rollouts.table import TableRow
from sapo_viz.runs.questions import gym
from sapo_viz.runs.questions.terms import (
    Term,
    check_math,
    earned,
    filled,
    last_letter,
    last_number,
    pattern,
    vader,
    word_bounds,
)

KINDS = ("exact", "numeric", "regex", "choice", "math", "gym", "length", "format", "mood")
JUDGES = ("exact", "numeric", "regex", "choice", "math", "gym")  # they look at the answer
_HEAD = re.compile(r"\s*(?:([-+]?\d+(?:\.\d+)?)\s*\*\s*)?([a-z]+)\s*")  # a weight and a name


@dataclass(frozen=True)
class Reward:
    """A whole reward: `parts` as they are written, or the owner's `file`."""

    text: str
    parts: tuple[Term, ...] = ()
    file: Path | None = None

    @property
    def needs_answers(self) -> bool:
        return any(part.name in JUDGES for part in self.parts)

    def score(self, prompt: str, completion: str, answer: str, row: TableRow) -> float | None:
        """What the completion earns.

        Raises:
            RunError: the owner's function raises, or returns something else; a pattern takes too long.
        """
        if self.file is not None:
            return _checked(self.file, _owners(self.file), prompt, completion, row)
        return sum(part.weight * _earned(part, completion, answer, row) for part in self.parts)

    def correct(self, completion: str, answer: str, row: TableRow) -> float | None:
        """By the first part that looks at the answer: 1 or 0, of gym what its scorer gives; None if none does."""
        judge = next((part for part in self.parts if part.name in JUDGES), None)
        return None if judge is None else _earned(judge, completion, answer, row)


def _earned(part: Term, completion: str, answer: str, row: TableRow) -> float:
    return gym.score(completion, row) if part.name == "gym" else earned(part, completion, answer)


def parse_reward(text: str, *, folder: Path | None = None, any_file: bool = False) -> Reward:
    """The reward that a line asks for.

    Args:
        folder: the owner's data folder; a Python file is named relative to it.
        any_file: on the command line: a Python file may lie anywhere.

    Raises:
        RunError: the line means nothing, or the file may not be used.
    """
    text = text.strip()
    if text.endswith(".py"):
        return Reward(text, file=_owners_file(text, folder, any_file))
    parts, at = [], 0
    while True:
        found = _HEAD.match(text, at)
        if found is None:
            raise RunError(_not_understood(text, at))
        argument, at = _argument(text, found.end())
        part = Term(found[2], float(found[1] or 1.0), argument)
        _check(part)
        parts.append(part)
        if at == len(text):
            break
        if text[at] != "+":
            raise RunError(_not_understood(text, at))
        at += 1
    return Reward(text, tuple(parts))


def _argument(text: str, at: int) -> tuple[str | None, int]:
    """What is in the brackets that open at `at`, and the place of the next sign; None without brackets.

    A pattern has brackets of its own: those that are closed, escaped (`\\)`) or in a class (`[)]`) do not end it.
    """
    if not text.startswith("(", at):
        return None, at
    depth, inside, place = 0, False, at
    while place < len(text):
        sign = text[place]
        if sign == "\\":
            place += 1
        elif inside:
            inside = sign != "]"
        elif sign == "[":
            inside = True
        elif sign in "()":
            depth += 1 if sign == "(" else -1
            if not depth:
                after = place + 1
                while text.startswith(" ", after):
                    after += 1
                return text[at + 1 : place], after
        place += 1
    raise RunError(f"reward: the bracket of {text[at:][:60]!r} is not closed.")


def _not_understood(text: str, at: int) -> str:
    return (
        f"reward: {text[at:][:60]!r} is not understood; it takes {', '.join(KINDS)}, joined by + and with weights and "
        "arguments as in 'numeric + 0.2*length(1, 30)', or the name of a Python file."
    )


def check_answer(reward: Reward, answer: str, place: str, *, patterns: bool = True) -> None:
    """A RunError naming `place` for an answer that no completion could match; `patterns` too are looked at, or not."""
    for part in reward.parts:
        if part.name in JUDGES and not answer.strip():
            raise RunError(f"{place}: the answer is empty; each question takes one, or leave the row out.")
        if part.name == "numeric" and last_number(answer) is None:
            raise RunError(f"{place}: the answer {answer[:40]!r} holds no number; take the reward exact or regex.")
        if part.name == "choice" and last_letter(answer) is None:
            raise RunError(f"{place}: the answer {answer[:40]!r} is no letter from A to J; take the reward exact.")
        if part.name == "regex" and patterns:
            pattern(filled(part, answer))


def _check(part: Term) -> None:
    if part.name not in KINDS:
        raise RunError(f"reward: there is no {part.name!r}; it takes {', '.join(KINDS)}, or a Python file.")
    takes_none = part.name in ("exact", "numeric", "choice", "math", "gym", "mood")
    if takes_none and part.argument is not None:
        raise RunError(f"reward: {part.name} takes no argument; write {part.name} alone.")
    if part.name == "length":
        word_bounds(part)
    if part.name == "format" and not part.argument:
        raise RunError("reward: format takes a pattern, such as format(#### \\d+).")
    if part.name in ("regex", "format") and part.argument:
        pattern(filled(part, "x"))
    if part.name == "mood":
        vader()
    if part.name == "math":
        check_math()
    if part.name == "gym":
        gym.check_gym()


# -- the owner's own ----------------------------------------------------------------------------------------------


def _owners_file(text: str, folder: Path | None, any_file: bool) -> Path:
    """The file that may run as code: below the owner's folder, or named by whoever sits at the machine."""
    if any_file:
        path = Path(text).expanduser().resolve()
        if not path.is_file():
            raise RunError(f"reward: there is no file {text!r}; it takes a Python file with def reward(…).")
        return path
    if folder is None:
        raise RunError(
            f"reward: {text!r} is a Python file, which runs as code; a page takes those below {DATA_VARIABLE} alone, "
            "which this server's owner has not set."
        )
    try:
        return inside(folder, text)
    except RolloutError:
        raise RunError(
            f"reward: {text[:100]!r} is no file below {DATA_VARIABLE}; a Python file runs as code, so only those of "
            "the server's owner are taken."
        ) from None


@lru_cache(maxsize=8)
def _owners(file: Path) -> Callable[[str, str, dict[str, str]], Any]:
    """The function `reward` of the file.

    Raises:
        RunError: the file cannot be run, or has none.
    """
    names: dict[str, Any] = {"__name__": "sapo_viz_reward", "__file__": str(file)}
    try:
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), names)
    except Exception as error:
        raise RunError(f"reward: {file.name} cannot be run: {type(error).__name__}: {_first_line(error)}.") from None
    found = names.get("reward")
    if not callable(found):
        raise RunError(f"reward: {file.name} has no function reward; it takes def reward(prompt, completion, row).")
    return found  # type: ignore[no-any-return]


def _checked(file: Path, function: Any, prompt: str, completion: str, row: TableRow) -> float | None:
    try:
        value = function(prompt, completion, dict(row))
    except Exception as error:
        raise RunError(
            f"reward: {file.name} raised {type(error).__name__}: {_first_line(error)}, for the completion "
            f"{completion[:60]!r}."
        ) from None
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise RunError(
            f"reward: {file.name} returned {value!r:.60}; it takes a finite number, or None for a completion that is "
            "not rewarded."
        )
    return number


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0].rstrip(".")[:200]
