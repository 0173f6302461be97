"""Tasks: where prompts come from and what a completion is worth. Standard library only.

The one that ships is three-digit addition with the working written out column by column, units first:

    ^864+394=4+4+0=08,6+9+0=15,8+3+1=12;1258$

Nine characters of prompt, 32 of completion, and a reward of 1 exactly when the final answer is right.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

PAD = "<pad>"


@dataclass(frozen=True)
class Task:
    """A source of prompts with a reward that can be checked.

    `vocabulary` is what a tokenizer made for the task knows, `end` the symbol that closes a completion.
    Lengths count symbols.
    """

    name: str
    label: str
    help: str
    vocabulary: tuple[str, ...]
    end: str
    prompt_length: int
    completion_length: int
    prompt: Callable[[random.Random], str]
    reward: Callable[[str, str], float]  # (prompt, completion) -> reward
    teacher: Callable[[str, random.Random, float], str]  # (prompt, rng, p_wrong) -> completion

    def sample_prompts(self, count: int, rng: random.Random) -> list[str]:
        """`count` prompts, drawn independently."""
        return [self.prompt(rng) for _ in range(count)]


_PROBLEM = re.compile(r"\^(\d{3})\+(\d{3})=")


def _addition_prompt(rng: random.Random) -> str:
    return f"^{rng.randint(100, 999)}+{rng.randint(100, 999)}="


def _addition_reward(prompt: str, completion: str) -> float:
    """1.0 when what stands between the last `;` and the `$` that ends the text is the sum, in four digits.

    The working is not looked at: a wrong column that is put right later earns as much.
    """
    problem = _PROBLEM.fullmatch(prompt)
    if problem is None or not completion.endswith("$") or completion.count("$") != 1 or ";" not in completion:
        return 0.0
    total = int(problem[1]) + int(problem[2])
    return float(completion.rsplit(";", 1)[1] == f"{total:04d}$")


def _addition_teacher(prompt: str, rng: random.Random, p_wrong: float) -> str:
    """The working, each column's result wrong with probability `p_wrong` and carried on consistently.

    A wrong result is any other of 00 … 19; its tens are carried and its units stand in the answer. So
    the policy learns the form and the arithmetic, and also to be unsure: RL then finds both right and
    wrong completions in most groups.
    """
    problem = _PROBLEM.fullmatch(prompt)
    if problem is None:
        raise ValueError(f"addition: the prompt is {prompt!r}; it takes the form '^864+394='.")
    carry, columns, digits = 0, [], ""
    for a, b in zip(reversed(problem[1]), reversed(problem[2]), strict=True):
        result = int(a) + int(b) + carry
        if rng.random() < p_wrong:
            result = rng.choice([value for value in range(20) if value != result])
        columns.append(f"{a}+{b}+{carry}={result:02d}")
        carry, digits = result // 10, f"{result % 10}{digits}"
    return f"{','.join(columns)};{carry}{digits}$"


ADDITION = Task(
    name="addition",
    label="Three-digit addition",
    help="Add two three-digit numbers, column by column; the reward is 1 when the final answer is exact.",
    # 16 symbols are used; the last nine are there for further tasks of the same kind.
    vocabulary=(PAD, *"0123456789^+=,;$", *" -*/().:?"),
    end="$",
    prompt_length=9,
    completion_length=32,
    prompt=_addition_prompt,
    reward=_addition_reward,
    teacher=_addition_teacher,
)

TASKS: dict[str, Task] = {task.name: task for task in (ADDITION,)}
