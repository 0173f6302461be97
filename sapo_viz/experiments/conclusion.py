"""One sentence about an experiment, made from its numbers alone: it knows no paper, no design and no hope.

It says how far the runs have come, if not all are done; how many collapsed; what the switches changed, if any are
thrown; and which differences are larger than seed noise. Every branch has a test on made-up numbers.
"""

from __future__ import annotations

from collections.abc import Callable

from sapo_viz.experiments.analysis import FEWEST, ArmResult, Difference, Result

_CHANCE = 0.02  # of Fisher's test at one look; over all looks from 3 to 24 seeds 4 % at most (simulated)


def conclusion(result: Result, words: Callable[[str], str] = str) -> str:
    """The sentence. `words` translates its templates."""
    failed = len(result.failed)
    if not result.done:
        text = words("Nothing is measured yet: 0 of {wanted} runs are done{failed}.")
        return text.format(wanted=result.wanted, failed=_failed(failed, words))
    if result.n < FEWEST:
        text = words("Too few seeds to tell a difference from seed noise: {n} of each are done, and it takes {fewest}")
        clauses = [text.format(n=result.n, fewest=FEWEST) + _failed(failed, words)]
        if any(arm.collapsed for arm in result.arms):
            clauses.append(_collapses(result, words))
        return _joined(clauses)
    clauses = []
    if result.done < result.wanted:
        text = words("So far, {done} of {wanted} runs{failed}")
        clauses.append(text.format(done=result.done, wanted=result.wanted, failed=_failed(failed, words)))
    if any(arm.collapsed for arm in result.arms):
        clauses.append(_collapses(result, words))
    return _joined([*clauses, *_changes(result, words), *_differences(result, words), *_costs(result, words)])


def verdict_in_brief(result: Result, words: Callable[[str], str] = str) -> str:
    """The same in about ten words, for a list of questions: the collapses, or the largest difference."""
    if result.n < FEWEST:
        return words("Too few seeds to tell.")
    parted = [d for d in result.differences if result.arm(d.first).collapsed != result.arm(d.second).collapsed]
    if all(arm.collapsed == arm.n for arm in result.arms):
        return words("Every run collapses.")
    if parted and any(d.counts_p <= _CHANCE or d.clear for d in parted):
        worst, *others = _most_first(result)
        counts = words("{worst} collapses in {k} of {n}").format(worst=worst.label, k=worst.collapsed, n=worst.n)
        spared = [arm.label for arm in result.arms if not arm.collapsed]
        if spared:
            return words("{counts}, {arms} in none.").format(counts=counts, arms=words(" and ").join(spared))
        return words("{counts}, {arm} in {j}.").format(counts=counts, arm=others[-1].label, j=others[-1].collapsed)
    clear = sorted((d for d in result.differences if d.clear), key=lambda d: -abs(d.mean or 0.0))
    if not clear:
        return words("No difference beyond seed noise.")
    first, second = result.arm(clear[0].first).label, result.arm(clear[0].second).label
    if (clear[0].mean or 0.0) < 0:
        first, second = second, first
    text = words("{first} ends {by} above {second}.")
    return text.format(first=first, by=_rounded(abs(clear[0].mean or 0.0)), second=second)


def _failed(number: int, words: Callable[[str], str]) -> str:
    if not number:
        return ""
    return words(" (1 failed and is left out)") if number == 1 else words(" ({n} failed and are left out)").format(
        n=number
    )  # fmt: skip


def _collapses(result: Result, words: Callable[[str], str]) -> str:
    counts = [words("{arm} in {k} of {n}").format(arm=a.label, k=a.collapsed, n=a.n) for a in _most_first(result)]
    if all(arm.collapsed == arm.n for arm in result.arms):
        return words("every run collapsed")
    text = words("collapsed: {counts}").format(counts=", ".join(counts))
    parted = [d for d in result.differences if result.arm(d.first).collapsed != result.arm(d.second).collapsed]
    if result.n >= FEWEST and parted and all(d.counts_p > _CHANCE and not d.clear for d in parted):
        text += words(", a split that chance alone could give")
    return text


def _most_first(result: Result) -> list[ArmResult]:
    return sorted(result.arms, key=lambda arm: -arm.collapsed / max(arm.n, 1))


def _changes(result: Result, words: Callable[[str], str]) -> list[str]:
    """What the switches made of the arms that they change, each against itself."""
    told = [(arm, arm.change) for arm in result.arms if arm.change and arm.change.interval]
    clear = sorted(((arm, d) for arm, d in told if d.clear), key=lambda pair: -abs(pair[1].mean or 0.0))
    unclear = [(arm, d) for arm, d in told if not d.clear]
    clauses = [_gain(arm, d, words) for arm, d in clear]
    if not unclear:
        return clauses
    numbers = dict(n=min(d.n for _, d in unclear), widest=_rounded(_widest([d for _, d in unclear])))
    if clear:
        arms = ", ".join(arm.label for arm, _ in unclear)
        text = words("for {arms} the change is within seed noise (n = {n}; one of up to {widest} could hide)")
        return [*clauses, text.format(arms=arms, **numbers)]
    text = words("the change makes no difference beyond seed noise (n = {n}; one of up to {widest} could hide)")
    return [text.format(**numbers)]


def _gain(arm: ArmResult, d: Difference, words: Callable[[str], str]) -> str:
    assert d.mean is not None and d.interval is not None
    low, high = d.interval
    text = words("{arm} gains {by} by the change (95 % interval {low} to {high}, n = {n})")
    if d.mean < 0:
        low, high = -high, -low
        text = words("{arm} loses {by} by the change (95 % interval {low} to {high}, n = {n})")
    return text.format(arm=arm.label, by=_rounded(abs(d.mean)), low=_rounded(low), high=_rounded(high), n=d.n)


def _widest(differences: list[Difference]) -> float:
    return max(abs(end) for d in differences for end in d.interval or (0.0,))


def _differences(result: Result, words: Callable[[str], str]) -> list[str]:
    clear = sorted((d for d in result.differences if d.clear), key=lambda d: -abs(d.mean or 0.0))
    unclear = [d for d in result.differences if not d.clear]
    clauses = [_clear(result, d, words) for d in clear]
    if not unclear:
        return clauses
    widest = _widest(unclear)
    n = min(d.n for d in unclear)
    if clear:
        pairs = ", ".join(_pair(result, d, words) for d in unclear)
        text = words("no difference beyond seed noise between {pairs} (n = {n}; one of up to {widest} could hide)")
        return [*clauses, text.format(pairs=pairs, n=n, widest=_rounded(widest))]
    text = words("no difference in reward beyond seed noise (n = {n}; one of up to {widest} could hide)")
    return [text.format(n=n, widest=_rounded(widest))]


def _costs(result: Result, words: Callable[[str], str]) -> list[str]:
    """Who has gone further from the start for its reward, where that is larger than seed noise."""
    clauses = []
    for d in result.costs:
        if not d.clear:
            continue
        first, second, by, low, high = _upper_first(result, d)
        text = words("{first} ends {by} nats a token further from the start than {second} (95 % interval {low} to "
                     "{high}, n = {n})")  # fmt: skip
        clauses.append(text.format(first=first, second=second, by=by, low=low, high=high, n=d.n))
    return clauses


def _clear(result: Result, d: Difference, words: Callable[[str], str]) -> str:
    first, second, by, low, high = _upper_first(result, d)
    text = words("{first} ends {by} above {second} (95 % interval {low} to {high}, n = {n})")
    return text.format(first=first, second=second, by=by, low=low, high=high, n=d.n)


def _upper_first(result: Result, d: Difference) -> tuple[str, str, str, str, str]:
    """Labels of the larger and the smaller, by how much, and the interval."""
    assert d.mean is not None and d.interval is not None
    first, second = result.arm(d.first).label, result.arm(d.second).label
    low, high = d.interval
    if d.mean < 0:
        first, second, low, high = second, first, -high, -low
    return first, second, _rounded(abs(d.mean)), _rounded(low), _rounded(high)


def _pair(result: Result, d: Difference, words: Callable[[str], str]) -> str:
    return words("{first} and {second}").format(first=result.arm(d.first).label, second=result.arm(d.second).label)


def _rounded(number: float) -> str:
    """Two decimals, or three where two would say nothing."""
    return f"{number:.2f}" if abs(number) >= 0.05 else f"{number:.3f}"


def _joined(clauses: list[str]) -> str:
    text = "; ".join(clauses)
    first = text[0].upper() if text[0].isascii() else text[0]  # τ₋ is a symbol, not a word
    return first + text[1:] + "."
