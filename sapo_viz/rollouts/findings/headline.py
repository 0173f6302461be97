"""A file in two lines of plain words: what is wrong with it, what each objective keeps of it, and the matching τ.

2 warnings: every answer is cut off (…); the policy moved far (…). Here GRPO cuts 19 % of the tokens, SAPO keeps
97 % of the gradient; as gentle as ε = 0.2 would be τ₊ = 3.05, τ₋ = 4.87.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sapo_viz.core.correction import choice_of
from sapo_viz.core.objective import CATALOG
from sapo_viz.rollouts.analysis.analyse import Analysis
from sapo_viz.rollouts.analysis.fit import Match
from sapo_viz.rollouts.findings.rule import Finding

SAID = 2  # findings at most; the rest are counted
_NUMBER = 90  # characters of a finding's number


def state(found: Sequence[Finding]) -> str:
    """`2 warnings: …; ….`, or that none was found; notes, no reason to worry, are named where all is well."""
    grave = [finding for finding in found if finding.severity != "note"]
    if not grave:
        named = "; ".join([*(_small(note.title) for note in found[:SAID]), *_further(found)])
        return "Healthy as far as this file tells" + (f"; {_counted(len(found), 'note')}: {named}." if found else ".")
    counts = [
        _counted(number, severity)
        for severity in ("problem", "warning")
        if (number := sum(finding.severity == severity for finding in grave))
    ]
    said = "; ".join([*(_said(finding) for finding in grave[:SAID]), *_further(grave)])
    return f"{', '.join(counts)}: {said}."


def kept(analysis: Analysis) -> str:
    """`Here GRPO cuts 19 % of the tokens, SAPO keeps 97 % of the gradient`; empty where no token has an advantage."""
    shares = {key: analysis.share(key) for key in analysis.objectives}
    shares = {key: share for key, share in shares.items() if share.kept == share.kept}
    if not shares:
        return ""
    # A soft gate drops a token in ten thousand too, beyond the clamp of log r: what most is lost by says which it is.
    cuts = {key: one.clip_fraction for key, one in shares.items() if one.clip_fraction > 0.5 * abs(1 - one.kept)}
    keeps = {key: share.kept for key, share in shares.items() if key not in cuts}
    corrected = f"Here, with {choice_of(analysis.correction)}, " if analysis.correction else "Here "
    return corrected + ", ".join(
        [
            *_listed(analysis, cuts, "cuts", "of the tokens"),
            *_listed(analysis, keeps, "keeps", "of the gradient"),
        ]
    )


def gentle(matches: Sequence[Match]) -> str:
    """`as gentle as ε = 0.2 would be τ₊ = 3.05, τ₋ = 4.87`: the knobs found, by sign of A; empty if none was."""
    found = [match for match in matches if match.found and match.knob is not None]
    if not found:
        return ""
    # For A > 0 a clip has its upper edge, for A < 0 its lower one.
    edges = dict.fromkeys(getattr(m.source, "eps_high" if m.sign > 0 else "eps_low", None) for m in found)
    source = " and ".join(f"{edge:g}" for edge in edges if edge is not None)
    knobs = ", ".join(f"{match.knob.symbol} = {match.value:.3g}" for match in found if match.knob is not None)
    return f"as gentle as {'ε = ' + source if source else CATALOG[found[0].source.name].label} would be {knobs}"


def headline(found: Sequence[Finding], analysis: Analysis | None = None, matches: Sequence[Match] = ()) -> str:
    """All of it. Without `analysis` and `matches` what the findings alone say."""
    sentence = "; ".join(filter(None, [kept(analysis) if analysis is not None else "", gentle(matches)]))
    return f"{state(found)} {sentence[0].upper()}{sentence[1:]}." if sentence else state(found)


def _further(found: Sequence[Finding]) -> list[str]:
    """`3 more` of those that are not said."""
    return [f"{len(found) - SAID} more"] if len(found) > SAID else []


def _said(finding: Finding) -> str:
    """Title and number: `every answer is cut off (all 32 sequences have exactly 32 tokens)`."""
    number = finding.number.split("; ")[0]
    if len(number) > _NUMBER:
        number = number[:_NUMBER].rsplit(" ", 1)[0] + " …"
    return f"{_small(finding.title)} ({number})"


def _small(title: str) -> str:
    """A capital that begins a sentence goes; GSPO's and a symbol's stay."""
    first = title.split(" ")[0]
    return title[:1].lower() + title[1:] if first[1:].islower() or len(first) == 1 else title


def _listed(analysis: Analysis, values: Mapping[str, float], verb: str, of: str) -> list[str]:
    """`GSPO cuts 50 % of the tokens`, `GRPO 8 %`: the largest first, verb and noun once."""
    order = sorted(values, key=lambda key: -values[key])
    names = {key: CATALOG[o.name].label if key == o.name else key for key, o in analysis.objectives.items()}
    return [
        f"{names[key]} {verb} {_percent(values[key])} {of}" if place == 0 else f"{names[key]} {_percent(values[key])}"
        for place, key in enumerate(order)
    ]


def _percent(share: float) -> str:
    """Two digits, and never 100 % of what is not all, nor 0 % of what is not nothing."""
    if share in (0.0, 1.0):
        return f"{100 * share:g} %"
    near = min(share, 1 - share)
    digits = max(0, -math.floor(math.log10(near)) - 2) if 0 < near < 0.1 else 0
    return f"{100 * share:.{min(digits, 6)}f} %" if digits else f"{100 * share:.0f} %"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
