"""`python -m sapo_viz score`: texts in, a rollout file out, with the log-probs of any two models of this machine.

In `rollouts/` and not in `models/`, because it reads and writes their files.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from sapo_viz.commands.reading import add_bounds, read_named
from sapo_viz.errors import ModelError, RolloutError
from sapo_viz.models.scoring.score import Progress, Scores, score_texts
from sapo_viz.models.source import BUNDLED, locate
from sapo_viz.rollouts.readers.formats.pair import OnePolicy
from sapo_viz.rollouts.scored import first_groups, scored_rollouts
from sapo_viz.rollouts.texts import TextDump
from sapo_viz.rollouts.write import FORMATS, write_rollouts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    models = f"{', '.join(BUNDLED)}, a folder in Hugging Face format, or a model id from the Hugging Face Hub"
    parser.add_argument("file", nargs="?", help="a framework's log of prompts and completions without log-probs")
    parser.add_argument("--prompt", metavar="TEXT", help="instead of a file: one prompt …")
    parser.add_argument("--completion", metavar="TEXT", help="… and its completion")
    parser.add_argument("--advantage", type=float, default=1.0, metavar="A", help="of that completion (default: 1)")
    parser.add_argument(
        "--old-policy", required=True, metavar="MODEL", help=f"π_old, which sampled the texts: {models}"
    )
    parser.add_argument("--policy", metavar="MODEL", help="π_θ, the policy now (default: the adapter's own base)")
    parser.add_argument("--adapter", default="", metavar="ADAPTER", help="LoRA adapter on π_θ: a folder or a Hub id")
    parser.add_argument(
        "--out", metavar="FILE", help=f"rollout file: .{', .'.join(FORMATS)} (default: JSONL on stdout)"
    )
    add_bounds(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="only the first whole groups with at most N completions")
    parser.add_argument("--chat-template", action="store_true", help="put each prompt into the models' own templates")
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:1 … (default: auto)")
    parser.add_argument(
        "--dtype",
        default="auto",
        choices=["auto", "float32", "bfloat16", "float16", "float64"],
        help="of the weights; the log-softmax is float32 (default: float32 on a processor, bfloat16 on a GPU)",
    )


def run(args: argparse.Namespace) -> int:
    kind = _kind(args.out)
    texts = _texts(args)
    if args.limit is not None:
        if args.limit < 1:
            raise RolloutError(f"--limit is {args.limit}; it takes 1 or more.")
        texts = first_groups(texts, args.limit)
    if not args.policy and not args.adapter:
        raise ModelError("--policy is missing; name π_θ, or an --adapter whose base it is.")
    new, old = locate(args.policy or "", args.adapter), locate(args.old_policy)
    if texts.chat and not args.chat_template:
        print("The prompts are messages of a chat; --chat-template puts them into the models' own.", file=sys.stderr)
    with contextlib.closing(
        score_texts(
            new,
            old,
            texts.prompts,
            texts.completions,
            chat=args.chat_template,
            device=args.device,
            dtype=args.dtype,
        )
    ) as steps:
        scores = _follow(steps)
    rollouts = scored_rollouts(texts, scores.new, scores.old, scores.notes)
    data = write_rollouts(rollouts, kind)
    if args.out:
        partial = Path(f"{args.out}.part")  # never half a file under the name that was asked for
        partial.write_bytes(data)
        os.replace(partial, args.out)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
    for note in rollouts.notes:
        print(note, file=sys.stderr)
    return 0


def _kind(out: str | None) -> str:
    if out is None:
        return "jsonl"
    kind = Path(out).suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise RolloutError(f"--out is {out!r}; its ending tells the format, one of .{', .'.join(FORMATS)}.")
    if not Path(out).resolve().parent.is_dir():
        raise RolloutError(f"--out is {out!r}; there is no such folder, so make it first.")
    return kind


def _texts(args: argparse.Namespace) -> TextDump:
    if args.file is None:
        if args.prompt is None or args.completion is None:
            raise RolloutError("there is nothing to score; give a FILE, or --prompt and --completion.")
        return TextDump(
            "typed text", "text", (args.prompt,), (args.completion,), (None,), ("1",), (None,), (args.advantage,)
        )
    if args.prompt is not None or args.completion is not None:
        raise RolloutError("both a FILE and a text are given; score takes one of them.")
    found = read_named([args.file], bounds=not args.no_bounds)
    if isinstance(found, TextDump):
        return found
    if isinstance(found, OnePolicy):
        if found.texts is None:
            raise RolloutError(found.lacks)
        return found.texts
    raise RolloutError(f"{args.file}: the file holds log-probs already; `python -m sapo_viz inspect` reads it.")


def _follow(steps: Iterator[Progress | Scores]) -> Scores:
    """Progress on stderr, one line that is written over; the result."""
    line = sys.stderr.isatty()
    scores = None
    for step in steps:
        if isinstance(step, Scores):
            scores = step
        elif line:
            print(f"\r\033[K{progress_line(step)}", end="", file=sys.stderr, flush=True)
    if line:
        print("\r\033[K", end="", file=sys.stderr)
    assert scores is not None
    return scores


def progress_line(step: Progress) -> str:
    text = f"{step.stage} {step.model}  {step.done}/{step.total} sequences"
    if step.tokens_per_s is not None and step.seconds_left is not None:
        text += f"  {step.tokens_per_s:,.0f} tokens/s  {step.seconds_left:,.0f} s left"
    return text
