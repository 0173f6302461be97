"""One small training run in a process of its own: python run_one.py FOLDER|none WEIGHTS [name=value …]

Starts under torchrun as one of several ranks too. Prints the last weights' file; `die=K` kills the process in step K.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import small  # noqa: E402
import torch  # noqa: E402

from sapo_recorder import record  # noqa: E402


def main(folder: str, weights: str, settings: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    die, largest = settings.pop("die", 0), settings.pop("largest_file", 0)
    recording = {name: settings.pop(name) for name in ("every", "sequences") if name in settings}
    with tempfile.TemporaryDirectory() as out:
        trainer = small.trainer(Path(out), **settings)
        if folder != "none":
            record(trainer, folder, **recording)
        if die:
            losses = iter(range(1, 1000))
            original = trainer._compute_loss

            def dying(*args: Any) -> Any:
                if next(losses) == die:
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(*args)

            trainer._compute_loss = dying
        if largest:  # every file that grows beyond it is refused, as on a full disk
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
        trainer.train()
        if largest:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        if trainer.accelerator.is_main_process:
            torch.save({name: value.clone() for name, value in trainer.model.state_dict().items()}, weights)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], {name: json.loads(value) for name, value in (a.split("=", 1) for a in sys.argv[3:])})
