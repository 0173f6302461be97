"""Everything there is to translate: `python -m scripts.extract_words` (`make words`) writes assets/locale/sapo_viz.pot.

Two sources: literals in `_("…")`, read from the code, and the declarations that the interface shows through `declared`:
knobs, settings, metrics, objectives, experiments, rules. Sorted, without line numbers, so that a difference is a
difference of words.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator

from sapo_viz import CATALOG
from sapo_viz.core.metrics import METRICS
from sapo_viz.experiments.collapse import RULE
from sapo_viz.experiments.presets import PRESETS, SAME_CLIP
from sapo_viz.figures.curves import QUANTITIES
from sapo_viz.paths import ASSETS, PACKAGE, PAGES
from sapo_viz.printed.reference import LEVELS
from sapo_viz.rollouts.findings.judge import all_rules
from sapo_viz.rollouts.findings.rule import SEVERITIES
from sapo_viz.runs.config import SETTINGS
from sapo_viz.runs.metrics import RUN_METRICS

TEMPLATE = ASSETS / "locale" / "sapo_viz.pot"
_HEADER = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n'


def literals() -> Iterator[str]:
    """The argument of every `_("…")` in the package and its pages."""
    for path in [*PACKAGE.rglob("*.py"), *PAGES.glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                (text,) = node.args
                assert isinstance(text, ast.Constant), f"{path.name}, line {node.lineno}: `_` takes a literal"
                yield str(text.value)


def declarations() -> Iterator[str]:
    """What the interface shows of things that are declared in layers below it."""
    for cls in CATALOG.values():
        yield cls.idea
        yield from (knob.help for knob in cls.knobs().values())
    for setting in SETTINGS.values():
        yield from (setting.label, setting.help)
    for metric in (*METRICS.values(), *RUN_METRICS.values()):
        yield from (metric.label, metric.formula, metric.healthy)
    for preset in PRESETS.values():
        yield from (preset.title, preset.question, preset.conditions, preset.paper)
        yield from (preset.reason, preset.designed, preset.built, preset.fetch)
        for switch in preset.switches:
            yield from (switch.label, switch.help)
    yield from (SAME_CLIP.title, SAME_CLIP.text, RULE.sentence)
    yield from (rule.title for rule in all_rules().values())
    yield from (*LEVELS.values(), *QUANTITIES.values(), *SEVERITIES.values())


def template() -> str:
    """The whole of sapo_viz.pot."""
    words = sorted({*literals(), *declarations()} - {""})
    entries = (f'msgid {json.dumps(text, ensure_ascii=False)}\nmsgstr ""\n' for text in words)
    return "\n".join([_HEADER, *entries])


if __name__ == "__main__":
    TEMPLATE.parent.mkdir(parents=True, exist_ok=True)
    TEMPLATE.write_text(template(), encoding="utf-8")
