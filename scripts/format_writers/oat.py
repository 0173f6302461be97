"""oat: the results that `LearnerBase.evaluate` saves."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scripts.format_writers.answers import ANSWERS, STEP
from scripts.format_writers.source import Source

FRAMEWORK = "oat"
FUNCTION = "oat/learners/base.py LearnerBase.evaluate"


class _Strategy:
    """One rank."""

    print = broadcast = staticmethod(lambda value: value)

    def is_rank_0(self) -> bool:
        return True

    def get_rank(self) -> int:
        return 0


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    import numpy as np

    quiet = SimpleNamespace(barrier=lambda *_, **__: None)
    mapped = SimpleNamespace(map_structure=lambda run, values: [run(value) for value in values])
    taken = source.take(FUNCTION.split()[0], FUNCTION.split()[1], dist=quiet, tree=mapped, tqdm=_Bar)
    scores = np.array([a.reward for a in ANSWERS])
    answered = SimpleNamespace(result=lambda: ([a.text for a in ANSWERS], scores))
    with tempfile.TemporaryDirectory() as folder:
        learner = taken.LearnerBase()
        learner.strategy, learner.pi_beta_lags_behind, learner.save_path = _Strategy(), False, folder
        learner._pre_evaluate = learner._post_evaluate = lambda: None
        learner._same_actor_group, learner.eval_input_key = None, "problem"
        learner.args = SimpleNamespace(wb_run_name="made-up")
        learner.tokenizer = SimpleNamespace(encode=list)
        learner.actors = [SimpleNamespace(futures=SimpleNamespace(generate_and_maybe_eval=lambda *_: answered))]
        prompts = [a.prompt for a in ANSWERS]
        learner.evaluate([([f"User: {prompt}" for prompt in prompts], prompts, ["4", "4", "7", "7"])], STEP)
        yield "oat-eval-5.json", FUNCTION, Path(folder, "eval_results", f"{STEP}.json").read_bytes()


class _Bar:
    """`tqdm`, which draws nothing here."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def update(self) -> None: ...
