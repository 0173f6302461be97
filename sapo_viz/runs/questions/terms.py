"""What one term of a reward gives for a completion. Standard library, and what a term itself needs.

An export carries this file's text (`runs/exports/reward.py`), so that another framework rewards as a run here does.
"""

from __future__ import annotations

import importlib.util
import json
import math
import re
import select
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sapo_viz.errors import RunError

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_LETTER = re.compile(r"(?<![A-Za-z])\(?([A-Ja-j])\)?(?![A-Za-z'’])")
_SECONDS = 0.5  # that a pattern may take on one completion
_PATTERN = 10_000  # characters of one; compiling that many takes 0.1 s
_MATH_SECONDS = 15.0  # … and a formula, by the clock; math-verify itself gives up after 5 on each side


@dataclass(frozen=True)
class Term:
    """One term of a reward. `argument` is None where none is given."""

    name: str
    weight: float = 1.0
    argument: str | None = None


def last_number(text: str) -> float | None:
    """The last number in a text, `1,234.50` as 1234.5."""
    found = _NUMBER.findall(re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text))
    return float(found[-1]) if found else None


def last_letter(text: str) -> str | None:
    """The last letter from A to J that stands alone; a small one only in brackets or at the text's end."""
    end = len(text.rstrip(" ."))
    for found in reversed(list(_LETTER.finditer(text))):
        if found[1].isupper() or "(" in found[0] or found.end() >= end:
            return found[1].upper()
    return None


def earned(part: Term, completion: str, answer: str) -> float:
    """What the term gives, before its weight."""
    match part.name:
        case "exact":
            return float(_plain(completion) == _plain(answer))
        case "numeric":
            got, wanted = last_number(completion), last_number(answer)
            return float(got is not None and wanted is not None and math.isclose(got, wanted, rel_tol=1e-6))
        case "choice":
            return float((letter := last_letter(completion)) is not None and letter == last_letter(answer))
        case "regex":
            return float(_found(filled(part, answer), completion))
        case "math":
            return float(same_mathematics(completion, answer))
        case "format":
            return float(_found(part.argument or "", completion))
        case "length":
            least, most = word_bounds(part)
            return float(least <= len(completion.split()) <= most)
    return _mood(completion)


def _plain(text: str) -> str:
    return " ".join(text.split()).removesuffix(".").casefold()


def word_bounds(part: Term) -> tuple[int, int]:
    """The least and the most words of a `length`.

    Raises:
        RunError: its argument is not two such numbers.
    """
    found = re.fullmatch(r"\s*(\d{1,6})\s*,\s*(\d{1,6})\s*", part.argument or "")
    if not found or int(found[1]) > int(found[2]):
        raise RunError(
            f"reward: length({part.argument or ''}) is not understood; it takes the least and the most words, such as "
            "length(1, 30)."
        )
    return int(found[1]), int(found[2])


def filled(part: Term, answer: str) -> str:
    """The pattern with the answer in its place; without one, the answer is the pattern."""
    return answer if not part.argument else part.argument.replace("{answer}", re.escape(answer))


@lru_cache(maxsize=256)  # one of those that are long may take a megabyte
def pattern(text: str) -> Any:
    """A compiled pattern. The `regex` package can be told how long it may look, which `re` cannot.

    Raises:
        RunError: it is no regular expression, or a very long one.
    """
    import regex

    if len(text) > _PATTERN:
        raise RunError(
            f"reward: the pattern {text[:60]!r} has {len(text):,} characters; up to {_PATTERN:,} are taken: take the "
            "reward exact, or shorter answers."
        )
    try:
        return regex.compile(text)
    except (regex.error, ValueError, OverflowError, RecursionError) as error:
        raise RunError(f"reward: {text[:60]!r} is no regular expression ({error}).") from None


def _found(text: str, completion: str) -> bool:
    try:
        return pattern(text).search(completion, timeout=_SECONDS) is not None
    except TimeoutError:
        raise RunError(
            f"reward: the pattern {text[:60]!r} took more than {_SECONDS} s on one completion; write it without nested "
            "repetitions."
        ) from None


def _mood(completion: str) -> float:
    return float(vader().polarity_scores(completion)["compound"])


@lru_cache(maxsize=1)
def vader() -> Any:
    """The judge of `mood`.

    Raises:
        RunError: its package is not installed.
    """
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        raise RunError(
            "reward: mood needs the package vaderSentiment, which is not installed; pip install 'sapo-viz[mood]'."
        ) from None
    return SentimentIntensityAnalyzer()


# math-verify stops what takes too long by a signal, which only a process's main thread gets: elsewhere it raises, and
# every answer counts as wrong. What it evaluates may also grow without end (9^9^9^9). So it has a process of its own.
_MATH = """
import json, logging, resource, select, sys
from math_verify import parse, verify
logging.disable(logging.CRITICAL)
resource.setrlimit(resource.RLIMIT_DATA, (2**30, 2**30))
while select.select([sys.stdin], [], [], 60)[0] and (line := sys.stdin.readline()):
    completion, answer = json.loads(line)
    gold = parse(f"${answer}$") or parse(answer)
    print(json.dumps(bool(verify(gold, parse(completion)))), flush=True)
"""


class Judge:
    """A process that is asked one line of JSON after the other, and answers with one each.

    It ends after a minute or more without a question; the next one starts another.
    """

    def __init__(self, program: str, seconds: float) -> None:
        self._program, self._seconds = program, seconds  # that an answer may take
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def ask(self, *question: Any) -> Any:
        """Its answer; None where there is none in time, or it broke down over the question."""
        with self._lock:
            for _ in range(2):  # its time without a question may be over just when it is asked
                process = self._running()
                assert process.stdin is not None and process.stdout is not None
                try:
                    process.stdin.write(json.dumps(question) + "\n")
                    process.stdin.flush()
                    in_time = bool(select.select([process.stdout], [], [], self._seconds)[0])
                except BrokenPipeError:
                    continue
                if in_time and (said := process.stdout.readline()):
                    return json.loads(said)
                process.kill()
                process.wait()
                if not in_time:
                    break
            return None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        return self._process


_mathematician = Judge(_MATH, _MATH_SECONDS)


def same_mathematics(completion: str, answer: str) -> bool:
    """Whether the completion's last formula or number equals the answer, by math-verify.

    Where that cannot be found out in time it is not.

    Raises:
        RunError: the package is not installed.
    """
    check_math()
    return bool(_mathematician.ask(completion, answer))


def check_math() -> None:
    """A RunError if the package that `math` needs is not installed."""
    if importlib.util.find_spec("math_verify") is None:
        raise RunError("reward: math needs the package math-verify; pip install 'sapo-viz[math]'.")
