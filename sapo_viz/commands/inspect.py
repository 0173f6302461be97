"""`python -m sapo_viz inspect FILE --html report.html`: what `inspect_numbers` says, and a page to pass on."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sapo_viz.commands import inspect_numbers as numbers
from sapo_viz.errors import RolloutError
from sapo_viz.rollouts.findings.summary import summarise


def add_arguments(parser: argparse.ArgumentParser) -> None:
    numbers.add_arguments(parser)
    parser.add_argument(
        "--html", metavar="REPORT", help="write one self-contained HTML file too: figures live, no network needed"
    )


def run(args: argparse.Namespace) -> int:
    if args.html is None:
        return numbers.run(args)
    target = _target(args)
    summary = summarise(numbers.analysed(args), quick=args.quick, curves=True, **numbers.of_recorder(args))
    numbers.print_summary(args, summary)
    from sapo_viz.figures.report.document import report_html, write_report  # plotly, only when it is asked for

    document = report_html(summary)
    write_report(target, document)
    print(f"{target}: {len(document.encode()) / 1e6:.1f} MB, one file that needs no other", file=sys.stderr)
    return 0


def _target(args: argparse.Namespace) -> Path:
    """Where the report goes, looked at before the work and not after it."""
    target = Path(args.html)
    if target.suffix.lower() not in (".html", ".htm"):
        raise RolloutError(f"--html is {args.html!r}; its name must end in .html.")
    if target.is_dir():
        raise RolloutError(f"--html is {args.html!r}, which is a folder; name a file in it.")
    if not target.absolute().parent.is_dir():
        raise RolloutError(f"--html is {args.html!r}; there is no such folder, so make it first.")
    for name in (args.file, args.old):
        if name and target.exists() and Path(name).exists() and target.samefile(name):
            raise RolloutError(f"--html is {args.html!r}, the file that is read; name another one.")
    return target
