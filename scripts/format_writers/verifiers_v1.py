"""verifiers since its version 1: `write_episode` on episodes with one trace, as evaluations save them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.format_writers.prime_rl_traces import episodes
from scripts.format_writers.source import Source

FRAMEWORK = "verifiers v1"
PACKAGE = "verifiers"
FUNCTION = "verifiers/v1/utils/trace_store.py write_episode"


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    with source.importable():
        from verifiers.v1.utils.trace_store import write_episode

        yield "verifiers-v1-traces.jsonl", FUNCTION, _save(write_episode, tokens=True)
        yield "verifiers-v1-texts-traces.jsonl", FUNCTION, _save(write_episode, tokens=False)


def _save(write_episode: Any, *, tokens: bool) -> bytes:
    """With the tokens that a server for training gives; a hosted model's answer has texts alone."""
    with tempfile.TemporaryDirectory() as folder:
        for episode in episodes(tokens=tokens, run=False):
            write_episode(Path(folder), episode)
        return Path(folder, "traces.jsonl").read_bytes()
