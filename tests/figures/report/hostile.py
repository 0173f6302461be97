"""A rollout file in which everything that is text tries to be markup."""

from __future__ import annotations

import json

EVIL = "</script><img src=x onerror=window.hacked=1><!--<script>window.hacked=1</script>"
NAME = "</title><img src=x onerror=window.hacked=1>.jsonl"


def hostile(sequences: int = 4, *, text: str = EVIL, tokens: int = 6) -> bytes:
    """JSONL: in each sequence tokens, prompt, id, group and a field's name are `text`."""
    lines = []
    for i in range(sequences):
        lines.append(
            {
                "id": f"{text}{i}",
                "group": f"{text}{i // 2}",
                "prompt": text,
                "reward": float(i % 2),
                "tokens": [text, "<b>", "&amp;", "\u202e", "\ud800", "ok"][:tokens],
                "logprobs": [-0.2 - 0.3 * k * (i + 1) for k in range(tokens)],
                "old_logprobs": [-0.5] * tokens,
                text[:60]: 1,
            }
        )
    return "\n".join(map(json.dumps, lines)).encode()
