"""Your own prompts, put to a finished run, `runs/<id>/asked/`: what both policies said, and its tokens.

    asked/3.json    prompts, temperature, seed, tokens at most, and the answers of the start and of the trained policy
    asked/3.jsonl   each answer's tokens with the log-probs of both, in the rollout schema

The last `MOST` are kept. Read back as anything in a run's folder: as a stranger's.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sapo_viz.errors import RunError
from sapo_viz.runs.folder.files import write_whole
from sapo_viz.runs.folder.reading import NotReadable, json_object, number, read_small
from sapo_viz.runs.folder.store import RunStore

MOST = 20  # of a run
MOST_PROMPTS, MOST_SIGNS, MOST_TOKENS = 16, 4000, 1024  # at once; of a prompt, of an answer
_BYTES = 4 << 20  # of one file without tokens
_NAME = re.compile(r"([1-9]\d{0,5})\.json")


@dataclass(frozen=True)
class Asking:
    """What is asked, and how.

    Raises:
        RunError: there is nothing, or too much of it.
    """

    prompts: tuple[str, ...]
    temperature: float = 0.0  # 0: the likeliest token each time
    seed: int = 0
    max_tokens: int = 0  # 0: as many as in the run

    def __post_init__(self) -> None:
        if not self.prompts:
            raise RunError("there is no prompt; give one a line.")
        if len(self.prompts) > MOST_PROMPTS or max(map(len, self.prompts)) > MOST_SIGNS:
            raise RunError(f"that is too much at once; it takes {MOST_PROMPTS} prompts of {MOST_SIGNS:,} characters.")
        if not 0 <= self.temperature <= 10 or not 0 <= self.max_tokens <= MOST_TOKENS:
            raise RunError(f"it takes a temperature from 0 to 10, and up to {MOST_TOKENS:,} tokens an answer.")


@dataclass(frozen=True)
class Reply:
    """What a policy said to a prompt, as people read both, and what that earns where task, question or answer tell."""

    prompt: str
    completion: str
    reward: float | None = None


@dataclass(frozen=True)
class Answers:
    """Of both policies, in the order of the prompts; and how they were asked."""

    start: tuple[Reply, ...]
    now: tuple[Reply, ...]
    temperature: float  # 0: the likeliest token each time
    seed: int
    max_tokens: int


def keep_answers(folder: Path, answers: Answers, rows: Sequence[dict[str, Any]]) -> int:
    """Write them into the run's folder under the next number, which is returned; the oldest beyond `MOST` go."""
    place = folder / "asked"
    place.mkdir(exist_ok=True)
    there = _numbers(place)
    new = max(there, default=0) + 1
    write_whole(place / f"{new}.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    write_whole(place / f"{new}.json", json.dumps(asdict(answers), ensure_ascii=False) + "\n")
    for old in sorted(there)[: max(0, len(there) + 1 - MOST)]:
        for ending in ("json", "jsonl"):
            with contextlib.suppress(OSError):
                (place / f"{old}.{ending}").unlink()
    return new


def read_answers(store: RunStore, run_id: str, number: int) -> Answers:
    """What was asked under this number.

    Raises:
        RunError: there is no such run or number, or it cannot be read.
    """
    path = store.folder(run_id) / "asked" / f"{number}.json"
    try:
        return _answers(json_object(read_small(path, _BYTES)))
    except FileNotFoundError:
        raise _gone(run_id, number) from None
    except (NotReadable, KeyError, TypeError) as error:
        said = str(error) if isinstance(error, NotReadable) else "a part is missing"
        raise RunError(f"run {run_id}: asked/{path.name} cannot be read: {said}.") from None


def answer_tokens(store: RunStore, run_id: str, number: int) -> Path:
    """The token file of what was asked under this number.

    Raises:
        RunError: there is no such run or number.
    """
    path = store.folder(run_id) / "asked" / f"{number}.jsonl"
    if path.is_symlink() or not path.is_file():
        raise _gone(run_id, number)
    return path


def _gone(run_id: str, number: int) -> RunError:
    return RunError(f"run {run_id} keeps no answers {number}; the last {MOST} are kept.")


def _numbers(place: Path) -> list[int]:
    return [int(found[1]) for name in os.listdir(place) if (found := _NAME.fullmatch(name))]


def _answers(values: dict[str, Any]) -> Answers:
    def told(name: str) -> tuple[Reply, ...]:
        return tuple(
            Reply(str(item["prompt"]), str(item["completion"]), number(item.get("reward"))) for item in values[name]
        )

    start, now = told("start"), told("now")
    if len(start) != len(now):
        raise KeyError("an answer")
    temperature, seed, most = (number(values.get(name)) or 0 for name in ("temperature", "seed", "max_tokens"))
    return Answers(start, now, float(temperature), int(seed), int(most))
