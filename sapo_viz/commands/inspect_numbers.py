"""`python -m sapo_viz inspect FILE`: the numbers of the Tokens page, as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapo_viz.commands.reading import add_bounds, read_named, read_run
from sapo_viz.core.correction import CHOICES, HIGH, LOW, OFF
from sapo_viz.core.correction_choices import chosen
from sapo_viz.core.objective import CATALOG
from sapo_viz.errors import RolloutError
from sapo_viz.figures.correction import correction_told, correction_value
from sapo_viz.rollouts.analysis.analyse import Analysis, analyse
from sapo_viz.rollouts.analysis.corrected import Corrected, corrected_as
from sapo_viz.rollouts.analysis.fit import Match
from sapo_viz.rollouts.audit.audit import Audit
from sapo_viz.rollouts.choice import parse_objectives
from sapo_viz.rollouts.findings.judge import all_rules
from sapo_viz.rollouts.findings.rule import Finding
from sapo_viz.rollouts.findings.summary import Summary, summarise
from sapo_viz.rollouts.readers.decoded import decoded
from sapo_viz.rollouts.readers.formats.pair import both_policies
from sapo_viz.rollouts.steps import finish
from sapo_viz.runs.folder.claims import claim_of, recorded_beside

if TYPE_CHECKING:
    import pandas as pd


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        help="rollout file: JSON, JSONL, CSV, Parquet or a framework's (docs/rollout-files.md); or a folder of steps",
    )
    parser.add_argument("--step", type=int, metavar="N", help="of a folder: this step alone")
    parser.add_argument("--old", metavar="OLD", help="π_old's file, where FILE holds the log-probs of π_θ alone")
    parser.add_argument(
        "--tokenizer",
        metavar="MODEL",
        help="where FILE holds token ids alone, show them as texts: the model that sampled them (name, folder, Hub id)",
    )
    parser.add_argument(
        "--objective",
        default="sapo,grpo,gspo",
        help=f"objectives, by comma, of {', '.join(CATALOG)}; knobs after a colon: "
        "sapo:tau_neg=1.05,gspo:eps_low=3e-4:eps_high=4e-4 (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object (docs/inspect.md names its fields)")
    parser.add_argument("--tokens", action="store_true", help="with --json, each sequence's tokens too")
    parser.add_argument(
        "--quick", action="store_true", help="leave out what looks at every token again: findings, matches, token list"
    )
    parser.add_argument(
        "--correction",
        default=OFF,
        metavar="CHOICE",
        help=f"for the sampler, where FILE says who drew its tokens: {', '.join((OFF, *CHOICES))} (default: off)",
    )
    for bound in (LOW, HIGH):
        parser.add_argument(
            f"--correction-{bound.name}",
            type=float,
            metavar="X",
            help=f"{bound.help} {bound.lo:g} to {bound.hi:g} (default: what is usual for the choice)",
        )
    add_bounds(parser)
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


def of_recorder(args: argparse.Namespace) -> dict[str, Any]:
    """What the config of a recorded run beside the file says, for `summarise`."""
    recorded = recorded_beside(Path(args.file))
    return {"claim": claim_of(recorded), "cap": recorded.cap} if recorded else {}


def run(args: argparse.Namespace) -> int:
    print_summary(args, summarise(analysed(args), quick=args.quick, **of_recorder(args)))
    return 0


def analysed(args: argparse.Namespace) -> Analysis:
    """The file that the arguments name, under the objectives that they choose."""
    knobs = {name: getattr(args, f"knob_{name}", None) for name in _all_knobs()}
    objectives = parse_objectives(args.objective, {name: value for name, value in knobs.items() if value is not None})
    bounds, correction = not args.no_bounds, chosen(args.correction, args.correction_low, args.correction_high)
    if args.old:
        if args.step is not None:
            raise RolloutError(f"--step is {args.step} and --old is {args.old}; a folder's step takes no second file.")
        rollouts = both_policies(read_named([args.file, args.old], bounds=bounds))
    else:
        rollouts = read_run(args.file, args.step, bounds=bounds)
    if args.tokenizer:
        rollouts = finish(decoded(rollouts, args.tokenizer))
    if correction and rollouts.sampler_logprobs is None:
        raise RolloutError(
            f"--correction is {args.correction}, and {rollouts.name} has no sampler_logprobs: it does not say who drew "
            "its tokens; leave the correction out."
        )
    return analyse(rollouts, objectives, correction)


def print_summary(args: argparse.Namespace, summary: Summary) -> None:
    """On stdout, as JSON or as text."""
    if args.json:
        for part in json_parts(summary, tokens=args.tokens):
            print(part, end="")
        print()
    else:
        print(as_text(summary))


def json_parts(summary: Summary, *, tokens: bool = False) -> Iterator[str]:
    """The numbers as one JSON object, a sequence at a time; what is undefined (a share where every A is 0) is null.

    With `tokens` ten million of them are some gigabytes of text: only one sequence's are in memory. Sequences and
    positions are counted from 0. What `--quick` leaves out is null.
    """
    analysis = summary.analysis
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
        "correction": _correction(analysis),
        "batch": _rows(analysis.batch),
        **_summary(summary),
    }
    yield _json(head)[:-1] + ', "sequences": ['
    for index, row in enumerate(_rows(analysis.sequences)):
        if tokens:
            row["per_token"] = _rows(analysis.token_table(index))
        yield (", " if index else "") + _json(row)
    yield "]}"


def _corrected(analysis: Analysis) -> Corrected | None:
    return corrected_as(analysis.rollouts, analysis.correction) if analysis.correction else None


def _correction(analysis: Analysis) -> dict[str, Any] | None:
    found = _corrected(analysis)
    if found is None:
        return None
    shares = {name: _plain(getattr(found, name)) for name in ("sequences_dropped", "tokens_dropped", "weight", "ess")}
    return {**correction_value(found.usual.correction), **shares, "sentence": found.takeaway}


def _summary(summary: Summary) -> dict[str, Any]:
    made, tokens = summary.normalisation, summary.tokens_apart
    return {
        "findings": None if summary.findings is None else [_finding(one) for one in summary.findings],
        "advantages": {
            "recipe": made.recipe,
            "explained": _plain(made.explained),
            "completions": made.completions,
            "sentence": made.sentence,
        },
        "audit": None if summary.audit is None else audit_numbers(summary.audit),
        "groups": summary.groups,
        "matches": None if summary.matches is None else [_match(one) for one in summary.matches],
        "apart": {
            "sequences": _rows(summary.sequences_apart),
            "tokens": None if tokens is None else _rows(tokens),
        },
    }


def audit_numbers(found: Audit) -> dict[str, Any]:
    """The audit's fields for JSON; a number that there is not is null."""
    plain = {name: _plain(getattr(found, name)) for name in ("off", "off_as_claimed", "loss_off", "tokens", "parts")}
    said = {"status": found.status, "claim": found.claim, "faults": list(found.faults), "sentence": found.sentence}
    return said | {"notes": list(found.notes), "on_policy": found.on_policy} | plain


def _finding(one: Finding) -> dict[str, Any]:
    fields = {name: getattr(one, name) for name in ("id", "severity", "title", "number", "rule", "remedy")}
    return {**fields, "value": _plain(one.value), "sequences": list(one.where)}


def _match(one: Match) -> dict[str, Any]:
    numbers = {name: _plain(getattr(one, name)) for name in ("kept", "value", "low", "high")}
    return {
        "source": one.source.name,
        "target": one.target,
        "sign": one.sign,
        "knob": None if one.knob is None else one.knob.name,
        **numbers,
        "tokens": one.tokens,
        "sequences": one.sequences,
        "found": one.found,
        "same_policies": one.same_policies,
        "sentence": one.sentence,
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _rows(frame: Any) -> list[dict[str, Any]]:
    columns = {name: [_plain(value) for value in frame[name].tolist()] for name in frame.columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    if isinstance(value, (str, int)) or value is None:
        return value
    return float(value) if isinstance(value, float) and math.isfinite(value) else None


def as_text(summary: Summary) -> str:
    """What is wrong, what each objective keeps of the file, which τ matches which ε, where they disagree most."""
    rollouts = summary.analysis.rollouts
    head = f"{_inert(rollouts.name)}: {len(rollouts):,} sequences, {int(rollouts.mask.sum()):,} response tokens"
    parts = [
        [head, *map(_inert, rollouts.notes)],
        [] if summary.audit is None else audit_lines(summary.audit),
        _findings_text(summary.findings),
        _shares_text(summary.analysis),
        [summary.normalisation.sentence] if summary.groups else [],
        _matches_text(summary.matches),
        _sequences_text(summary),
        _tokens_text(summary.tokens_apart),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def audit_lines(found: Audit) -> list[str]:
    """Is the loss the one it claims?"""
    return [_inert(found.sentence), *(_inert(note) for note in found.notes)]


def _findings_text(found: tuple[Finding, ...] | None) -> list[str]:
    if found is None:
        return []
    if not found:
        return [f"Findings: none by the {len(all_rules())} rules, which see this file only."]
    lines = ["Findings"]
    for one in found:
        lines.append(f"- {one.severity}: {_inert(one.title)} [{one.id}]")
        lines += [f"  {_inert(one.number)}", f"  What to do: {_inert(one.remedy)}"]
        if one.where:
            lines.append(f"  Sequences (from 0): {', '.join(map(str, one.where))}")
    return lines


def _shares_text(analysis: Analysis) -> list[str]:
    said = f" {correction_told(analysis.correction)}." if analysis.correction else ""
    dropped = [found.takeaway] if (found := _corrected(analysis)) else []
    lines = [
        *dropped,
        f"Share of gradient kept, clip fraction and effective sample size, by sign of A{':' if said else ''}{said}",
        f"{'':18}{'all':>21}{'A > 0':>21}{'A < 0':>21}",
        f"{'':18}" + f"{'kept':>9}{'clip':>6}{'ess':>6}" * 3,
    ]
    for key in analysis.objectives:
        shares = [analysis.share(key, sign) for sign in (0, 1, -1)]
        cells = "".join(f"{_cell(s.kept, 9)}{_cell(s.clip_fraction, 6, 2)}{_cell(s.ess, 6, 2)}" for s in shares)
        lines.append(f"{key:18}{cells}")
    return lines


def _matches_text(found: tuple[Match, ...] | None) -> list[str]:
    return ["Which τ, which ε"] + [f"- {one.sentence}" for one in found] if found else []


def _sequences_text(summary: Summary) -> list[str]:
    keys, frame = list(summary.analysis.objectives), summary.sequences_apart
    if len(keys) < 2:
        return []
    if frame.empty:
        return ["They keep the same share of every sequence."]
    lines = ["Sequences on which they disagree most: share kept by each"]
    lines.append(f"{'sequence':18}{'tokens':>8}{'A':>9}{'s':>9}{'Var z':>9}" + "".join(f"{k:>12}" for k in keys))
    for row in frame.to_dict("records"):
        cells = f"{row['tokens']:>8,}{_cell(row['advantage'], 9, 3)}{_cell(row['s'], 9)}{_cell(row['variance'], 9)}"
        kept = "".join(_cell(row[f"kept_{key}"], 12) for key in keys)
        lines.append(f"{_inert(row['id'], 17):18}{cells}{kept}")
    return lines


def _tokens_text(frame: pd.DataFrame | None) -> list[str]:
    if frame is None or frame.empty:
        return []
    keys = [name.removeprefix("c_") for name in frame.columns if name.startswith("c_")]
    lines = ["Tokens on which they disagree most: coefficient c by each (sequence and position from 0)"]
    lines.append(f"{'token':18}{'sequence':>9}{'position':>9}{'A':>9}{'log r':>9}" + "".join(f"{k:>12}" for k in keys))
    for row in frame.to_dict("records"):
        cells = (
            f"{row['sequence']:>9}{row['position']:>9}{_cell(row['advantage'], 9, 3)}{_cell(row['log_ratio'], 9, 3)}"
        )
        lines.append(f"{_inert(row['token'], 17):18}{cells}" + "".join(_cell(row[f"c_{key}"], 12) for key in keys))
    return lines


def _inert(text: object, width: int = 2000) -> str:
    """Text of a file for a terminal: line ends, escapes and marks of direction are spelled out, letters stay."""
    shown = (
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in str(text)[:width]
    )
    return "".join(shown)[:width]


def _cell(value: float, width: int, digits: int = 4) -> str:
    """A number in so many places; "–" for NaN. What rounds to 0 has no sign: −0.0000 would look like a finding."""
    return f"{'–':>{width}}" if value != value else f"{value:>z{width}.{digits}f}"
