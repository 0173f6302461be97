"""What a task needs of the policy that a run starts from, said before it starts; nothing is loaded.

A run that cannot begin is refused. One that can, but whose reward would stay at 0, as a language model's on a task with
a form of its own, is warned of: it would go on for hours without an error.
"""

from __future__ import annotations

from pathlib import Path

from sapo_viz.errors import ModelError, RunError
from sapo_viz.models.chat import lacks_template, no_template
from sapo_viz.models.shape import shape_of
from sapo_viz.models.source import BUNDLED, admit, check_reads_text, local_folder, looks_at_grids
from sapo_viz.models.tasks import ADDITION, TASKS, Task
from sapo_viz.runs.config import RunConfig


def check_start(config: RunConfig, root: Path | None) -> str:
    """What would keep the reward at 0, in one sentence; empty where nothing is known that would.

    Args:
        root: whose folders may be read, as in `models.source.locate`. The Hub is not asked.

    Raises:
        ModelError: the policy is not here and has not the form of a Hub id, may not be read, looks at images, or lacks
            the chat template that is asked for.
        RunError: the task is one of texts, and the policy reads none; or one of pictures, and it looks at none.
    """
    name, task = config.policy, TASKS.get(config.task)
    if name == "auto":
        if task is None:
            raise no_policy(config.task)
        return ""
    admit(name, root)
    folder = local_folder(name, root)
    looks = folder is not None and looks_at_grids(folder)
    if folder and not looks:
        check_reads_text(name, folder)
    if looks != bool(task and task.pictured):
        raise _other_eyes(name, config.task)
    words = _vocabulary(name, root)
    if task is None:
        if config.task == "mood" and words is not None and words <= len(ADDITION.vocabulary):
            raise RunError(
                f"policy is {name!r}, which knows {words} symbols and no words; the task {config.task} takes a "
                "language model: a folder in Hugging Face format or a Hub id."
            )
        if config.chat == "on" and folder and lacks_template(folder):
            raise no_template(name)
        return ""
    if name in BUNDLED:
        return "" if _made_for(name, task) else _other_task(name, task)
    if words is not None and words <= max(len(task.vocabulary), len(ADDITION.vocabulary)):
        return ""
    return _foreign(name, words, task)


def no_policy(task: str) -> RunError:
    return RunError(
        f"policy is 'auto', and the task {task} has no policy of its own; name a language model: a folder in Hugging "
        "Face format or a Hub id, such as HuggingFaceTB/SmolLM2-135M-Instruct."
    )


def _other_eyes(name: str, task: str) -> RunError:
    if task in TASKS and TASKS[task].pictured:
        start = TASKS[task].start
        return RunError(
            f"policy is {name!r}, which looks at no pictures, and the task {task} has one in each prompt; it takes "
            f"auto, which is {start}, or run:<id> of a run that began with it."
        )
    return RunError(f"policy is {name!r}, which looks at pictures, and the task {task} has none; take the task grid.")


def _vocabulary(name: str, root: Path | None) -> int | None:
    """How many tokens the model knows; None where that is not on this machine."""
    folder = local_folder(name, root)
    try:
        return None if folder is None else shape_of(folder).vocabulary
    except ModelError:
        return None  # an adapter, or damaged: the run will say which


def _made_for(name: str, task: Task) -> bool:
    """Bundled policies are named after the task that they were warmed up on; synonyms are addition, spelled anew."""
    return name.split("-")[0] == task.start.split("-")[0]


def _other_task(name: str, task: Task) -> str:
    return (
        f"{name} never saw the task {task.name} and is right in 0 of 128 tries there, so the reward would stay at 0: "
        f"take auto, which is {task.start}."
    )


def _foreign(name: str, words: int | None, task: Task) -> str:
    knows = f"has {words:,} tokens" if words is not None else "is a language model"
    return (
        f"{name} {knows}; the task {task.name} rewards only answers in a form of its own ({_example(task)}), which no "
        "model writes that was not trained on it, so the reward would stay at 0: take the policy auto, or the task "
        "questions or mood."
    )


def _example(task: Task) -> str:
    """The end of an answer: what the reward looks at."""
    return {"chain": "…;47$", "grid": "…;4$"}.get(task.name, "…;1258$")
