"""Where a tool's output is in an answer, by the tags that chat templates and agents' frameworks put around it.

<tool_response>…</tool_response> (Qwen, Hermes), <information> (Search-R1), <interpreter> (ReTool), <|im_start|>tool …
<|im_end|>, <|start_header_id|>ipython … <|eot_id|> (Llama), [TOOL_RESULTS]…[/TOOL_RESULTS] (Mistral). A tag may be one
token or several, so tags are looked for in the joined text.
"""

from __future__ import annotations

import re

import numpy as np

from sapo_viz.rollouts.once import once
from sapo_viz.rollouts.schema import Rollouts

_TAGS = "tool_response|tool_result|tool_results|tool_output|function_response|function_results|information|interpreter"
_OUTPUT = re.compile(
    rf"<({_TAGS})>(?P<a>.*?)(?:</\1>|\Z)"
    r"|<\|im_start\|>tool\b(?P<b>.*?)(?:<\|im_end\|>|\Z)"
    r"|<\|start_header_id\|>ipython<\|end_header_id\|>(?P<c>.*?)(?:<\|eot_id\|>|\Z)"
    r"|\[TOOL_RESULTS\](?P<d>.*?)(?:\[/TOOL_RESULTS\]|\Z)",
    re.DOTALL,
)
_PIECES = ("respon", "result", "RESULT", "output", "inform", "interpre", "tool", "ipython")  # a tag has one of them
_OPENS = ("<", "[")
_TOKENS = 2_000_000  # that are joined: enough to see it, in a second


@once
def tool_tokens(rollouts: Rollouts) -> np.ndarray:
    """[M] bool: tokens between the tags of a tool's output."""
    found = np.zeros(len(rollouts.mask), bool)
    for row in _candidates(rollouts):
        start, stop = int(rollouts.offsets[row]), int(rollouts.offsets[row + 1])
        texts = rollouts.tokens[start:stop]
        ends = np.cumsum([len(text) for text in texts])
        for match in _OUTPUT.finditer("".join(texts)):
            inside = next(name for name in "abcd" if match[name] is not None)
            first, last = match.span(inside)
            if last > first:
                begin, end = np.searchsorted(ends, first, "right"), np.searchsorted(ends, last, "left") + 1
                found[start + begin : start + end] = True
    return found


def _candidates(rollouts: Rollouts) -> np.ndarray:
    """The sequences that may hold such a tag: a token with a piece of one, and one with a bracket."""
    vocabulary, codes = rollouts.tokens.vocabulary, rollouts.tokens.codes
    there = np.ones(len(rollouts), bool)
    for pieces in (_PIECES, _OPENS):
        has = np.array([any(piece in text for piece in pieces) for text in vocabulary], bool)
        if not has.any():
            return np.zeros(0, np.int64)
        there &= np.add.reduceat(has[codes].astype(np.int64), rollouts.offsets[:-1]) > 0
    rows = np.flatnonzero(there)
    return rows[np.cumsum(rollouts.lengths[rows]) <= _TOKENS]
