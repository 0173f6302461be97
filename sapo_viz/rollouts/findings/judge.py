"""What is wrong with a run, in words: each finding with its number, the rule behind it and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sapo_viz.core.objective import Objective
from sapo_viz.rollouts.analysis.facts import Facts, gather
from sapo_viz.rollouts.findings import rules_data, rules_groups, rules_ratios, rules_sampler, rules_steps
from sapo_viz.rollouts.findings.rule import RULES, SEVERITIES, Finding, Rule
from sapo_viz.rollouts.schema import Rollouts


def findings(
    rollouts: Rollouts,
    objectives: Mapping[str, Objective] | None = None,
    facts: Facts | None = None,
    cap: int = 0,
) -> tuple[Finding, ...]:
    """What the rules say about a file, problems first, then in the order of the registry.

    Args:
        rollouts: the file; of texts only prompts and the tags of a tool's output are looked at.
        objectives: key -> objective that the run uses or that are compared; the rules about bands and gates ask
            these, and are silent without.
        facts: what `facts.gather` made of the file, where that was done already.
        cap: response tokens that an answer may have, where the run has told; else 0.
    """
    facts = replace(facts or gather(rollouts), objectives=dict(objectives or {}), cap=cap)
    out = []
    for one in all_rules().values():
        found = one.check(facts)
        if found is not None:
            assert found.severity in one.severities, f"rule {one.id!r} does not declare the severity {found.severity}"
            out.append(
                Finding(
                    id=one.id,
                    severity=found.severity,
                    title=found.title or one.title,
                    value=float(found.value),
                    number=found.number,
                    rule=one.threshold,
                    remedy=found.remedy or one.remedy,
                    where=found.where,
                )
            )
    return tuple(sorted(out, key=lambda finding: list(SEVERITIES).index(finding.severity)))


def all_rules() -> dict[str, Rule]:
    """The registry, filled and in order: data, groups, sampler, ratios, steps, whichever module was imported first."""
    order = [module.__name__ for module in (rules_data, rules_groups, rules_sampler, rules_ratios, rules_steps)]
    own = [one for name in order for one in RULES.values() if one.check.__module__ == name]
    added = [one for one in RULES.values() if one.check.__module__ not in order]  # by the user of the package
    return {one.id: one for one in own + added}
