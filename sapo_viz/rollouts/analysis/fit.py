"""Which τ, which ε: the share of gradient kept on a file's own ratios as a knob moves, and the value that matches.

kept(v) = Σ|A|·w(v) / Σ|A| over the tokens with one sign of A, the same number as `Share.kept`. Two objectives are
matched when they keep the same share: the interval holds every value at which the difference between the two is no
more than whole groups (without groups: sequences) would have it by chance, by a studentised bootstrap (`intervals`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sapo_viz.core.knobs import Knob
from sapo_viz.core.objective import CATALOG, Objective
from sapo_viz.errors import KnobError
from sapo_viz.rollouts.analysis.evidence import Evidence
from sapo_viz.rollouts.analysis.gate import live_knobs, weights_at
from sapo_viz.rollouts.analysis.intervals import cluster_sums, critical_values, share_interval, statistic
from sapo_viz.rollouts.schema import Rollouts

_VALUES = 41  # of a curve
_SEARCH = 33  # of one round of the search for a match; there are three, each closer
_DECIDING = 5  # tokens beyond a hard edge below which its place is theirs
_FEW = 10  # groups (or sequences) below which an interval over them says little
_SAME = 1e-4  # |z| up to which two policies are the same: more than float32 rounds off, less than any band


@dataclass(frozen=True)
class KeptCurve:
    """Share kept as one knob moves; the other knobs as in `base`. low, high: 95 % interval at each value."""

    base: Objective
    knob: Knob
    sign: int
    values: np.ndarray  # [V]
    kept: np.ndarray  # [V]
    low: np.ndarray  # [V]
    high: np.ndarray  # [V]
    tokens: int
    sequences: int
    sampled: bool  # a seeded choice of sequences stands for the file


@dataclass(frozen=True)
class Match:
    """The target's knob at which it keeps as much as the source; NaN with a reason where there is no such value."""

    source: Objective
    target: str
    knob: Knob | None
    sign: int
    kept: float  # by the source
    value: float
    low: float
    high: float
    tokens: int
    sequences: int
    clusters: int  # groups, or sequences where there are none: what the interval is taken over
    carried_by: float = np.inf  # groups, in effect, that what is dropped comes from: (Σx)²/Σx²
    decided_by: float = np.inf  # tokens (or sequences) that a hard switch, source or target, shuts out
    unit: str = "tokens"
    reason_if_none: str = ""
    same_policies: bool = False  # every gate keeps everything: there is nothing to match and nothing to draw

    @property
    def found(self) -> bool:
        return not self.reason_if_none

    @property
    def reach(self) -> str:
        """The interval in words; an end of the knob's range is no estimate."""
        open_below = self.knob is not None and self.low <= self.knob.lo
        open_above = self.knob is not None and self.high >= self.knob.hi
        if open_below and open_above:
            return "open on both sides"
        if open_above:
            return f"{self.low:.3g} or more"
        return f"{self.high:.3g} or less" if open_below else f"{self.low:.3g} to {self.high:.3g}"

    @property
    def sentence(self) -> str:
        """What the numbers say, and nothing beyond: equal shares are not equal training."""
        source = _setting(self.source, self.sign)
        tokens = f"{self.tokens:,} tokens with A {'>' if self.sign > 0 else '<'} 0 in {self.sequences:,} sequences"
        label = CATALOG[self.target].label
        if self.same_policies:
            return f"On these {tokens} there is nothing to match: {self.reason_if_none}"
        if self.knob is None or not self.found:
            return f"On these {tokens}, nothing of {label} matches {source}: {self.reason_if_none}"
        text = (
            f"On these {tokens}, {source} keeps {share_text(self.kept)} of the gradient; {label} keeps the same with "
            f"{self.knob.symbol} = {self.value:.3g} (95 % interval {self.reach})."
        )
        if self.decided_by < _DECIDING:
            text += (
                f" Fewer than {_DECIDING} {self.unit} lie beyond a hard edge and decide it: take it as a rough bound."
            )
        few = min(self.clusters, self.carried_by)
        if few < _FEW:
            kind = "groups" if self.clusters < self.sequences else "sequences"
            text += f" What is dropped comes from about {few:.0f} {kind}: the interval says little."
        elif self.low > 0 and self.high > 3 * self.low:
            text += " The interval is wide: take more sequences before relying on it."
        return text


def kept_curve(
    rollouts: Rollouts | Evidence,
    objective_name: str,
    knob: str,
    sign: int,
    values: Sequence[float] | np.ndarray | None = None,
    *,
    base: Objective | None = None,
) -> KeptCurve:
    """Share of gradient kept as `knob` takes `values` (41 over the slider's span, if not given).

    Args:
        rollouts: the file, or its `Evidence` for this sign where several curves are drawn from it.
        sign: 1 or −1, of A.
        base: where the objective's other knobs are taken from; defaults if not given.

    Raises:
        KnobError: an unknown objective or knob, or a value outside its range.
    """
    evidence = rollouts if isinstance(rollouts, Evidence) else Evidence(rollouts, sign)
    base = base if base is not None else _class(objective_name)()
    spec = _knob(type(base), knob)
    points = _spaced(spec, spec.ui_lo, spec.ui_hi, _VALUES) if values is None else np.asarray(values, dtype=float)
    settings = [_with(base, knob, value) for value in points]
    use = evidence.narrowed([base])
    if not use.any():
        nothing = np.full(len(points), np.nan)
        return KeptCurve(base, spec, sign, points, nothing, nothing, nothing, 0, 0, False)
    amounts, total = evidence.amounts(settings)[use], evidence.total[use]
    grouped = _by_cluster(evidence, use, np.column_stack((amounts, total)))
    low, high = share_interval(grouped[:, :-1], grouped[:, -1])
    kept = grouped[:, :-1].sum(0) / grouped[:, -1].sum()
    return KeptCurve(
        base, spec, sign, points, kept, low, high, evidence.tokens, int(use.sum()), not evidence.exact(base)
    )


def match(
    rollouts: Rollouts | Evidence, source: Objective, target_name: str, sign: int, knob: str | None = None
) -> Match:
    """The value of the target's knob at which it keeps as much of the gradient as `source` does.

    Args:
        knob: of the target; if not given, the first one declared that acts on this sign of A and reaches the share.
    """
    evidence = rollouts if isinstance(rollouts, Evidence) else Evidence(rollouts, sign)
    cls = _class(target_name)
    names = (knob,) if knob is not None else live_knobs(cls, sign)  # type: ignore[arg-type]  # a class is hashable
    none = Match(
        source,
        target_name,
        None,
        sign,
        np.nan,
        np.nan,
        np.nan,
        np.nan,
        evidence.tokens,
        len(evidence.rows),
        evidence.clusters,
    )
    if not len(evidence.rows):
        return _fail(none, f"no response token has A {'>' if sign > 0 else '<'} 0.")
    if evidence.largest_ratio <= _SAME:
        reason = (
            f"the two policies are the same here (largest |log r| = {evidence.largest_ratio:.1g}), "
            "so that every objective keeps everything."
        )
        return replace(_fail(none, reason), same_policies=True)
    if not names:
        return _fail(none, f"{cls.label} has no knob that acts on this sign of A.")
    results = []
    for name in names:
        results.append(_match(evidence, none, cls, _knob(cls, name)))
        if results[-1].found:
            return results[-1]
    return results[0]


def _match(evidence: Evidence, blank: Match, cls: type[Objective], spec: Knob) -> Match:
    use = evidence.narrowed([blank.source, cls()])
    total = evidence.total[use]
    source = evidence.amounts([blank.source])[use, 0]
    kept = float(source.sum() / total.sum())
    used = len(np.unique(evidence.cluster[use]))
    blank = replace(blank, knob=spec, kept=kept, sequences=int(use.sum()), clusters=used)
    lo, hi = spec.lo, spec.hi
    for last in (False, False, True):
        values = _spaced(spec, lo, hi, _SEARCH)
        amounts = evidence.amounts([cls.from_knobs({spec.name: value}) for value in values])[use]
        curve = amounts.sum(0) / total.sum()
        steps = np.diff(curve)
        if (steps > 1e-6).any() and (steps < -1e-6).any():
            return _fail(blank, f"the share that it keeps does not only rise or only fall with {spec.symbol}.")
        if (lo, hi) == (spec.lo, spec.hi) and (reason := _unreachable(cls, spec, values, curve, kept)):
            return _fail(blank, reason)
        scale = np.log(values) if _is_log(spec) else values
        value = _invert(scale, curve, kept)
        low, high = _interval(scale, value, _by_cluster(evidence, use, amounts - source[:, None]))
        if not last:  # look closer where the interval is
            first = max(0, int(np.searchsorted(scale, low)) - 2)
            stop = min(_SEARCH - 1, int(np.searchsorted(scale, high)) + 1)
            lo, hi = float(values[first]), float(values[stop])
    value = _closer(evidence, cls, spec, use, kept, values, scale, value)
    ends = (value, min(low, value), max(high, value))
    value, low, high = (float(np.exp(x)) if _is_log(spec) else float(x) for x in ends)
    target = cls.from_knobs({spec.name: value})
    decided_by, unit = min(_beyond_edge(evidence, objective, 1 - kept) for objective in (blank.source, target))
    dropped = total[:, None] - np.column_stack((source, evidence.amounts([target])[use, 0]))
    carried_by = _in_effect(_by_cluster(evidence, use, dropped))
    return replace(blank, value=value, low=low, high=high, carried_by=carried_by, decided_by=decided_by, unit=unit)


def _in_effect(dropped: np.ndarray) -> float:
    """How many equal clusters would leave as much to chance (Kish), for the column with the fewest. [C, 2] -> number"""
    square = (dropped**2).sum(0)
    counts = dropped.sum(0) ** 2 / np.where(square > 0, square, 1)
    return float(np.where(square > 0, counts, np.inf).min())


def _interval(scale: np.ndarray, value: float, apart: np.ndarray) -> tuple[float, float]:
    """Where, on both sides of the match, what the two keep stops to be compatible with equal shares.

    apart: what the target keeps beyond the source, by cluster, at each place of the scale. [C, V]
    """
    if len(apart) < 2:
        return float(scale[0]), float(scale[-1])
    place = int(np.clip(np.searchsorted(scale, value), 1, len(scale) - 1))
    part = (value - scale[place - 1]) / (scale[place] - scale[place - 1])
    here = (1 - part) * apart[:, place - 1] + part * apart[:, place]
    below, above = (float(end[0]) for end in critical_values((here - here.mean())[:, None]))
    found = statistic(apart)
    out = (found < below) | (found > above)
    left, right = np.flatnonzero(out[:place]), np.flatnonzero(out[place:])
    low = _edge(scale, found, int(left[-1]), 1, below, above) if len(left) else float(scale[0])
    high = _edge(scale, found, place + int(right[0]), -1, below, above) if len(right) else float(scale[-1])
    return low, high


def _edge(scale: np.ndarray, found: np.ndarray, outside: int, step: int, below: float, above: float) -> float:
    """Between a place outside and its neighbour inside, where the statistic crosses the critical value."""
    inside = outside + step
    want = below if found[outside] < below else above
    if not (np.isfinite(want) and np.isfinite(found[outside]) and found[inside] != found[outside]):
        return float(scale[outside])
    part = np.clip((want - found[outside]) / (found[inside] - found[outside]), 0, 1)
    return float(scale[outside] + part * (scale[inside] - scale[outside]))


def _by_cluster(evidence: Evidence, use: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sums of the used sequences' rows over the clusters that have any. [n, V] -> [C, V]"""
    present, label = np.unique(evidence.cluster[use], return_inverse=True)
    return cluster_sums(values, label, len(present))


def _closer(
    evidence: Evidence,
    cls: type[Objective],
    spec: Knob,
    use: np.ndarray,
    kept: float,
    values: np.ndarray,
    scale: np.ndarray,
    value: float,
) -> float:
    """The matched value, searched on between its neighbours: the share of a hard switch is a staircase."""
    total = evidence.total[use].sum()
    for _ in range(2):
        place = int(np.clip(np.searchsorted(scale, value), 1, len(scale) - 1))
        values = _spaced(spec, float(values[place - 1]), float(values[place]), 17)
        scale = np.log(values) if _is_log(spec) else values
        amounts = evidence.amounts([cls.from_knobs({spec.name: x}) for x in values])[use]
        value = _invert(scale, amounts.sum(0) / total, kept)
    return value


def _beyond_edge(evidence: Evidence, target: Objective, dropped: float) -> tuple[float, str]:
    """About how many tokens (sequences, for a gate on s) a hard switch shuts out; infinity for soft gates."""
    weight = weights_at(target, np.linspace(-2, 2, 201), evidence.sign)
    whole = target.ratio_level != "token"
    hard = bool(((weight < 1e-9) | (np.abs(weight - 1) < 1e-9)).all())
    count = len(evidence.rows) if whole else evidence.tokens
    return (dropped * count if hard else np.inf), "sequences" if whole else "tokens"


def share_text(share: float) -> str:
    """A share to three places, and one near 1 by what is missing: `all but 3.1e-06`."""
    if abs(1 - share) < 1e-9:
        return "all"
    return f"all but {1 - share:.2g}" if 0 < 1 - share < 1e-3 else f"{share:.3f}"


def _unreachable(cls: type[Objective], spec: Knob, values: np.ndarray, curve: np.ndarray, kept: float) -> str:
    """Why no value, or no single value, gives the share; empty if one does."""
    if np.ptp(curve) < 1e-9:
        return f"{spec.symbol} changes nothing here: {cls.label} keeps {share_text(curve[0])} at every value."
    low, high = float(curve.min()), float(curve.max())
    flat = values[np.abs(curve - kept) < 1e-9]
    if len(flat) > 1:  # an end of a clip: beyond the outermost ratio it does nothing
        span = f"from about {flat[0]:.3g} to {flat[-1]:.3g}"
        return f"it keeps the same ({share_text(kept)}) with every {spec.symbol} {span}."
    if not low <= kept <= high:
        return (
            f"the source keeps {share_text(kept)}, and {cls.label} between {low:.4g} and {high:.4g} with {spec.symbol} "
            f"from {spec.lo:g} to {spec.hi:g}."
        )
    return ""


def _invert(scale: np.ndarray, curve: np.ndarray, want: float) -> float:
    """Where a monotone curve takes a value; the nearer end where it does not."""
    if curve[0] > curve[-1]:
        return float(np.interp(want, curve[::-1], scale[::-1]))
    return float(np.interp(want, curve, scale))


def _class(name: str) -> type[Objective]:
    if name not in CATALOG:
        raise KnobError(f"there is no objective {name!r}; the catalogue has {', '.join(CATALOG)}.")
    return CATALOG[name]


def _knob(cls: type[Objective], name: str) -> Knob:
    knobs = cls.knobs()
    if name not in knobs:
        raise KnobError(f"{cls.label}: there is no knob {name!r}; it has {', '.join(knobs) or 'no knobs'}.")
    return knobs[name]


def _with(objective: Objective, knob: str, value: float) -> Objective:
    values = {name: getattr(objective, name) for name in objective.knobs()}
    return type(objective).from_knobs(values | {knob: float(value)})


def _is_log(spec: Knob) -> bool:
    """Whether values are spread over decades: where the span has more than one, and does not begin at 0."""
    return spec.lo > 0 and spec.hi > 10 * spec.lo


def _spaced(spec: Knob, lo: float, hi: float, count: int) -> np.ndarray:
    values = np.geomspace(lo, hi, count) if _is_log(spec) else np.linspace(lo, hi, count)
    return np.clip(values, lo, hi)  # geomspace may end a rounding beyond its end


def _setting(objective: Objective, sign: int) -> str:
    """`SAPO with τ₊ = 1`: the objective with the knobs that act on this sign."""
    acting = live_knobs(type(objective), sign)  # type: ignore[arg-type]  # a class is hashable
    knobs = objective.knobs()
    values = ", ".join(f"{knobs[name].symbol} = {getattr(objective, name):.3g}" for name in acting)
    return f"{objective.label} with {values}" if values else objective.label


def _fail(blank: Match, reason: str) -> Match:
    return replace(blank, reason_if_none=reason)
