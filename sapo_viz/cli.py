"""The same jobs without a browser: `python -m sapo_viz train | inspect | audit | watch | follow | export | …`.

Exit status 0, or 2 with one line on stderr that says what is wrong with the input and what would be
right. Each subcommand lives with its layer and is imported only when it is called for.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys

from sapo_viz.errors import SapoVizError

# name -> (module with add_arguments(parser) and run(args) -> int, one line of help)
COMMANDS = {
    "train": ("sapo_viz.commands.train", "train a small policy and write its events as it goes"),
    "experiment": ("sapo_viz.commands.experiment", "run one of the paper's questions over seeds, with error bars"),
    "inspect": ("sapo_viz.commands.inspect", "what each objective does to the tokens of a rollout file"),
    "audit": ("sapo_viz.commands.audit", "is a recorded run's loss the one it claims?"),
    "follow": ("sapo_viz.commands.follow", "curves from TensorBoard, trackio, verl's or TRL's own log"),
    "watch": ("sapo_viz.commands.watch", "say what becomes worse in a run while it trains"),
    "export": ("sapo_viz.commands.export", "a run's settings for TRL, verl, ms-swift, SkyRL or AReaL"),
    "merge": ("sapo_viz.commands.merge", "a LoRA run's adapter and its start as one model to use anywhere"),
    "push": ("sapo_viz.commands.push", "what a run has trained to the Hugging Face Hub, under one's own login"),
    "score": ("sapo_viz.commands.score", "log-probs of texts under two models, as a rollout file"),
    "app": ("sapo_viz.commands.app", "open the app in the browser"),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        """One line, without the usage block."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _speak_utf8() -> None:
    """τ, tokens, JSON and names of files are UTF-8, also where the locale knows ASCII or Latin-1 alone: Python begins
    anew, since it has already taken the arguments for something else."""
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def main(argv: list[str] | None = None) -> int:
    if argv is None:
        _speak_utf8()
    argv = sys.argv[1:] if argv is None else argv
    parser = _Parser(prog="sapo_viz", description=__doc__.splitlines()[0])
    subparsers = parser.add_subparsers(dest="command", metavar="{" + ",".join(COMMANDS) + "}", required=True)
    for name, (module, text) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=text, description=text)
        if name in argv[:1]:
            command = importlib.import_module(module)
            command.add_arguments(subparser)
            subparser.set_defaults(run=command.run)
    args = parser.parse_args(argv)
    try:
        return int(args.run(args))
    except BrokenPipeError:  # the reader went away (`… | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (SapoVizError, OSError) as error:
        print(f"sapo_viz {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
