"""`python -m sapo_viz push RUN NAME`: what a run has trained, to the Hugging Face Hub, under your own login."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sapo_viz.errors import ModelError
from sapo_viz.runs.folder.store import RunStore
from sapo_viz.runs.need import size_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="RUN", help="the folder of a finished run, or one that `merge` has written")
    parser.add_argument(
        "name", metavar="NAME", help="of the repository, as me/my-policy (default owner: who logged in)"
    )
    parser.add_argument("--base", default="", metavar="ID", help="the Hub id of the model that an adapter stands on")
    parser.add_argument("--public", action="store_true", help="everybody may see it (default: a private repository)")
    parser.add_argument("--update", action="store_true", help="into a repository that is there, replacing its files")
    parser.add_argument("--yes", action="store_true", help="send it without asking")


def run(args: argparse.Namespace) -> int:
    from sapo_viz.models.hub import logged_in, packed, publish

    parcel = packed(_policy(Path(args.folder).absolute()), args.base)
    who = logged_in()
    name = args.name if "/" in args.name else f"{who}/{args.name}"
    where = ("public" if args.public else "private") + (", if it is new" if args.update else "")
    print(f"To {name} on the Hugging Face Hub ({where}), as {who}: {size_text(parcel.size)} in")
    print("".join(f"  {file}\n" for file in parcel.files), end="")
    if not args.yes and not _agreed():
        print("Nothing was sent.")
        return 1
    print(publish(parcel, name, private=not args.public, update=args.update))
    return 0


def _policy(folder: Path) -> Path:
    """Of a run, its trained policy."""
    if not (folder / "config.json").is_file() or any(folder.glob("*.safetensors")):
        return folder
    store = RunStore(folder.parent)
    policy = store.policy_path(folder.name)
    if policy is None:
        raise ModelError(f"run {folder.name} is {store.status(folder.name)}; its policy is there once it is finished.")
    return policy


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise ModelError("nobody is there to be asked whether to send this; say --yes.")
    return input("Send it? [y/N] ").strip().lower() in ("y", "yes")
