"""reward.py of an export: what the run rewards, in a file that needs nothing of this app."""

from __future__ import annotations

import inspect

from sapo_viz.errors import RunError
from sapo_viz.models import tasks
from sapo_viz.runs.config import RunConfig
from sapo_viz.runs.questions import terms
from sapo_viz.runs.questions.exercise import reward_line
from sapo_viz.runs.questions.rewards import parse_reward

_IMPORT = "from sapo_viz.errors import RunError\n"
_OWN_ERROR = "\nclass RunError(ValueError):\n    pass\n"


def reward_file(config: RunConfig, end: bool) -> str:
    """Python with `reward(prompt, completion, answer, row)`, by the code that the run itself uses.

    `end`: whether completions come with the symbol that ends them, as the built-in tasks want it.
    """
    if config.task in tasks.TASKS:
        return f"{inspect.getsource(tasks)}{(_TOY if end else _TOY_WITHOUT_END).format(task=config.task)}"
    if config.reward.endswith(".py"):
        return _OWNERS
    reward = parse_reward(reward_line(config))
    if any(part.name == "gym" for part in reward.parts):
        raise RunError("reward gym asks reasoning-gym for each score, which no export carries; take another reward.")
    parts = "".join(f"    {part!r},\n" for part in reward.parts)
    source = inspect.getsource(terms)
    assert source.count(_IMPORT) == 1
    return f"{source.replace(_IMPORT, _OWN_ERROR)}{_TERMS.format(parts=parts)}"


_TOY = '''

def reward(prompt, completion, answer="", row=None):
    """What a completion earns."""
    return TASKS["{task}"].reward(prompt, completion)
'''
_TOY_WITHOUT_END = '''

def reward(prompt, completion, answer="", row=None):
    """What a completion earns; it comes without the symbol that ends it."""
    task = TASKS["{task}"]
    return task.reward(prompt, completion.removesuffix(task.end) + task.end)
'''
_TERMS = '''

PARTS = (
{parts})


def reward(prompt, completion, answer="", row=None):
    """What a completion earns."""
    return sum(part.weight * earned(part, completion, answer) for part in PARTS)
'''
_OWNERS = '''"""The run's reward is a Python file, which is not copied: put it beside this one as owners_reward.py."""

from owners_reward import reward as owners_reward


def reward(prompt, completion, answer="", row=None):
    """What a completion earns; None: nothing, and it does not count."""
    return owners_reward(prompt, completion, row or {})
'''
