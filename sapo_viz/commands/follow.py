"""`python -m sapo_viz follow LOG RUN`: curves from what training logs already, in the app beside other runs."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from sapo_viz.errors import RunError
from sapo_viz.runs.logged.follow import Followed
from sapo_viz.runs.logged.sources import open_log


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "log",
        help="TensorBoard's event file or its folder, trackio's .db, trainer_state.json, "
        "or the .jsonl of verl's file logger or ms-swift",
    )
    parser.add_argument("out", metavar="RUN", help="the run's folder, such as runs/x: made, or gone on with")
    parser.add_argument("--run", default="", metavar="NAME", help="of a trackio database: this run, not the newest")
    parser.add_argument("--every", type=float, default=1.0, metavar="SECONDS", help="between looks (default: 1)")
    parser.add_argument("--once", action="store_true", help="take what is there, and end")


def run(args: argparse.Namespace) -> int:
    if not args.every > 0:
        raise RunError(f"--every is {args.every:g}; it takes seconds above 0.")
    source = open_log(Path(args.log), args.run)
    followed = Followed(source, Path(args.out).absolute())
    steps = 0
    try:
        while True:
            steps += followed.look(last=args.once)
            if source.behind:
                continue
            if args.once:
                break
            time.sleep(args.every)
    except KeyboardInterrupt:
        pass
    except OSError as error:
        raise RunError(f"{args.log}: {error.strerror or error}.") from None
    print(f"{args.out}: {steps:,} steps from {source.title}")
    return 0
