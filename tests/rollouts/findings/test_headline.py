"""A file in two lines: what is wrong, what each objective keeps, the matching τ; made from numbers alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sapo_viz import CATALOG, analyse, findings, match, read_rollouts
from sapo_viz.paths import ASSETS
from sapo_viz.rollouts.findings.headline import gentle, headline, kept, state
from sapo_viz.rollouts.findings.rule import Finding

OBJECTIVES = {name: CATALOG[name]() for name in ("sapo", "grpo", "gspo")}
ROLLOUTS = read_rollouts(ASSETS / "samples" / "addition-step12.jsonl")


def finding(severity: str, title: str, number: str = "7 of 9; more of it") -> Finding:
    return Finding("id", severity, title, 1.0, number, "rule", "remedy", ())  # type: ignore[arg-type]


def test_two_findings_at_most_are_said_and_the_others_counted() -> None:
    found = (
        finding("problem", "GRPO's band is off"),
        finding("warning", "Answers are cut"),
        finding("warning", "More"),
    )
    assert state(found) == "1 problem, 2 warnings: GRPO's band is off (7 of 9); answers are cut (7 of 9); 1 more."


def test_a_file_with_notes_alone_is_healthy() -> None:
    assert state(()) == "Healthy as far as this file tells."
    assert state((finding("note", "Copies"),)) == "Healthy as far as this file tells; 1 note: copies."
    notes = tuple(finding("note", title) for title in ("Copies", "The ratio is 1 everywhere", "GRPO's", "More"))
    assert state(notes) == "Healthy as far as this file tells; 4 notes: copies; the ratio is 1 everywhere; 2 more."


def test_a_clip_cuts_and_a_soft_gate_keeps() -> None:
    analysis = analyse(ROLLOUTS, OBJECTIVES)
    cut = {name: analysis.share(name).clip_fraction for name in ("gspo", "grpo")}
    assert kept(analysis) == (
        f"Here GSPO cuts {100 * cut['gspo']:.0f} % of the tokens, GRPO {100 * cut['grpo']:.1f} %, "
        f"SAPO keeps {100 * analysis.share('sapo').kept:.2f} % of the gradient"
    )


def test_the_matching_tau_is_the_one_that_match_finds() -> None:
    matches = [match(ROLLOUTS, OBJECTIVES["grpo"], "sapo", sign) for sign in (1, -1)]
    assert [one.found for one in matches] == [False, True]
    assert gentle(matches) == f"as gentle as ε = 0.2 would be τ₋ = {matches[1].value:.3g}"
    assert gentle(matches[:1]) == ""


def test_the_whole_line_is_sentences() -> None:
    analysis = analyse(ROLLOUTS, OBJECTIVES)
    matches = [match(ROLLOUTS, OBJECTIVES["grpo"], "sapo", sign) for sign in (1, -1)]
    line = headline(findings(ROLLOUTS, OBJECTIVES), analysis, matches)
    assert line.startswith("1 warning: GSPO's band is too narrow for these s_i (GSPO shuts out 97 % of 32 sequences ")
    assert line.endswith(f"{kept(analysis)}; {gentle(matches)}.")


def test_where_nothing_moved_everything_is_kept_and_no_tau_is_named() -> None:
    still = replace(ROLLOUTS, logprobs=np.array(ROLLOUTS.old_logprobs))
    analysis = analyse(still, OBJECTIVES)
    matches = [match(still, OBJECTIVES["grpo"], "sapo", sign) for sign in (1, -1)]
    assert kept(analysis) == "Here SAPO keeps 100 % of the gradient, GRPO 100 %, GSPO 100 %"
    assert gentle(matches) == ""


@pytest.mark.parametrize(("share", "said"), [(0.19, "19 %"), (0.003, "0.3 %"), (0.9998, "99.98 %"), (1.0, "100 %")])
def test_a_share_near_all_or_nothing_is_not_rounded_to_it(share: float, said: str) -> None:
    from sapo_viz.rollouts.findings.headline import _percent

    assert _percent(share) == said
