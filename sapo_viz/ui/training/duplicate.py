"""Duplicate with changes: a link that opens the form with a run's settings, and the run itself drawn beside it."""

from __future__ import annotations

from urllib.parse import urlencode

from sapo_viz.core.objective import CATALOG
from sapo_viz.runs.config import SETTINGS, RunConfig
from sapo_viz.runs.questions.kept import file_name


def form_link(config: RunConfig, run_id: str) -> str:
    """`train?objectives=sapo&lr=0.001&sapo.tau_neg=1.2&runs=…`, as the form keeps itself in the address.

    What is at its default is left out, and the label, which is the run's own.
    """
    knobs = CATALOG[config.objective].knobs()
    wanted = {"objectives": config.objective}
    for name, spec in SETTINGS.items():
        value = getattr(config, name)
        if value != spec.default and name != "label":
            wanted[name] = f"{value:.6g}" if isinstance(value, float) else str(value)
    if config.data:
        wanted["data"] = file_name(config.data)  # of the data folder; an upload is to be given again
    for name, number in config.knobs.items():
        if number != knobs[name].default:
            wanted[f"{config.objective}.{name}"] = f"{number:.6g}"
    return f"train?{urlencode(wanted | {'runs': run_id})}"
