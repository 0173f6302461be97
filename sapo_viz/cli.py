"""The same jobs without a browser: `python -m sapo_viz train | experiment | inspect | score | app`.

Exit status 0, or 2 with one line on stderr that says what is wrong with the input and what would be
right. Each subcommand lives with its layer and is imported only when it is called for.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from sapo_viz.errors import SapoVizError

# name -> (module with add_arguments(parser) and run(args) -> int, one line of help)
COMMANDS = {
    "train": ("sapo_viz.runs.command", "train a small policy and write its events as it goes"),
    "experiment": ("sapo_viz.runs.experiment_command", "run one of the paper's questions over seeds, with error bars"),
    "inspect": ("sapo_viz.figures.command", "what each objective does to the tokens of a rollout file"),
    "score": ("sapo_viz.rollouts.score_command", "log-probs of texts under two models, as a rollout file"),
    "app": ("sapo_viz.ui.command", "open the app in the browser"),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        """One line, without the usage block."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: list[str] | None = None) -> int:
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
