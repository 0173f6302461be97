"""vLLM: responses of `request_output_to_completion_response`, their log-probs gathered as vLLM gathers them.

A prompt is scored: each position has the token's own entry, then the model's favourite.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from scripts.format_writers.answers import ANSWERS, Answer
from scripts.format_writers.source import Source

FRAMEWORK = "vLLM"
_SERVING = "vllm/entrypoints/openai/completion/serving.py OpenAIServingCompletion.request_output_to_completion_response"
FUNCTION = f"{_SERVING}; vllm/logprobs.py append_logprobs_for_next_position"
_FAVOURITE = 99


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    gathered = source.take(
        "vllm/logprobs.py",
        "Logprob",
        "LogprobsOnePosition",
        "FlatLogprobs",
        "create_prompt_logprobs",
        "append_logprobs_for_next_position",
    )
    respond = _server(source, gathered)
    lines = [respond(f"cmpl-{number}", a, _scored(gathered, a)) + "\n" for number, a in enumerate(ANSWERS)]
    yield "vllm-prompt_logprobs.jsonl", FUNCTION, "".join(lines).encode()


def _scored(gathered: Any, a: Answer) -> Any:
    """One favourite a position: where that is another token there are two entries."""
    positions = gathered.create_prompt_logprobs(False)
    for token, text, logprob in zip(a.ids, a.tokens, a.sampler, strict=True):
        own = logprob > -0.5  # the model's favourite itself
        favourite = (token, text, logprob) if own else (_FAVOURITE, " the", -0.0625)
        gathered.append_logprobs_for_next_position(
            positions, [token, favourite[0]], [logprob, favourite[2]], [text, favourite[1]], 1 if own else 7, 1
        )
    return positions


def _server(source: Source, gathered: Any) -> Any:
    """The server's last two calls: the response of finished requests, and its JSON."""
    base = source.take("vllm/entrypoints/serve/engine/protocol.py", "OpenAIBaseModel", "PromptTokenUsageInfo",
                       "CompletionTokenUsageInfo", "UsageInfo")  # fmt: skip
    span = source.take("vllm/outputs.py", "WeightVersionSpan").WeightVersionSpan
    models = source.take(
        "vllm/entrypoints/openai/completion/protocol.py", "CompletionLogProbs", "CompletionResponseChoice",
        "CompletionResponse", OpenAIBaseModel=base.OpenAIBaseModel, UsageInfo=base.UsageInfo,
        Logprob=gathered.Logprob, WeightVersionSpan=span, PerRequestMetrics=dict,
    )  # fmt: skip
    clamp = source.take("vllm/entrypoints/generate/base/serving.py", "clamp_prompt_logprobs").clamp_prompt_logprobs
    file, name = _SERVING.split()
    methods = (name, "OpenAIServingCompletion._create_completion_logprobs")
    serving = source.take(
        file, *methods, clamp_prompt_logprobs=clamp, CompletionResponse=models.CompletionResponse,
        CompletionResponseChoice=models.CompletionResponseChoice, UsageInfo=base.UsageInfo, as_list=list,
        build_spec_decoding_metrics=lambda _: None,
    ).OpenAIServingCompletion()  # fmt: skip
    serving._raise_if_error = lambda *_: None
    serving.enable_prompt_tokens_details = serving.enable_per_request_metrics = False
    serving.system_fingerprint = None

    def respond(request_id: str, a: Answer, prompt_logprobs: Any) -> str:
        said = SimpleNamespace(
            token_ids=[_FAVOURITE], text=" the", logprobs=None, finish_reason="length", stop_reason=None,
            routed_experts=None, weight_versions=None,
        )  # fmt: skip
        done = SimpleNamespace(
            prompt=a.text, prompt_token_ids=[0, *a.ids], prompt_logprobs=prompt_logprobs, outputs=[said],
            num_cached_tokens=None, kv_transfer_params=None, ec_transfer_params=None,
        )  # fmt: skip
        asked = SimpleNamespace(
            max_tokens=1, echo=False, logprobs=None, return_token_ids=False, return_weight_versions=False, n=1
        )
        made = serving.request_output_to_completion_response(
            [done], asked, request_id, 0, "made-up", None, SimpleNamespace()
        )
        return str(made.model_dump_json())

    return respond
