"""Weights & Biases: the table of completions that TRL logs, as `Table._to_table_json` makes it a file."""

from __future__ import annotations

import json
from collections.abc import Iterator

from scripts.format_writers.answers import ANSWERS, STEP
from scripts.format_writers.source import Source

FRAMEWORK = "Weights & Biases"
PACKAGE = "wandb"
FUNCTION = "wandb/sdk/data_types/table.py Table._to_table_json"


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    with source.importable():
        from wandb import Table

        columns = ["step", "prompt", "completion", "accuracy", "advantage"]
        data = [[STEP, a.prompt, a.text, a.reward, a.advantage] for a in ANSWERS]
        yield (
            "wandb-completions.table.json",
            FUNCTION,
            json.dumps(Table(columns=columns, data=data)._to_table_json()).encode(),
        )
