"""SGLang: responses of `/generate`, made by `TokenizerManager._handle_batch_output` of what its scheduler sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from scripts.format_writers.answers import ANSWERS
from scripts.format_writers.source import Source

FRAMEWORK = "SGLang"
FUNCTION = "srt/managers/tokenizer_manager.py TokenizerManager._handle_batch_output"
_METHODS = (
    "_handle_batch_output",
    "convert_logprob_style",
    "add_logprob_to_meta_info",
    "detokenize_logprob_tokens",
    "detokenize_top_logprobs_tokens",
)


class _Sent(SimpleNamespace):
    """What the scheduler sends for a batch: None for every field that is not given."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


def write(source: Source) -> Iterator[tuple[str, str, bytes]]:
    file = next(source.root.rglob("srt/managers/tokenizer_manager.py")).relative_to(source.root)
    taken = source.take(
        str(file), "ReqState", *(f"TokenizerManager.{name}" for name in _METHODS),
        BatchStrOutput=_Sent, BatchTokenIDOutput=type("Other", (), {}), BatchEmbeddingOutput=type("Other", (), {}),
        GenerateReqInput=type("Other", (), {}), unwrap_from_pickle=lambda value: value,
        get_serving=lambda: SimpleNamespace(batch_notify_size=16), try_build_beam_search_out_dict=lambda *_: None,
        get_spec=lambda: SimpleNamespace(speculative_algorithm=None),
    )  # fmt: skip
    manager = taken.TokenizerManager()
    manager.config_value = lambda _: "default"
    manager.enable_metrics = manager.skip_tokenizer_init = manager.incremental_streaming_output = False
    manager.dump_requests_folder = manager.crash_dump_folder = ""
    manager._release_lora_once = _nothing
    states = {f"{index:032x}": _state(taken, a) for index, a in enumerate(ANSWERS)}
    manager.rid_to_state = dict(states)
    size = range(len(ANSWERS))
    sent = _Sent(
        rids=list(states), finished_reasons=[{"type": "stop", "matched": 2} for _ in size],
        prompt_tokens=[len(a.prompt_ids) for a in ANSWERS], completion_tokens=[len(a.ids) for a in ANSWERS],
        cached_tokens=[0 for _ in size], reasoning_tokens=[0 for _ in size], retraction_counts=[0 for _ in size],
        output_strs=[a.text for a in ANSWERS], output_ids=[list(a.ids) for a in ANSWERS],
        output_token_logprobs_val=[list(a.sampler) for a in ANSWERS],
        output_token_logprobs_idx=[list(a.ids) for a in ANSWERS],
    )  # fmt: skip
    asyncio.run(manager._handle_batch_output(sent))
    lines = [json.dumps(state.out_list[-1]) for state in states.values()]
    yield "sglang-generate.jsonl", FUNCTION, "".join(line + "\n" for line in lines).encode()


def _state(taken: Any, a: Any) -> Any:
    """A request as it waits for its answer, log-probs asked for."""
    asked = _Sent(top_logprobs_num=0, return_logprob=True, stream=False)
    times = SimpleNamespace(
        first_token_time=1.0, set_finished_time=_nothing, get_e2e_latency=lambda: 0.5,
        trace_ctx=SimpleNamespace(tracing_enable=False),
    )  # fmt: skip
    return taken.ReqState(out_list=[], finished=False, event=asyncio.Event(), obj=asked, time_stats=times)


def _nothing(*_: Any, **__: Any) -> None:
    """Of what a server measures, which no response holds."""
