"""What a rule about a file is: one declared object with one function, kept in the registry `RULES`.

The page, the command, docs/findings.md and the tests follow from the registry. Thresholds are in the rule's own
words, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sapo_viz.rollouts.analysis.facts import Facts
from sapo_viz.rollouts.once import once

Severity = Literal["problem", "warning", "note"]
SEVERITIES: dict[Severity, str] = {
    "problem": "what is learned from these tokens is wrong, or nothing is learned",
    "warning": "worth a look before the next long run",
    "note": "good to know when the figures are read",
}


@dataclass(frozen=True)
class Found:
    """What a rule's function returns when the rule applies."""

    severity: Severity
    value: float
    number: str  # the value in words, with its unit and what it is taken over
    where: tuple[int, ...] = ()  # sequences worth opening, the worst first
    title: str = ""  # in place of the rule's own
    remedy: str = ""  # in place of the rule's own


@dataclass(frozen=True)
class Rule:
    """When a finding is made. `check` looks at the facts and returns None where all is well."""

    id: str
    title: str
    threshold: str  # when it is said, in words
    reason: str  # why there
    remedy: str
    severities: tuple[Severity, ...]
    check: Callable[[Facts], Found | None]


@dataclass(frozen=True)
class Finding:
    """One thing that the engineer whose run it is should know."""

    id: str
    severity: Severity
    title: str
    value: float
    number: str
    rule: str
    remedy: str
    where: tuple[int, ...]


RULES: dict[str, Rule] = {}


def rule(
    id: str, title: str, *, threshold: str, reason: str, remedy: str, severities: tuple[Severity, ...]
) -> Callable[[Callable[[Facts], Found | None]], Callable[[Facts], Found | None]]:
    """Decorator: declare the function as the check of a rule. The order of declaration is that of the document."""

    def declare(check: Callable[[Facts], Found | None]) -> Callable[[Facts], Found | None]:
        assert id not in RULES, f"rule {id!r} is declared twice"
        asked = once(check)  # other rules ask too: where one says why, another is silent or a note
        RULES[id] = Rule(id, title, threshold, reason, remedy, severities, asked)
        return asked

    return declare
