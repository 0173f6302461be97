"""Tasks: where prompts come from and what a completion is worth. Standard library only.

addition   three-digit sums with the working, column by column, units first; 9 symbols of prompt, 32 of completion
               ^864+394=4+4+0=08,6+9+0=15,8+3+1=12;1258$
chain      twenty-two sums modulo 10, each of the two numbers before it: 135 symbols, where one slip spoils the end
               ^38:3+8=1,8+1=9,1+9=0, … ;47$
synonyms   addition in a vocabulary of 9,011 symbols: each is live in 600 spellings, which all mean the same
               ^864+394=4qz+4bd+…;1ab2re5ok8!uv
grid       a picture of 4 × 4 cells: which are occupied, row by row, and how many
               ⟨image 0110 1000 0000 0001⟩?b1,c1,a2,d4;4$

Each reward is 1 exactly when the final answer is right; the working is not looked at, but for grid, where the list of
cells is what the picture was looked at for.
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

    `vocabulary` is what a tokenizer made for the task knows, `end` the symbol that closes a completion (with
    `ends`, any of these), `start` the bundled policy to begin with. Lengths count symbols; a completion of grid may be
    shorter.
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
    start: str  # name of a bundled policy
    ends: tuple[str, ...] = ()  # all symbols that close a completion, where there are several
    pictured: bool = False  # whether each prompt has a picture (`PICTURE`), for a policy that looks at it

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

    A wrong result is any other of 00 … 19; its tens are carried and its units are in the answer. So
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


_SYMBOLS = (PAD, *"0123456789^+=,;$", *" -*/().:?")  # addition uses the first 17; the chain's colon is among the rest

ADDITION = Task(
    name="addition",
    label="Three-digit addition",
    help="Add two three-digit numbers, column by column; the reward is 1 when the final answer is exact.",
    vocabulary=_SYMBOLS,
    end="$",
    prompt_length=9,
    completion_length=32,
    prompt=_addition_prompt,
    reward=_addition_reward,
    teacher=_addition_teacher,
    start="addition-start",
)

# -- chain: long completions -------------------------------------------------------------------------------

LINKS = 22  # sums in a chain: 22 × 6 symbols, and 3 of answer
_SEEDS = re.compile(r"\^(\d)(\d):")


def _chain_prompt(rng: random.Random) -> str:
    return f"^{rng.randint(0, 99):02d}:"


def _chain_end(a: int, b: int) -> str:
    """The last two numbers of the chain that a and b begin."""
    for _ in range(LINKS):
        a, b = b, (a + b) % 10
    return f"{a}{b}"


def _chain_reward(prompt: str, completion: str) -> float:
    """1.0 when what stands between the last `;` and the `$` that ends the text are the chain's last two numbers."""
    seeds = _SEEDS.fullmatch(prompt)
    if seeds is None or not completion.endswith("$") or completion.count("$") != 1 or ";" not in completion:
        return 0.0
    return float(completion.rsplit(";", 1)[1] == f"{_chain_end(int(seeds[1]), int(seeds[2]))}$")


def _chain_teacher(prompt: str, rng: random.Random, p_wrong: float) -> str:
    """Each sum is wrong with probability `p_wrong`, any other digit, and the chain goes on from it."""
    seeds = _SEEDS.fullmatch(prompt)
    if seeds is None:
        raise ValueError(f"chain: the prompt is {prompt!r}; it takes the form '^38:'.")
    a, b, links = int(seeds[1]), int(seeds[2]), []
    for _ in range(LINKS):
        result = (a + b) % 10
        if rng.random() < p_wrong:
            result = (result + rng.randint(1, 9)) % 10
        links.append(f"{a}+{b}={result}")
        a, b = b, result
    return f"{','.join(links)};{a}{b}$"


CHAIN = Task(
    name="chain",
    label="Chain of sums",
    help="Twenty-two sums modulo 10, each of the two numbers before it; the reward is 1 when the last two numbers "
    "are exact. 135 tokens, in which one slip spoils the end.",
    vocabulary=_SYMBOLS,
    end="$",
    prompt_length=4,
    completion_length=6 * LINKS + 3,
    prompt=_chain_prompt,
    reward=_chain_reward,
    teacher=_chain_teacher,
    start="chain-start",
)

# -- synonyms: a large vocabulary --------------------------------------------------------------------------

SPELLINGS = 600  # of each symbol: the plain one and 599 with two letters after it
_SPELLED = "0123456789+=,;!"  # ! stands for $, which the tokenizer cuts out of a text before all else
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SUFFIXES = tuple(a + b for a in _LETTERS for b in _LETTERS)[: SPELLINGS - 1]
_SUFFIX = re.compile(f"(?<=[{_SPELLED}])[a-z][a-z]")


def meaning(text: str) -> str:
    """A text or a symbol without its spellings: `4qz+!ab` is `4+$`."""
    return _SUFFIX.sub("", text).replace("!", "$")


def _synonyms_reward(prompt: str, completion: str) -> float:
    """Addition's reward of what the symbols mean, however they are spelled."""
    return _addition_reward(prompt, meaning(completion))


def _synonyms_teacher(prompt: str, rng: random.Random, p_wrong: float) -> str:
    completion = _addition_teacher(prompt, rng, p_wrong)
    return "".join(_spell(symbol, rng.choice(("", *_SUFFIXES))) for symbol in completion)


def _spell(symbol: str, suffix: str) -> str:
    return ("!" if symbol == "$" and suffix else symbol) + suffix


SYNONYMS = Task(
    name="synonyms",
    label="Addition with synonyms",
    help="Three-digit addition in a vocabulary of 9,011 symbols: each is live in 600 spellings, so that a negative "
    "update has somewhere to spread. The reward is 1 when the answer is exact, however it is spelled.",
    vocabulary=(*_SYMBOLS, *(symbol + suffix for symbol in _SPELLED for suffix in _SUFFIXES)),
    end="$",
    prompt_length=9,
    completion_length=32,
    prompt=_addition_prompt,
    reward=_synonyms_reward,
    teacher=_synonyms_teacher,
    start="addition-start",  # a policy without the spellings is given them: models/spellings.py
    ends=("$", *("!" + suffix for suffix in _SUFFIXES)),
)

# -- grid: a picture in the prompt -------------------------------------------------------------------------

SIDE = 4  # cells
# A prompt holds its picture as text, one digit per cell, from which it can be drawn again wherever the prompt is read.
# The policy never sees that text: models/pictures.py puts places for the picture there, and its pixels beside them.
PICTURE = re.compile(r"⟨image ([01]{4}) ([01]{4}) ([01]{4}) ([01]{4})⟩")
IMAGE_START, IMAGE_PLACE, IMAGE_END = "<|vision_start|>", "<|image_pad|>", "<|vision_end|>"  # as Qwen3-VL has them
_CELLS = tuple(f"{column}{row}" for row in "1234" for column in "abcd")  # a1 in the upper left corner, row by row
_MOST_CELLS = 8  # occupied, at most; 2 at least


def occupied(text: str) -> tuple[str, ...] | None:
    """The occupied cells of the picture in a text, row by row; None without a picture."""
    found = PICTURE.search(text)
    return found and tuple(cell for cell, there in zip(_CELLS, "".join(found.groups()), strict=True) if there == "1")


def _grid_prompt(rng: random.Random) -> str:
    chosen = rng.sample(range(SIDE * SIDE), rng.randint(2, _MOST_CELLS))
    cells = ["1" if cell in chosen else "0" for cell in range(SIDE * SIDE)]
    rows = ["".join(cells[row : row + SIDE]) for row in range(0, SIDE * SIDE, SIDE)]
    return f"⟨image {' '.join(rows)}⟩?"


def _grid_teacher(prompt: str, rng: random.Random, p_wrong: float) -> str:
    """Each cell is taken for what it is not with probability `p_wrong`; the count is that of the list."""
    there = occupied(prompt)
    if there is None:
        raise ValueError(f"grid: the prompt is {prompt!r}; it takes the form '⟨image 0110 1000 0000 0001⟩?'.")
    listed = [cell for cell in _CELLS if (cell in there) != (rng.random() < p_wrong)]
    return f"{','.join(listed)};{len(listed)}$"


def _grid_reward(prompt: str, completion: str) -> float:
    """1.0 when exactly the occupied cells are listed, row by row, and their number follows them."""
    there = occupied(prompt)
    return float(there is not None and completion == f"{','.join(there)};{len(there)}$")


GRID = Task(
    name="grid",
    label="Cells of a picture",
    help="List the occupied cells of a picture of 4 × 4 cells, and then how many they are, by a Qwen3-VL; the reward "
    "is 1 when both are exact.",
    vocabulary=(PAD, IMAGE_START, IMAGE_PLACE, IMAGE_END, *"0123456789abcd,;?$"),
    end="$",
    prompt_length=2 + (SIDE // 2) ** 2 + 1,  # a place for two cells by two
    completion_length=3 * SIDE * SIDE + 3,
    prompt=_grid_prompt,
    reward=_grid_reward,
    teacher=_grid_teacher,
    start="grid-start",
    pictured=True,
)

TASKS: dict[str, Task] = {task.name: task for task in (ADDITION, CHAIN, SYNONYMS, GRID)}
# Besides these a run can be trained on texts that any language model reads (runs/questions): a built-in set, and files.
TEXT_TASKS = ("mood", "questions")
TASK_NAMES = (*TASKS, *TEXT_TASKS)
