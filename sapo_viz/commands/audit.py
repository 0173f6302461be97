"""`python -m sapo_viz audit RUN`: is a recorded run's loss the one it claims?

Exit status 0 where every step that was looked at matches, 1 where one does not, 2 for bad input.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sapo_viz.commands.inspect_numbers import audit_lines, audit_numbers
from sapo_viz.commands.reading import add_bounds, read_run
from sapo_viz.errors import KnobError
from sapo_viz.rollouts.audit.audit import Audit, audit
from sapo_viz.rollouts.audit.claim import Claim
from sapo_viz.rollouts.choice import parse_objectives
from sapo_viz.runs.folder.claims import claim_beside


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="run", help="a recorded run's folder, or one of its token files")
    parser.add_argument("--step", type=int, metavar="N", help="of a run: this step alone")
    parser.add_argument(
        "--objective",
        metavar="NAME",
        help="hold it against this objective, not against what the run says: sapo:tau_pos=1:tau_neg=1.05",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_bounds(parser)


def run(args: argparse.Namespace) -> int:
    path = Path(args.path)
    rollouts = read_run(args.path, args.step, bounds=not args.no_bounds)
    found = audit(rollouts, _asked(args.objective) or claim_beside(path))
    print(json.dumps(audit_numbers(found), ensure_ascii=False) if args.json else "\n".join(audit_lines(found)))
    return 0 if _well(found) else 1


def _well(found: Audit) -> bool:
    return found.status in ("matches", "nothing")


def _asked(text: str | None) -> Claim | None:
    if not text:
        return None
    objectives = list(parse_objectives(text).values())
    if len(objectives) > 1:
        raise KnobError(f"--objective is {text!r}; a loss is held against one objective, for example sapo.")
    return Claim.of(objectives[0])
