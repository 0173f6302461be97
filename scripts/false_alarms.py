"""How often a rule warns where nothing is wrong, and how often it speaks where its fault is: `make false-alarms`.

Every kind of `tests/rollouts/findings/healthy.py` is drawn that many times, and findings of the severities problem and
warning are counted; every fault of `tests/rollouts/findings/faulty.py` at each of its strengths, and the files are
counted on which its rule spoke. What was measured goes to `sapo_viz/rollouts/findings/measured.json`, which
docs/findings.md shows.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from sapo_viz.core.objective import CATALOG
from sapo_viz.rollouts.findings.document import MEASURED
from sapo_viz.rollouts.findings.judge import findings
from tests.rollouts.findings.faulty import FAULTS, NARROW
from tests.rollouts.findings.healthy import KINDS, healthy

FILES, FAULTY = 1_000, 200
_BLOCK = 50
OBJECTIVES = {name: CATALOG[name]() for name in ("sapo", "grpo")}


def alarms(kind: int, seeds: Iterable[int]) -> Counter[str]:
    """Rule -> healthy files of the kind on which it gave a problem or a warning."""
    counted: Counter[str] = Counter()
    for seed in seeds:
        found = findings(healthy(KINDS[kind], seed), OBJECTIVES)
        counted.update({one.id for one in found if one.severity != "note"})
    return counted


def spoken(fault: int, strength: int, files: int) -> tuple[int, Counter[str]]:
    """On how many files with the fault its rule spoke; other rules -> files on which these gave more than a note."""
    one = FAULTS[fault]
    asked = OBJECTIVES | (NARROW if one.rule == "gspo_band" else {})
    named, others = 0, Counter[str]()
    for seed in range(files):
        found = findings(one.make(seed, one.strengths[strength][1], {}), asked)
        named += any(finding.id == one.rule for finding in found)
        others.update({f.id for f in found if f.severity != "note" and f.id != one.rule})
    return named, others


def _alarms(work: tuple[int, int, int]) -> tuple[int, Counter[str]]:
    kind, first, stop = work
    return kind, alarms(kind, range(first, stop))


def _spoken(work: tuple[int, int, int]) -> tuple[int, Counter[str]]:
    return spoken(*work)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=FILES, help="healthy ones of each kind (default: %(default)s)")
    parser.add_argument("--faulty", type=int, default=FAULTY, help="of each fault and strength (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    measured: dict[str, Any] = {}
    with ProcessPoolExecutor(args.processes) as pool:
        if args.faulty:
            measured["power"] = _power(pool, args.faulty)
        if args.files:
            measured["alarms"] = _kinds(pool, args.files)
    measured["counted"] = f"{datetime.date.today():%-d %B %Y}, on {os.cpu_count()} cores"
    before = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
    text = json.dumps(before | measured, indent=1, ensure_ascii=False)
    MEASURED.write_text(text + "\n", encoding="utf-8")


def _power(pool: ProcessPoolExecutor, files: int) -> list[dict[str, Any]]:
    work = [(fault, at, files) for fault, one in enumerate(FAULTS) for at in range(len(one.strengths))]
    rows = []
    for (fault, at, _), (named, others) in zip(work, pool.map(_spoken, work), strict=True):
        one, strength = FAULTS[fault], FAULTS[fault].strengths[at][0]
        print(f"{one.rule:20} {one.what} {strength}: {named}, {dict(others) or 'alone'}", flush=True)
        row = {"rule": one.rule, "what": one.what, "strength": strength, "files": files, "named": named}
        rows.append(row | {"others": dict(sorted(others.items()))})
    return rows


def _kinds(pool: ProcessPoolExecutor, files: int) -> list[dict[str, Any]]:
    counted = [Counter[str]() for _ in KINDS]
    blocks = [
        (kind, first, min(first + _BLOCK, files)) for kind in range(len(KINDS)) for first in range(0, files, _BLOCK)
    ]
    for kind, found in pool.map(_alarms, blocks):
        counted[kind] += found
    for one, found in zip(KINDS, counted, strict=True):
        print(f"{one.name:45} {dict(found) or 'silent'}")
    return [
        {"kind": one.name, "files": files, "rules": dict(sorted(n.items()))}
        for one, n in zip(KINDS, counted, strict=True)
    ]


if __name__ == "__main__":
    main()
