"""vLLM: `RequestOutput`s of `LLM.generate` as JSON, their log-probs gathered as vLLM gathers them.

vLLM writes no file of them itself: the objects are its own, and `json.dumps(…, default=vars)` is how they are saved.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from scripts.format_writers.answers import GROUPS
from scripts.format_writers.source import Source

FRAMEWORK = "vLLM"
PACKAGE = "vllm"
FUNCTION = "vllm/outputs.py RequestOutput, CompletionOutput; vllm/logprobs.py append_logprobs_for_next_position"
_FAVOURITE = 99


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    gathered = source.take(
        "vllm/logprobs.py", "Logprob", "LogprobsOnePosition", "FlatLogprobs", "create_sample_logprobs",
        "append_logprobs_for_next_position",
    )  # fmt: skip
    made = source.take("vllm/outputs.py", "CompletionOutput", "RequestOutput")

    def completion(index: int, a: Any) -> Any:
        positions = gathered.create_sample_logprobs(False)
        for token, text, logprob in zip(a.ids, a.tokens, a.sampler, strict=True):
            gathered.append_logprobs_for_next_position(
                positions, [token, _FAVOURITE], [logprob, -0.0625], [text, " the"], 7, 1
            )
        return made.CompletionOutput(
            index, a.text, list(a.ids), sum(a.sampler), positions, finish_reason="stop", stop_reason=None
        )

    lines = []
    for number, group in enumerate(GROUPS):
        outputs = [completion(index, a) for index, a in enumerate(group)]
        first = group[0]
        done = made.RequestOutput(str(number), first.prompt, list(first.prompt_ids), None, outputs, True)
        lines.append(json.dumps(done, default=vars) + "\n")
    yield "vllm-outputs.jsonl", FUNCTION, "".join(lines).encode()
