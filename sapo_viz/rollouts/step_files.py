"""A folder of steps is one run: which files of it belong to which step and rank, by the names that frameworks give.

Missing steps are those between two that are there, at the distance that most have; a rank is missing where other steps
have it. Names alone are looked at: what a file holds is asked when its step is opened.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath

# (framework, pattern of a path's end): the groups `step` and, where ranks write files of their own, `rank`.
_PATTERNS = tuple(
    (framework, re.compile(pattern))
    for framework, pattern in (
        ("a recorder", r"step-(?P<step>\d+)\.rank-(?P<rank>\d+)\.(?:parquet|jsonl)"),
        ("SAPO Viz", r"step-(?P<step>\d+)\.jsonl"),
        ("prime-rl", r"step_(?P<step>\d+)/rank_(?P<rank>\d+)\.jsonl"),
        ("TRL", r"completions_(?P<step>\d+)\.parquet"),
        ("NeMo-RL", r"train_data_step(?P<step>\d+)\.jsonl"),
        ("slime", r"(?:train_data_|train_)?(?P<step>\d+)_(?P<rank>\d+)\.pt"),
        ("slime", r"(?:rollout_data_|rollout_)?(?P<step>\d+)\.pt"),
        ("verl", r"(?P<step>\d+)\.jsonl"),
    )
)
RECORDERS = ("a recorder", "SAPO Viz")  # whose files are in a run's own folder
_FEWEST = 2  # steps that make a run of single files
_MOST_NAMED = 8
_MOST_MISSING = 10_000


@dataclass(frozen=True)
class FilesOfStep:
    """Paths by rank, in its order, and the ranks that other steps have and this one lacks."""

    files: tuple[str, ...]
    missing_ranks: tuple[int, ...] = ()


@dataclass(frozen=True)
class StepFiles:
    """A folder whose files are steps of one run. `name` is its path with a slash at the end: it is no file."""

    name: str
    framework: str
    steps: Mapping[int, FilesOfStep]
    missing_steps: tuple[int, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not there, in sentences."""
        said = []
        if self.missing_steps:
            said.append(f"Steps that are not in the folder: {_listed(self.missing_steps)}.")
        lacking = {step: files.missing_ranks for step, files in self.steps.items() if files.missing_ranks}
        if lacking:
            words = [f"{', '.join(map(str, ranks))} at step {step}" for step, ranks in list(lacking.items())[:4]]
            said.append(f"Ranks without a file: {'; '.join(words)}{' …' if len(lacking) > 4 else ''}.")
        return tuple(said)


def step_folders(paths: Iterable[str], fewest: int = _FEWEST) -> list[StepFiles]:
    """The runs among these paths (with `/`), in the order of their first file. A folder of fewer steps than `fewest` is
    none, unless several ranks wrote a step.
    """
    found: dict[tuple[str, int], dict[int, dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
    for path in paths:
        for number, (_, pattern) in enumerate(_PATTERNS):
            match = _at_end(path, pattern)
            if match:
                folder = path[: match.start()].rstrip("/")
                rank = match.groupdict().get("rank")
                ranks = found[folder, number][int(match["step"])]
                ranks.setdefault(int(rank or 0), path)  # .jsonl and .parquet of one rank: the first
                break
    return [
        _run(folder, _PATTERNS[number][0], steps)
        for (folder, number), steps in found.items()
        if len(steps) >= fewest or any(len(ranks) > 1 for ranks in steps.values())
    ]


def _at_end(path: str, pattern: re.Pattern[str]) -> re.Match[str] | None:
    """The pattern on the last names of the path, as many as it has itself."""
    depth = pattern.pattern.count("/") + 1
    tail = "/".join(PurePosixPath(path).parts[-depth:])
    match = pattern.fullmatch(tail)
    return pattern.match(path, len(path) - len(tail)) if match else None


def _run(folder: str, framework: str, steps: Mapping[int, Mapping[int, str]]) -> StepFiles:
    every = sorted({rank for ranks in steps.values() for rank in ranks})
    there = {
        step: FilesOfStep(
            tuple(path for _, path in sorted(ranks.items())), tuple(rank for rank in every if rank not in ranks)
        )
        for step, ranks in sorted(steps.items())
    }
    return StepFiles(f"{folder}/" if folder else "./", framework, there, _gaps(list(there)))


def _gaps(steps: list[int]) -> tuple[int, ...]:
    apart = Counter(after - before for before, after in zip(steps, steps[1:], strict=False))
    if not apart:
        return ()
    usual = min(distance for distance, times in apart.items() if times == max(apart.values()))
    missing = (
        step
        for before, after in zip(steps, steps[1:], strict=False)
        if (after - before) % usual == 0
        for step in range(before + usual, after, usual)
    )
    return tuple(islice(missing, _MOST_MISSING))  # a name may hold any number, such as a time


def _listed(numbers: tuple[int, ...]) -> str:
    over = "over " if len(numbers) == _MOST_MISSING else ""
    more = f" and {over}{len(numbers) - _MOST_NAMED:,} more" if len(numbers) > _MOST_NAMED else ""
    return ", ".join(map(str, numbers[:_MOST_NAMED])) + more
