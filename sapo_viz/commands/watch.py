"""`python -m sapo_viz watch RUN`: say what becomes worse in a run while it trains, here and at an address if asked."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from sapo_viz.errors import RunError
from sapo_viz.experiments.watching import Watched, checked_address, post
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.folder.verdict import LIVE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="RUN", help="a run's folder, recorded or made here")
    parser.add_argument("--webhook", metavar="URL", help="send each alert there too, as JSON; nothing is sent without")
    parser.add_argument("--every", type=float, default=2.0, metavar="SECONDS", help="between looks (default: 2)")
    parser.add_argument("--once", action="store_true", help="look once at what is there, and end")


def run(args: argparse.Namespace) -> int:
    folder = Path(args.folder).absolute()
    store = RunStore(folder.parent)
    store.folder(folder.name)
    address = checked_address(args.webhook) if args.webhook else ""
    if not args.every > 0:
        raise RunError(f"--every is {args.every:g}; it takes seconds above 0.")
    watched = Watched(store, folder.name)
    said = 0
    while True:
        live = store.status(folder.name) in LIVE  # asked first: what was written before its end is then seen
        alerts = watched.look()
        for alert in alerts:
            print(alert.text, flush=True)
        said += len(alerts)
        if alerts and address and (why := post(address, folder.name, alerts)):
            print(why, file=sys.stderr, flush=True)
        if args.once or not live:
            if not said:
                print("Nothing has become worse, by the rules that look at a run's log and tokens.")
            return 0
        time.sleep(args.every)
