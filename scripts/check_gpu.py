"""Every path that runs on a GPU, each once, within ten minutes: `python -m scripts.check_gpu` (`make check-gpu`).

    python -m scripts.check_gpu                          writes docs/benchmarks-gpu.md; without a GPU says so and ends
    python -m scripts.check_gpu --device cpu [--out F]   the same paths at tiny sizes, to see that the check works

Both engines on the bundled policy, the one that looks at pictures, and on a model of Qwen3-0.6B's shape, whose
weights are random so that nothing has to be fetched: float32, bfloat16, all weights and an adapter; scoring; and the
sentence that a run without enough memory ends with. Each is a process of its own, done as the worker does a run, so
that its peak of memory is its own and what fails leaves the others alone.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

TARGET = ROOT / "docs" / "benchmarks-gpu.md"
BUDGET = 600.0  # seconds, of all checks together
NO_GPU = (
    "PyTorch finds no GPU (CUDA) here, so nothing was checked and nothing written; --device cpu runs the same paths at "
    "tiny sizes."
)


@dataclass(frozen=True)
class Size:
    """The model that stands for a real one, and the work on both."""

    layers: int
    hidden: int
    vocabulary: int
    steps: int
    prompts: int
    completions: int
    tokens: int
    texts: int  # that are scored


SIZES = {
    "cuda": Size(28, 1024, 151_936, steps=6, prompts=8, completions=8, tokens=64, texts=256),
    "cpu": Size(2, 32, 512, steps=2, prompts=2, completions=4, tokens=8, texts=4),
}


@dataclass(frozen=True)
class Result:
    """What one check found. `numbers` are shown as they are; without `ok` what it says is why not."""

    what: str
    ok: bool
    said: str = ""
    numbers: dict[str, str] = field(default_factory=dict)


# -- one check, in a process of its own -----------------------------------------------------------------------------


def make_model(folder: Path, size: Size) -> None:
    """A Qwen3 with random weights, and a tokenizer of as many words: a blank, `w1`, `w2` …"""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    vocabulary = {f"w{n}" if n else " ": n for n in range(size.vocabulary)}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="w1"))
    words.pre_tokenizer, words.decoder = pre_tokenizers.Split(" ", "isolated"), decoders.Fuse()
    torch.manual_seed(0)
    heads = size.hidden // 64
    config = Qwen3Config(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        intermediate_size=3 * size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=max(2, heads),
        num_key_value_heads=max(1, heads // 2),
        head_dim=128 if heads else 16,
        tie_word_embeddings=True,
        eos_token_id=1,
        dtype="bfloat16",
    )
    Qwen3ForCausalLM(config).bfloat16().save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="w1", pad_token="w1").save_pretrained(folder)


def _trained(what: str, device: str, model: Path, **settings: Any) -> Result:
    """A run as the worker does it, on the bundled policy or the model."""
    from sapo_viz.rollouts.table import TextTable
    from sapo_viz.runs.config import RunConfig
    from sapo_viz.runs.folder.store import RunStore
    from sapo_viz.runs.questions.kept import keep_table, with_table
    from sapo_viz.runs.workers.worker import work

    size = SIZES[device]
    common: dict[str, Any] = dict(device=device, steps=size.steps, validate_every=0, snapshot_every=0, warmup=0)
    if settings.pop("real"):
        common |= dict(
            task="questions", policy=str(model), data="words", reward=r"format(w\d*7\b)", chat="off", minibatches=2,
            max_tokens=size.tokens, prompts=size.prompts, completions=size.completions, lr=1e-4,
        )  # fmt: skip
    elif device == "cpu":
        common |= dict(prompts=size.prompts, completions=size.completions, minibatches=2)
    config, table = RunConfig(**common | settings), None
    if config.task == "questions":
        questions = tuple(" ".join(f"w{10 * n + place}" for place in range(2, 10)) for n in range(32))
        table = TextTable("words", ("question",), (questions,))
        config = with_table(config, table)
    store = RunStore(model.parent / "runs")
    folder = store.path(store.create(config))
    if table is not None:
        keep_table(folder, table)
    last = work(folder)
    if last.type != "finished":
        return Result(what, False, str(last.data.get("message", last.type)), {"kind": str(last.data.get("kind", ""))})
    steps = [event["metrics"] for event in store.read_events(folder.name)[0] if event["type"] == "step"]
    speeds = [step["completions_per_s"] for step in steps[1:] or steps]  # the first allocates
    finite = all(math.isfinite(step["loss"] or 0.0) and step["grad_norm"] is not None for step in steps)
    numbers = {"completions a second": f"{statistics.median(speeds):,.1f}", "peak memory": _size(_peak(device))}
    return Result(what, finite, "" if finite else "a loss is not finite", numbers)


def _scored(what: str, device: str, model: Path, dtype: str) -> Result:
    """Texts under the model; and the bundled policy's log-probs on the device against the processor's."""
    from sapo_viz.models.scoring.score import Scores, score_texts
    from sapo_viz.models.source import locate

    def score(old: str, new: str, prompts: list[str], texts: list[str], on: str, by: str) -> Scores:
        steps = list(score_texts(locate(new), locate(old), prompts, texts, device=on, dtype=by))
        return next(step for step in steps if isinstance(step, Scores))

    size, name = SIZES[device], str(model)
    prompts = [f"w{n + 2} w3 w5" for n in range(size.texts)]
    texts = [
        " ".join(f"w{n * place % size.vocabulary or 2}" for place in range(2, 2 + size.tokens))
        for n in range(size.texts)
    ]
    began = time.perf_counter()
    score(name, name, prompts, texts, device, dtype)
    speed = size.texts * size.tokens / (time.perf_counter() - began)
    pair = ("addition-start", "addition-rl", ["^864+394="], ["4+4=8,9+6=15;1258$"])
    here, there = (score(*pair, on, by) for on, by in ((device, dtype), ("cpu", "float32")))
    apart = max(
        abs(a - b)
        for own, other in zip((*here.new, *here.old), (*there.new, *there.old), strict=True)
        if own and other
        for a, b in zip(own.logprobs, other.logprobs, strict=True)
    )
    bound = 1e-3 if dtype == "float32" else 0.3
    numbers = {
        "tokens a second, loading included": f"{speed:,.0f}",
        "peak memory": _size(_peak(device)),
        "from the processor's float32, nats": f"{apart:.1e}",
    }
    return Result(what, apart <= bound, "" if apart <= bound else f"it is more than {bound:g} away", numbers)


def _out_of_memory(what: str, device: str, model: Path) -> Result:
    """A run with too little memory ends as such, in a sentence."""
    import torch

    if device == "cuda":
        room = 3e9 / torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, room))
        found = _trained(what, device, model, real=True, prompts=32, completions=16, minibatches=1, dtype="bfloat16")
    else:
        import resource

        _trained(what, device, model, real=True)  # all imports are done
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        used = next(line for line in lines if line.startswith("VmData"))
        resource.setrlimit(resource.RLIMIT_DATA, (1024 * int(used.split()[1]) + 2**28,) * 2)
        found = _trained(what, device, model, real=False, prompts=256, completions=32, minibatches=1)
    told = found.numbers.get("kind") == "memory"
    why = "it did not run out of memory" if found.ok else found.said
    return Result(what, told, found.said if told else why)


def _peak(device: str) -> float:
    import torch

    if device == "cuda":
        return float(torch.cuda.max_memory_allocated())
    import resource

    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB"


Check = Callable[[str, str, Path], Result]


def _run(**settings: Any) -> Check:
    return lambda what, device, model: _trained(what, device, model, **settings)


def _score(dtype: str) -> Check:
    return lambda what, device, model: _scored(what, device, model, dtype)


# what -> how, and whether it needs TRL; both engines on the same work, one below the other
CHECKS: dict[str, tuple[Check, bool]] = {
    "loop, bundled policy, float32": (_run(real=False), False),
    "trl, bundled policy, float32": (_run(real=False, engine="trl"), True),
    "loop, Qwen3-VL on pictures, bfloat16": (_run(real=False, task="grid", dtype="bfloat16"), False),
    "loop, Qwen3 shape, LoRA, bfloat16": (_run(real=True, lora_rank=16, dtype="bfloat16"), False),
    "trl, Qwen3 shape, LoRA, bfloat16": (_run(real=True, lora_rank=16, dtype="bfloat16", engine="trl"), True),
    "loop, Qwen3 shape, all weights, bfloat16": (_run(real=True, dtype="bfloat16"), False),
    "loop, Qwen3 shape, LoRA, float32, micro-batches, layers recomputed": (
        _run(real=True, lora_rank=16, micro_batch=2, recompute="on"),
        False,
    ),
    "scoring, bfloat16": (_score("bfloat16"), False),
    "scoring, float32": (_score("float32"), False),
    "out of memory": (_out_of_memory, False),
}


def one(what: str, device: str, model: Path) -> Result:
    from sapo_viz.models.with_trl import missing

    check, needs_trl = CHECKS[what]
    if needs_trl and (lacks := missing()):
        return Result(what, False, f"not run: {lacks} not installed (pip install 'sapo-viz[trl]')")
    return check(what, device, model)


# -- all of them ----------------------------------------------------------------------------------------------------


def check(device: str, names: list[str]) -> list[Result]:
    """Each check in its own process; those that the budget has no time for are reported as not run."""
    end, results = time.monotonic() + BUDGET, []
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model")
        make_model(model, SIZES[device])
        for what in names:
            left = end - time.monotonic()
            result = _in_own_process(what, device, model, left) if left > 1 else Result(what, False, "no time was left")
            print(f"{'ok  ' if result.ok else 'FAIL'} {what} {_told(result)}", flush=True)
            results.append(result)
    return results


def _in_own_process(what: str, device: str, model: Path, seconds: float) -> Result:
    command = [sys.executable, "-m", "scripts.check_gpu", "--device", device, "--one", what, "--model", str(model)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False, cwd=ROOT)
    except subprocess.TimeoutExpired:
        return Result(what, False, f"it did not end within {seconds:.0f} s")
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return Result(what, False, (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1][:300])
    return Result(**json.loads(lines[-1]))


def _told(result: Result) -> str:
    return "; ".join([*(f"{name}: {value}" for name, value in result.numbers.items()), *filter(None, [result.said])])


def report(results: list[Result], device: str) -> str:
    """docs/benchmarks-gpu.md."""
    import torch
    import transformers

    gpu = device == "cuda"
    where = torch.cuda.get_device_name() if gpu else f"{platform.machine()}, {os.cpu_count()} cores, no GPU"
    size = SIZES[device]
    rows = [f"| {result.what} | {'yes' if result.ok else '**no**'} | {_told(result)} |" for result in results]
    return "\n".join(
        [
            "# On a GPU" if gpu else "# The check for GPUs, on a processor",
            "",
            "Written by `make check-gpu`. A line is one path, in a process of its own, done as the worker does a run; "
            f"the Qwen3 shape has {size.layers} layers of width {size.hidden}, {size.vocabulary:,} tokens and random "
            f"weights: {size.steps} steps of {size.prompts} × {size.completions} completions of {size.tokens} tokens. "
            "The first step does not count for speed.",
            "",
            "| path | works | measured |",
            "|---|---|---|",
            *rows,
            "",
            f"Machine: {where}; PyTorch {torch.__version__}, transformers {transformers.__version__}; "
            f"{date.today().isoformat()}.",
            "",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=list(SIZES), default="cuda")
    parser.add_argument("--out", type=Path, help=f"default: {TARGET.name} for a GPU, nothing for a processor")
    parser.add_argument("--only", action="append", choices=list(CHECKS), help="this path alone; may be given again")
    parser.add_argument("--one", choices=list(CHECKS), help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    import torch

    if args.device == "cuda" and not torch.cuda.is_available():
        print(NO_GPU, file=sys.stderr)
        return 2
    if args.one:
        print("\n" + json.dumps(asdict(one(args.one, args.device, args.model))))
        return 0
    results = check(args.device, args.only or list(CHECKS))
    out = args.out or (TARGET if args.device == "cuda" and not args.only else None)
    if out is not None:
        out.write_text(report(results, args.device), encoding="utf-8")
    return 0 if all(result.ok for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
