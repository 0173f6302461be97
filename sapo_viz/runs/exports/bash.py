"""What verl, ms-swift and SkyRL share: a bash script whose arguments stand one a line, those of a group together."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable

from sapo_viz.runs.exports.mapping import Line

GROUPS = ("objective", "update", "task", "data", "validation", "model", "sampling", "run")


def by_group(lines: Iterable[Line]) -> list[tuple[str, list[Line]]]:
    """The lines of each group of settings, in the order of `GROUPS`."""
    lines = list(lines)
    each = ((group, [line for line in lines if line.group == group]) for group in GROUPS)
    return [(group, found) for group, found in each if found]


def script(head: str, lines: Iterable[Line], argument: Callable[[Line], str], command: str) -> str:
    """`argument` writes one line's name and value; `command` takes them as "${args[@]}"."""
    text = "#!/usr/bin/env bash\n" + "".join(f"# {line}".rstrip() + "\n" for line in head.splitlines())
    text += 'set -euo pipefail\ncd "$(dirname "$0")"\n\nargs=(\n'
    for group, found in by_group(lines):
        text += f"  # {group}\n" + "".join(f"  {argument(line)}\n" for line in found)
    return f"{text})\n\n{command}\n"


def quoted(text: str) -> str:
    return shlex.quote(text)


def number(value: object) -> str:
    """A value as YAML and command lines read it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.10g}" if value != int(value) or abs(value) < 1e6 else f"{value:.1f}"
    return "null" if value is None else str(value)
