"""OpenAI: responses as the `openai` package types and prints them, a pair of chat completions and a batch's output."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from scripts.format_writers.answers import ANSWERS, Answer
from scripts.format_writers.source import Source

FRAMEWORK = "OpenAI"
PACKAGE = "openai"
FUNCTION = "openai/types/chat/chat_completion.py ChatCompletion.to_json"


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    with source.importable():
        yield "openai-new.json", FUNCTION, _response(ANSWERS[1], "trainer").to_json(exclude_unset=True).encode()
        yield "openai-old.json", FUNCTION, _response(ANSWERS[1], "sampler").to_json(exclude_unset=True).encode()
        spoken = [_spoken(a).to_json(exclude_unset=True, indent=None) + "\n" for a in ANSWERS]
        yield "openai-responses.jsonl", "openai/types/responses/response.py Response.to_json", "".join(spoken).encode()
        lines = [
            {
                "id": "batch_req_0",
                "custom_id": "task-0",
                "response": None,
                "error": {"code": "x", "message": "made-up"},
            },
            *(
                {
                    "id": f"batch_req_{number}",
                    "custom_id": f"task-{number}",
                    "response": {
                        "status_code": 200,
                        "request_id": "x",
                        "body": _response(a, "sampler").to_dict(mode="json"),
                    },
                    "error": None,
                }
                for number, a in enumerate(ANSWERS, start=1)
            ),
        ]
        yield "openai-batch.jsonl", FUNCTION, "".join(json.dumps(line) + "\n" for line in lines).encode()


def _spoken(a: Answer) -> Any:
    from openai.types.responses import Response

    content: list[dict[str, Any]] = [
        {"token": token, "logprob": logprob, "bytes": list(token.encode()), "top_logprobs": []}
        for token, logprob in zip(a.tokens, a.sampler, strict=True)
    ]
    said = {"type": "output_text", "text": a.text, "annotations": [], "logprobs": content}
    message = {"id": "msg", "type": "message", "role": "assistant", "status": "completed", "content": [said]}
    return Response.model_validate(
        {
            "id": f"resp-{a.ids[0]}",
            "object": "response",
            "created_at": 0,
            "model": "made-up",
            "output": [message],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }  # fmt: skip
    )


def _response(a: Answer, policy: str) -> Any:
    from openai.types.chat import ChatCompletion

    content = [
        {"token": token, "logprob": logprob, "bytes": list(token.encode()), "top_logprobs": []}
        for token, logprob in zip(a.tokens, getattr(a, policy), strict=True)
    ]
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": a.text, "refusal": None},
        "logprobs": {"content": content, "refusal": None},
    }
    return ChatCompletion.model_validate(
        {"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "made-up", "choices": [choice]}
    )
