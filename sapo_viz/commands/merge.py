"""`python -m sapo_viz merge RUN`: what a run with an adapter has trained, as one model in Hugging Face format."""

from __future__ import annotations

import argparse
from pathlib import Path

from sapo_viz.runs.folder.store import RunStore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="RUN", help="the folder of a finished run that trained an adapter (LoRA)")
    parser.add_argument("--out", metavar="DIR", help="where to write; must be new or empty (default: RUN-merged here)")
    parser.add_argument(
        "--dtype",
        default="float32",
        choices=["float32", "bfloat16"],
        help="of the weights as they are kept (default: float32; bfloat16 takes half the space and rounds part of a "
        "small update away)",
    )


def run(args: argparse.Namespace) -> int:
    from sapo_viz.runs.workers.merging import merge_run

    folder = Path(args.folder).absolute()
    out = Path(args.out or f"{folder.name}-merged")
    policy = merge_run(RunStore(folder.parent), folder.name, out, args.dtype)
    print(f"{out}: {policy.parameters:,} parameters in {args.dtype}, tokenizer and model card (README.md).")
    return 0
