"""reasoning-gym (2505.24760, an extra): its generators as questions, and each one's own scorer as the reward `gym`.

    data reasoning-gym:chain_sum                    500 questions, the same each time
    data reasoning-gym:chain_sum,leg_counting*200   of several generators, so many of each

The package is imported in processes of its own alone: that takes seconds, and a scorer may stumble over an answer that
nobody foresaw. What it scores is what is in the last `<answer>…</answer>`, or else in the last line. Scorers that
evaluate an answer as Python are not asked, whatever they are good for: a policy writes those answers.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from typing import Any

from sapo_viz.errors import RolloutError, RunError, reason_of
from sapo_viz.rollouts.table import TableRow, TextTable, parse_table
from sapo_viz.runs.questions.terms import Judge

PREFIX = "reasoning-gym:"
ENTRY = "entry"  # the column with what a scorer needs beside the answer: question, answer, metadata
TEMPLATE = "{question}\\n\\nWrite the final answer between <answer> and </answer>."
EVALUATING = (
    *("binary_matrix", "composite", "countdown", "intermediate_integration", "n_queens", "number_sorting"),
    *("polynomial_multiplication", "puzzle24", "simple_integration", "spiral_matrix", "string_insertion"),
)
_COUNT, _MOST = 500, 10_000  # questions of a generator
_SECONDS = 60.0  # until the first score: the import alone takes ten on a busy machine
_ASKED = re.compile(r"([a-z0-9_]+(?:,[a-z0-9_]+)*)(?:\*(\d{1,6}))?")
_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def is_gym(data: str) -> bool:
    """Whether the setting `data` names generators and no file."""
    return data.startswith(PREFIX)


def gym_table(data: str) -> TextTable:
    """The questions that `reasoning-gym:NAME,NAME*COUNT` asks for, with columns question, answer and entry.

    Raises:
        RolloutError: the package is not installed, there is no such generator, or its scorer evaluates answers.
    """
    found = _ASKED.fullmatch(data.removeprefix(PREFIX).replace(" ", ""))
    count = int(found[2] or _COUNT) if found else 0
    if found is None or not 1 <= count <= _MOST:
        raise RolloutError(
            f"data is {data[:80]!r}; it takes names of generators and how many questions of each, from 1 to {_MOST:,}: "
            f"{PREFIX}chain_sum,leg_counting*200."
        )
    names = list(dict.fromkeys(found[1].split(",")))
    if refused := [name for name in names if name in EVALUATING]:
        raise RolloutError(
            f"data: the scorer of {refused[0]} evaluates answers as Python, and a policy writes them; take another "
            "generator."
        )
    check_gym()
    done = subprocess.run(
        [sys.executable, "-c", _MAKE, json.dumps([names, count])], capture_output=True, text=True, check=False
    )
    if done.returncode == 3:
        raise RolloutError(f"data: reasoning-gym has no generator {done.stderr.strip().splitlines()[-1]}.")
    if done.returncode:
        raise RolloutError(f"data: reasoning-gym failed ({reason_of(ValueError(done.stderr[-200:]))}).")
    return parse_table(done.stdout.encode(), f"{PREFIX}{found[0]}")


def extracted(completion: str) -> str:
    """The answer in a completion: in its last `<answer>…</answer>`, or else its last line."""
    tagged = _TAGGED.findall(completion)
    return (tagged[-1] if tagged else (completion.strip().splitlines() or [""])[-1]).strip()


def score(completion: str, row: TableRow) -> float:
    """What the generator's own scorer gives for the answer in the completion, 0 to 1; 0 where it breaks down.

    Raises:
        RunError: the row is none of reasoning-gym's, or the package is not installed.
    """
    try:
        entry: Any = json.loads(row.get(ENTRY, ""))
        name = entry["metadata"]["source_dataset"]
    except (ValueError, TypeError, KeyError):
        raise RunError(f"reward: gym scores questions of reasoning-gym; take data {PREFIX}chain_sum.") from None
    if name in EVALUATING:
        raise RunError(f"reward: the scorer of {name} evaluates answers as Python; take another generator.")
    check_gym()
    return float(_judge.ask(name, extracted(completion), entry) or 0.0)


def check_gym() -> None:
    """A RunError if the package is not installed."""
    if importlib.util.find_spec("reasoning_gym") is None:
        raise RunError("reasoning-gym is not installed; pip install 'sapo-viz[gym]'.")


# Whatever a generator prints must not come between the lines of JSON.
_MAKE = """
import json, sys
out, sys.stdout = sys.stdout, sys.stderr
import reasoning_gym
from reasoning_gym.factory import DATASETS
names, count = json.loads(sys.argv[1])
for name in names:
    if name not in DATASETS:
        print(f"{name!r}; it has {', '.join(sorted(DATASETS))}", file=sys.stderr)
        sys.exit(3)
    for entry in reasoning_gym.create_dataset(name, seed=0, size=count):
        if isinstance(entry["answer"], str) and entry["answer"].strip():
            entry = {key: entry[key] for key in ("question", "answer", "metadata")}
            entry["metadata"]["source_dataset"] = name
            row = {"question": entry["question"], "answer": entry["answer"], "entry": json.dumps(entry, default=str)}
            print(json.dumps(row), file=out)
"""
_SCORE = """
import json, resource, select, sys
out, sys.stdout = sys.stdout, sys.stderr
import reasoning_gym
resource.setrlimit(resource.RLIMIT_DATA, (2**31, 2**31))
scorers = {}
while select.select([sys.stdin], [], [], 600)[0] and (line := sys.stdin.readline()):
    name, answer, entry = json.loads(line)
    try:
        if name not in scorers:
            scorers[name] = reasoning_gym.get_score_answer_fn(name)
        value = float(scorers[name](answer=answer, entry=entry))
    except Exception:
        value = 0.0
    print(json.dumps(value), file=out, flush=True)
"""
_judge = Judge(_SCORE, _SECONDS)
