"""The words and tables of the report, one function per section. Whatever came from a file goes through `text`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sapo_viz import __version__
from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.figures.batch import Picture
from sapo_viz.figures.correction import correction_told
from sapo_viz.figures.page import text
from sapo_viz.rollouts.analysis.analyse import Analysis
from sapo_viz.rollouts.analysis.corrected import corrected_as
from sapo_viz.rollouts.findings.judge import all_rules
from sapo_viz.rollouts.findings.rule import SEVERITIES
from sapo_viz.rollouts.findings.summary import Summary

_SHORT = 80  # characters of a name that are shown
_PAIRED = ("sequence-ratios", "variance")


@dataclass(frozen=True)
class Strip:
    """A sequence and what its strip is drawn from (`strip_alone.strip_block`)."""

    index: int
    block: Mapping[str, Any]


def report_body(summary: Summary, pictures: Mapping[str, Picture], strips: Sequence[Strip], made: datetime) -> str:
    """Header, sections and footer as HTML."""
    sections = {
        "findings": (
            "What is wrong with this run?",
            _audit(summary) + _findings(summary) + _figure("course", pictures),
        ),
        "kept": ("How much of the gradient is kept?", _kept(summary.analysis, pictures)),
        "ratios": ("Where do the ratios lie?", _ratios(pictures)),
        "apart": ("Where do the objectives disagree most?", _apart(summary, strips)),
        "fit": ("Which τ, which ε?", _fit(summary, pictures)),
        "groups": ("How were advantages made?", _groups(summary, pictures)),
    }
    shown = {name: part for name, part in sections.items() if part[1]}
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, (title, _) in shown.items())
    bodies = "".join(
        f'<section aria-labelledby="{name}"><h2 id="{name}">{title}</h2>\n{content}</section>\n'
        for name, (title, content) in shown.items()
    )
    return (
        f'<header>{_head(summary, made)}<nav aria-label="Contents"><ul>{links}</ul></nav></header>\n'
        f"<main>\n{bodies}</main>\n<footer>{_foot()}</footer>"
    )


def _head(summary: Summary, made: datetime) -> str:
    analysis = summary.analysis
    rollouts = analysis.rollouts
    facts = [
        ("Sequences", f"{len(rollouts):,}", ""),
        ("Tokens", f"{len(rollouts.tokens):,}", ""),
        ("of these in the loss", f"{int(rollouts.mask.sum()):,}", ""),
        ("Made", f'<time datetime="{made.isoformat(timespec="seconds")}">{made:%Y-%m-%d %H:%M %Z}</time>', ""),
        ("SAPO Viz", text(__version__), ""),
        ("Objectives", "; ".join(_setting(key, o) for key, o in analysis.objectives.items()), "wide"),
    ]
    if analysis.correction is not None:
        dropped = corrected_as(rollouts, analysis.correction)
        told = correction_told(analysis.correction) + (f". {dropped.takeaway}" if dropped else "")
        facts.append(("Sampler correction", text(told, 400), "wide"))
    rows = "".join(f'<div class="{kind}"><dt>{name}</dt><dd>{value}</dd></div>' for name, value, kind in facts)
    notes = "".join(f"<li>{text(note, 500)}</li>" for note in rollouts.notes[:20])
    notes = f'<ul class="quiet">{notes}</ul>' if notes else ""
    return f"<h1>What each objective does to {text(rollouts.name, 120)}</h1><dl class='facts'>{rows}</dl>{notes}"


def _setting(key: str, objective: Objective) -> str:
    knobs = ", ".join(f"{knob.symbol} = {getattr(objective, name):g}" for name, knob in objective.knobs().items())
    label = _label(key, objective)
    return text(f"{label} ({knobs})" if knobs else label, 400)


def _label(key: str, objective: Objective) -> str:
    return CATALOG[objective.name].label if key == objective.name else key


def _audit(summary: Summary) -> str:
    """Is the loss the one it claims? Nothing for a file without the framework's numbers."""
    found = summary.audit
    return "" if found is None else f"<p>{text(' '.join((found.sentence, *found.notes)))}</p>"


def _findings(summary: Summary) -> str:
    if summary.findings is None:
        return "<p>Not looked for: this report was made with <code>--quick</code>.</p>"
    if not summary.findings:
        return (
            f"<p>None of the {len(all_rules())} rules found anything. That is no proof of health: they see this file "
            "only.</p>"
        )
    cards = []
    for one in summary.findings:
        where = ", ".join(f"{i + 1:,}" for i in one.where[:8])
        where = f'<p class="quiet">Sequences worth opening: {where}.</p>' if where else ""
        cards.append(
            f'<article class="finding {one.severity}"><h3><span class="tag">{one.severity}</span>'
            f"{text(one.title)}</h3><p>{text(one.number)}.</p><p><b>What to do.</b> {text(one.remedy)}</p>"
            f'<p class="quiet">Rule <code>{text(one.id)}</code>: {text(one.rule)} '
            f"{one.severity.capitalize()}: {text(SEVERITIES[one.severity])}.</p>{where}</article>"
        )
    return "\n".join(cards)


def _kept(analysis: Analysis, pictures: Mapping[str, Picture]) -> str:
    names = {key: _label(key, o) for key, o in analysis.objectives.items()}
    rows = [
        [names[row["objective"]], row["sign"], _count(row["tokens"]), _number(row["kept"]),
         _number(row["clip_fraction"]), _number(row["ess"])]
        for row in analysis.batch.to_dict("records")
    ]  # fmt: skip
    table = _table(
        "kept = Σ|A|·w / Σ|A|; clipped = share of tokens with A ≠ 0 and c = 0; ESS = (Σc)² / (n·Σc²)",
        ["objective", "A", "tokens with A ≠ 0", "kept", "clipped", "ESS"],
        rows,
        left=2,
    )
    return _figure("kept", pictures) + table


def _ratios(pictures: Mapping[str, Picture]) -> str:
    pair = "".join(_figure(name, pictures) for name in _PAIRED)
    return f'{_figure("ratios", pictures)}<div class="pair">{pair}</div>'


def _apart(summary: Summary, strips: Sequence[Strip]) -> str:
    analysis, keys = summary.analysis, list(summary.analysis.objectives)
    labels = [_label(key, o) for key, o in analysis.objectives.items()]
    parts = []
    frame = summary.sequences_apart
    if len(keys) > 1 and frame.empty:
        parts.append("<p>They keep the same share of every sequence.</p>")
    if len(frame):
        rows = [
            [row["id"], _count(row["sequence"] + 1), _count(row["tokens"]), _number(row["advantage"], 3),
             _number(row["s"]), _number(row["variance"], 3), *(_number(row[f"kept_{key}"]) for key in keys)]
            for row in frame.to_dict("records")
        ]  # fmt: skip
        heads = ["sequence", "number", "tokens", "A", "s", "Var z", *(f"{name} keeps" for name in labels)]
        parts.append(_table("Sequences: largest difference between the shares kept", heads, rows))
    tokens = summary.tokens_apart
    if tokens is not None and len(tokens):
        rows = [
            [repr(row["token"][:_SHORT]), _count(row["sequence"] + 1), _count(row["position"] + 1),
             _number(row["advantage"], 3), _number(row["log_ratio"], 3), *(_number(row[f"c_{key}"], 3) for key in keys)]
            for row in tokens.to_dict("records")
        ]  # fmt: skip
        heads = ["token", "sequence", "position", "A", "log r", *(f"c, {name}" for name in labels)]
        parts.append(_table("Tokens: largest |A|·(largest c − smallest c)", heads, rows))
    if strips:
        parts.append(
            "<p>The tokens of these sequences, on the colour of their weight w. Sliders move the objectives’ knobs "
            "here and now; all other numbers of this report stay at the knobs of its head.</p>"
        )
    parts += [_strip(place, strip, analysis) for place, strip in enumerate(strips)]
    return "\n".join(parts)


def _strip(place: int, strip: Strip, analysis: Analysis) -> str:
    rollouts = analysis.rollouts
    name, reward, prompt = (values[strip.index] for values in (rollouts.ids, rollouts.rewards, rollouts.prompts))
    block = strip.block
    row = analysis.sequences.iloc[strip.index]
    facts = f"sequence {_count(strip.index + 1)}, {_count(block['total'])} tokens, "
    facts += f"A {_number(row['advantage'], 3)}, s {_number(row['s'])}"
    facts += "" if reward is None else f", reward {reward:g}"
    cut = ""
    if block["shown"] < block["total"]:
        last = block["first"] + block["shown"]
        cut = f'<p class="quiet">Shown are the tokens {block["first"] + 1:,} to {last:,}.</p>'
    shown = f'<div class="prompt" dir="auto">{text(prompt, 400)}</div>' if prompt else ""
    return (
        f'<details class="sequence"{" open" if place == 0 else ""}><summary><b>{text(name, _SHORT)}</b> '
        f'<span class="quiet">{facts}</span></summary>{shown}{cut}'
        f'<div data-strip="strip-{place}" role="group" aria-label="Tokens of {text(name, _SHORT)}"></div></details>'
    )


def _fit(summary: Summary, pictures: Mapping[str, Picture]) -> str:
    if not summary.matches:
        return ""
    items = "".join(f"<li>{text(one.sentence)}</li>" for one in summary.matches)
    figures = "".join(_figure(name, pictures) for name in pictures if name.startswith("match-"))
    return (
        f'<ul>{items}</ul><div class="pair">{figures}</div><p class="quiet">The band is a 95 % bootstrap interval over '
        "groups, or over sequences where there are none. Equal shares are not equal training: which tokens are kept "
        "differs.</p>"
    )


def _groups(summary: Summary, pictures: Mapping[str, Picture]) -> str:
    if not summary.groups:
        return ""
    kinds = {
        "mixed": "with different rewards",
        "all lowest": "with the lowest reward throughout",
        "all highest": "with the highest reward throughout",
        "all equal": "with one and the same reward",
    }
    counts = ", ".join(f"{summary.groups[kind]:,} {words}" for kind, words in kinds.items() if kind in summary.groups)
    total = sum(summary.groups.values())
    return (
        f"<p>{text(summary.normalisation.sentence)}</p><p>{total:,} groups: {counts}. A group whose rewards are equal "
        f"teaches nothing.</p>{_figure('group', pictures)}"
    )


def _foot() -> str:
    return (
        "<p>z = log π_θ − log π_old of a token; r = exp z, held within exp(±20); s = exp of the mean z of a sequence; "
        "A the advantage; c the coefficient of ∇log π in the objective’s gradient, per A; w = c / r (c / s for "
        "objectives on s) the share of it that the gate lets through. Every number is computed from the file named "
        "above; whether keeping more of the gradient trains better is not said here.</p>"
        f"<p>SAPO Viz {text(__version__)}. SAPO is arXiv 2511.20347; each objective’s paper is in the app’s reference. "
        "This page is complete in itself and fetches nothing.</p>"
    )


def _figure(name: str, pictures: Mapping[str, Picture]) -> str:
    """Its place, as high as it will be; its words, which are seen until it is drawn and read aloud after that."""
    if name not in pictures:
        return ""
    picture = pictures[name]
    return (
        f'<figure><div data-figure="figure-{name}" role="group" aria-labelledby="words-{name}" '
        f'style="height:{picture.figure.layout.height:.0f}px"></div>'
        f'<figcaption id="words-{name}">{text(picture.alt, 6000)}</figcaption></figure>\n'
    )


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """The first `left` columns are text; the others are numbers, set to the right."""

    def cells(values: Sequence[str], tag: str) -> str:
        parts = []
        for place, value in enumerate(values):
            name = "th" if place == 0 and tag == "td" else tag
            scope = ' scope="row"' if name != tag else ' scope="col"' if tag == "th" else ""
            kind = ' class="left"' if place < left else ""
            parts.append(f"<{name}{scope}{kind}>{text(value, _SHORT)}</{name}>")
        return f"<tr>{''.join(parts)}</tr>"

    body = "".join(cells(row, "td") for row in rows)
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="{text(caption)}"><table><caption>{text(caption)}'
        f"</caption><thead>{cells(heads, 'th')}</thead><tbody>{body}</tbody></table></div>\n"
    )


def _count(value: int) -> str:
    return f"{value:,}"


def _number(value: float, digits: int = 4) -> str:
    """So many significant digits; “–” where it is undefined, “−” for a minus."""
    return "–" if value != value else f"{value + 0.0:.{digits}g}".replace("-", "−")
