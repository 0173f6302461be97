"""A run's settings as a folder for another framework: which there are, and all of its files."""

from __future__ import annotations

import io
import json
import zipfile

from sapo_viz import __version__
from sapo_viz.core.objective import CATALOG
from sapo_viz.errors import RunError
from sapo_viz.models.tasks import TASKS
from sapo_viz.rollouts.table import TextTable
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.exports.areal import AREAL
from sapo_viz.runs.exports.data import rows_of
from sapo_viz.runs.exports.mapping import ExportRow, Framework, translated
from sapo_viz.runs.exports.ms_swift import MS_SWIFT
from sapo_viz.runs.exports.reward import reward_file
from sapo_viz.runs.exports.skyrl import SKYRL
from sapo_viz.runs.exports.trl import TRL
from sapo_viz.runs.exports.verl import VERL

FRAMEWORKS: dict[str, Framework] = {each.key: each for each in (TRL, VERL, MS_SWIFT, SKYRL, AREAL)}


def frameworks_for(config: RunConfig) -> list[Framework]:
    """Those that have the objective's loss; none where prompts have pictures."""
    return [] if _pictured(config) else [each for each in FRAMEWORKS.values() if each.has(config.objective)]


def _pictured(config: RunConfig) -> bool:
    return config.task in TASKS and TASKS[config.task].pictured


def export(config: RunConfig, to: str, table: TextTable | None = None) -> dict[str, str]:
    """File name -> text: the framework's own files, reward.py, train.jsonl and, if the run validates, held_out.jsonl.

    Args:
        to: a key of `FRAMEWORKS`.
        table: the questions of the task "questions".

    Raises:
        RunError: there is no such framework, it lacks the objective, or prompts or questions cannot be used.
    """
    framework = FRAMEWORKS.get(to)
    if framework is None:
        raise RunError(f"there is no export to {to!r}; it takes {', '.join(FRAMEWORKS)}.")
    if _pictured(config):
        raise RunError(
            f"the task {config.task} has a picture in each prompt, and an export carries texts alone; take another "
            "task."
        )
    try:
        translation = translated(config, framework)
    except RunError as error:
        others = ", ".join(each.key for each in frameworks_for(config)) or "none of them"
        raise RunError(f"{error} Frameworks that have it: {others}.") from None
    train, held_out = rows_of(config, table)
    files = framework.files(translation, config, _head(config, framework, translation.notes))
    files["reward.py"] = reward_file(config, end=framework.decodes_end) + framework.reward_end
    files["train.jsonl"] = _jsonl(train, framework)
    if held_out:
        files["held_out.jsonl"] = _jsonl(held_out, framework)
    return files


def packed(files: dict[str, str], folder: str) -> bytes:
    """The files as a ZIP with one folder in it; equal files give equal bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(f"{folder}/{name}"), text, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _head(config: RunConfig, framework: Framework, said: tuple[str, ...]) -> str:
    """What the first file begins with, as plain lines."""
    title = "".join(sign for sign in config.title if sign.isprintable())
    lines = [
        f"{CATALOG[config.objective].label}: settings of the run {title!r}, for {framework.name} {framework.version}.",
        "",
        f"    {framework.start}",
        "",
        "Written by SAPO Viz "
        + __version__
        + ". MODEL in the environment names another starting policy. Not as in the run:",
        "",
        *(f"- {note}" for note in said),
    ]
    return "\n".join(lines)


def _jsonl(rows: list[ExportRow], framework: Framework) -> str:
    return "".join(json.dumps(framework.row(row), ensure_ascii=False) + "\n" for row in rows)
