"""`python -m sapo_viz inspect FILE`: the numbers of the Tokens page, as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from typing import Any

from sapo_viz.core.objective import CATALOG
from sapo_viz.rollouts.analysis import Analysis, analyse
from sapo_viz.rollouts.choice import parse_objectives
from sapo_viz.rollouts.formats import read_pair_files
from sapo_viz.rollouts.read import read_rollouts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="rollout file: JSON, JSONL, CSV, Parquet or a framework's (docs/rollout-files.md)")
    parser.add_argument("--old", metavar="OLD", help="π_old's file, where FILE holds the log-probs of π_θ alone")
    parser.add_argument(
        "--objective",
        default="sapo,grpo,gspo",
        help=f"objectives, by comma, of {', '.join(CATALOG)}; knobs after a colon: "
        "sapo:tau_neg=1.05,gspo:eps_low=3e-4:eps_high=4e-4 (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object: file, batch, sequences")
    parser.add_argument("--tokens", action="store_true", help="with --json, each sequence's tokens too")
    group = parser.add_argument_group("knobs, for every chosen objective that has them")
    for name, help_text in _all_knobs().items():
        group.add_argument(f"--{name.replace('_', '-')}", dest=f"knob_{name}", type=float, metavar="X", help=help_text)


def _all_knobs() -> dict[str, str]:
    """Every knob of the catalogue with its help and owners: a new objective's knobs appear by themselves."""
    owners: dict[str, list[str]] = {}
    texts: dict[str, str] = {}
    for cls in CATALOG.values():
        for knob in cls.knobs().values():
            owners.setdefault(knob.name, []).append(cls.name)
            texts.setdefault(knob.name, f"{knob.symbol}, {knob.lo:g} to {knob.hi:g}")
    return {name: f"{text} ({', '.join(owners[name])})".replace("%", "%%") for name, text in texts.items()}


def run(args: argparse.Namespace) -> int:
    knobs = {name: getattr(args, f"knob_{name}", None) for name in _all_knobs()}
    objectives = parse_objectives(args.objective, {name: value for name, value in knobs.items() if value is not None})
    rollouts = read_pair_files(args.file, args.old) if args.old else read_rollouts(args.file)
    analysis = analyse(rollouts, objectives)
    if args.json:
        for part in json_parts(analysis, tokens=args.tokens):
            print(part, end="")
        print()
    else:
        print(as_text(analysis))
    return 0


def json_parts(analysis: Analysis, *, tokens: bool = False) -> Iterator[str]:
    """The analysis as one JSON object, a sequence at a time; what is undefined (a share where every A is 0) is null.

    With `tokens` ten million of them are some gigabytes of text: only one sequence's are in memory.
    """
    rollouts = analysis.rollouts
    head = {
        "file": {
            "name": rollouts.name,
            "sequences": len(rollouts),
            "tokens": len(rollouts.tokens),
            "response_tokens": int(rollouts.mask.sum()),
            "notes": list(rollouts.notes),
        },
        "objectives": {
            key: {"name": o.name, **{k: getattr(o, k) for k in o.knobs()}} for key, o in analysis.objectives.items()
        },
        "batch": _rows(analysis.batch),
    }
    yield _json(head)[:-1] + ', "sequences": ['
    for index, row in enumerate(_rows(analysis.sequences)):
        if tokens:
            row["per_token"] = _rows(analysis.token_table(index))
        yield (", " if index else "") + _json(row)
    yield "]}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _rows(frame: Any) -> list[dict[str, Any]]:
    columns = {name: [_plain(value) for value in frame[name].tolist()] for name in frame.columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    if isinstance(value, (str, int)) or value is None:
        return value
    return float(value) if isinstance(value, float) and math.isfinite(value) else None


def as_text(analysis: Analysis) -> str:
    """Two tables: what each objective keeps of the file, and the sequences they disagree on most."""
    rollouts = analysis.rollouts
    lines = [
        f"{rollouts.name}: {len(rollouts):,} sequences, {int(rollouts.mask.sum()):,} response tokens",
        *rollouts.notes,
        "",
        "Share of gradient kept, clip fraction and effective sample size, by sign of A",
        f"{'':18}{'all':>21}{'A > 0':>21}{'A < 0':>21}",
        f"{'':18}" + f"{'kept':>9}{'clip':>6}{'ess':>6}" * 3,
    ]
    for key in analysis.objectives:
        shares = [analysis.share(key, sign) for sign in (0, 1, -1)]
        cells = "".join(f"{_cell(s.kept, 9)}{_cell(s.clip_fraction, 6, 2)}{_cell(s.ess, 6, 2)}" for s in shares)
        lines.append(f"{key:18}{cells}")
    kept = [f"kept_{key}" for key in analysis.objectives]
    frame = analysis.sequences.assign(spread=lambda f: f[kept].max(axis=1) - f[kept].min(axis=1))
    frame = frame.sort_values("spread", ascending=False, kind="stable").head(10)
    lines += ["", "Sequences on which they disagree most: share kept by each"]
    lines.append(
        f"{'sequence':18}{'tokens':>8}{'A':>9}{'s':>9}{'Var z':>9}" + "".join(f"{k:>12}" for k in analysis.objectives)
    )
    for row in frame.to_dict("records"):
        name = str(row["id"]).encode("unicode_escape").decode()[:17]  # a name may hold line ends or escapes
        cells = f"{row['tokens']:>8,}{_cell(row['advantage'], 9, 3)}{_cell(row['s'], 9)}{_cell(row['variance'], 9)}"
        lines.append(f"{name:18}{cells}" + "".join(_cell(row[column], 12) for column in kept))
    return "\n".join(lines)


def _cell(value: float, width: int, digits: int = 4) -> str:
    """A number in so many places; "–" for NaN. What rounds to 0 has no sign: −0.0000 would look like a finding."""
    return f"{'–':>{width}}" if value != value else f"{value:>z{width}.{digits}f}"
