"""NeMo Gym: a rollout with a tool by `TokenCaptureStore.append`, and rollout rows of its response types."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.format_writers.answers import ANSWERS
from scripts.format_writers.source import Source

FRAMEWORK = "NeMo Gym"
_CAPTURE = "nemo_gym/token_id_capture/store.py TokenCaptureStore.append"
_ROLLOUTS = "nemo_gym/openai_utils.py NeMoGymResponseOutputMessageForTraining.model_dump"


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    yield "nemo-gym-rollout.tokens.jsonl", _CAPTURE, _capture(source)
    yield "nemo-gym-rollouts.jsonl", _ROLLOUTS, _rollouts(source)


def _capture(source: Source) -> bytes:
    """One rollout of two calls: the second prompt goes on from the first answer with a tool's tokens 91, 92."""
    records = source.take("nemo_gym/token_id_capture/records.py", "TokenEntry", "TOKEN_ENTRY_RECORD_SCHEMA_VERSION")
    taken = source.take("nemo_gym/token_id_capture/store.py", "TokenCaptureStore", "validate_rollout_id")
    first, second = ANSWERS[:2]
    asked = [*first.prompt_ids, *first.ids, 91, 92]
    with tempfile.TemporaryDirectory() as folder:
        store = taken.TokenCaptureStore(folder)
        for name, prompt, a in (("call-1", list(first.prompt_ids), first), ("call-2", asked, second)):
            fields = {"prompt_token_ids": prompt, "generation_token_ids": a.ids, "generation_log_probs": a.sampler}
            store.append(records.TokenEntry(rollout_id="rollout", model_call_id=name, **fields))
        return Path(folder, "rollout.tokens.jsonl").read_bytes()


def _rollouts(source: Source) -> bytes:
    import orjson

    taken = source.take(
        "nemo_gym/openai_utils.py",
        "NeMoGymResponseOutputMessageForTraining",
        "NeMoGymResponseOutputMessage",
        "NeMoGymResponseOutputText",
        "NeMoGymResponseOutputRefusal",
        "NeMoGymContent",
        "TokenIDLogProbMixin",
        "RoutedExperts",
    )
    lines = []
    for index, a in enumerate(ANSWERS):
        said = taken.NeMoGymResponseOutputMessageForTraining(
            id="msg",
            content=[{"type": "output_text", "text": a.text, "annotations": []}],
            prompt_token_ids=list(a.prompt_ids),
            generation_token_ids=list(a.ids),
            generation_log_probs=list(a.sampler),
        )
        result: dict[str, Any] = {
            "responses_create_params": {"input": [{"role": "user", "content": a.prompt, "type": "message"}]},
            "response": {"id": "resp", "object": "response", "output": [said.model_dump()]},
            "reward": a.reward,
            "_ng_task_index": index // 2,
            "_ng_rollout_index": index % 2,
        }
        lines.append(orjson.dumps(result) + b"\n")
    return b"".join(lines)
