"""Record a real training run for SAPO Viz: metrics at every step, tokens with their log-probs at every k-th.

    from sapo_recorder import record
    record(trainer, "runs/x", every=10, sequences=64)     # before trainer.train(); TRL's GRPOTrainer

Standard library and torch; Parquet where pyarrow is installed, JSONL elsewhere. This one file is enough: install the
package or copy the file beside a training script. `sapo_recorder_verl`, `…_swift` and `…_openrlhf` put the same
recorder into other frameworks.

What training pays for: copies of a few [B, T] tensors that its loss has computed anyway. Numbers, texts and files are
the work of a thread behind a bounded queue; where that falls behind, a step is dropped and counted. No extra forward,
no collective, no random number: weights come out bit-identical. Whatever goes wrong here, training goes on.

What is written (the run folder of SAPO Viz):

    config.json                       kind "recorded", framework, version, loss and its settings
    events.jsonl                      one whole line an event: start, step, sample, note, finished | stopped | failed
    tokens/step-00010.rank-0.parquet  one row per sequence; each rank writes its own file
    tokens/step-00010.done            there once every rank's file is
    worker.json                       which process records, on which host
    ranks/rank-1.jsonl                what other ranks measured; rank 0 merges it into events.jsonl
"""

from __future__ import annotations

import atexit
import contextlib
import copy
import functools
import importlib.abc
import importlib.util
import inspect
import json
import math
import os
import queue
import socket
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor

try:
    import fcntl
except ImportError:  # Windows has none; nothing there starts two recorders for one rank
    fcntl = None  # type: ignore[assignment]

__version__ = "0.1.0"

WAITING = 8  # steps that may wait for the writer; the next one is dropped and counted
WAITING_BYTES = 1 << 29  # and how much of the host's memory they may hold
PATIENCE = 60.0  # seconds that rank 0 waits for the other ranks' numbers of a step
LIMIT = 20.0  # |log-ratio| beyond which exp is not taken, as in verl and in the app
POINTS = 101  # of a rank's sorted log-ratios, from which the quantiles over all ranks are taken


# -- what a training loop hands over --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Loss:
    """The objective in the framework's words, and in the app's where it has the same.

    `name` is the framework's; `objective` and `knobs` are those of SAPO Viz's catalogue, empty where it has none.
    """

    name: str
    level: str = "token"  # of the ratio: token or sequence
    objective: str = ""
    knobs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """One micro-batch as the loss saw it. B sequences, T response positions, padded on the right."""

    logprobs: Tensor  # [B, T] log π_θ
    advantages: Tensor  # [B], or [B, T]
    mask: Tensor  # [B, T] 1 on tokens that are trained on
    ids: Optional[Tensor] = None  # [B, T]
    present: Optional[Tensor] = None  # [B, T] 1 on tokens that are there, a tool's included; None: as the mask
    old_logprobs: Optional[Tensor] = None  # [B, T] None: π_old = π_θ, one update per rollout
    sampler_logprobs: Optional[Tensor] = None  # [B, T] of the engine that drew the tokens; NaN where it gave none
    ref_logprobs: Optional[Tensor] = None  # [B, T]
    entropies: Optional[Tensor] = None  # [B, T] nats
    correction: Optional[Tensor] = None  # [B, 1] or [B, T] weight on the loss for π_old ≠ π_sampler
    rewards: Optional[Tensor] = None  # [B] NaN: not rewarded
    groups: Any = None  # [B] int64, 1_000_000 × the step of the rollout + the prompt's number in it; or B names
    prompt_ids: Optional[Tensor] = None  # [B, P]
    prompt_mask: Optional[Tensor] = None  # [B, P]
    loss: Optional[Tensor] = None  # [] this micro-batch's part of the step's loss
    minibatch: int = 0  # updates made from the same rollout before this one: 0 is on-policy
    gradients: Optional[Tensor] = None  # [b, T] ∂loss/∂logprobs of the first b sequences; the recorder fills it in

    def to_host(self, sequences: int) -> Batch:
        """Copies in the host's memory. Ids and prompts of the first `sequences` only: metrics need none."""
        for_tokens = ("ids", "present", "prompt_ids", "prompt_mask")
        copies: Dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Tensor):
                value = value.detach()
                if each.name in for_tokens:
                    value = value[:sequences] if sequences else None
                copies[each.name] = None if value is None else _copied(value)
        return replace(self, **copies)

    @property
    def bytes(self) -> int:
        tensors = (getattr(self, each.name) for each in fields(self))
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors if isinstance(tensor, Tensor))


def _copied(tensor: Tensor) -> Tensor:
    """A GPU's copy goes to pinned memory and is not waited for here: the writer waits (`_Job.ready`)."""
    return tensor.to("cpu", non_blocking=True) if tensor.is_cuda else tensor.to("cpu", copy=True)


# -- what a step looked like ----------------------------------------------------------------------------------------
#
# Ranks are merged without a collective, so each keeps what can be added up: a mean as [total, weight], a largest
# value, and points of a sorted list. Names are those of the app's metrics.

Measured = Dict[str, Any]


def measure(batches: Sequence[Batch], loss: Loss) -> Measured:
    """The numbers of one rank's micro-batches of a step."""
    means: Dict[str, List[float]] = {}
    largest: Dict[str, float] = {}
    log_ratios, mismatches = [], []

    def add(name: str, values: Tensor, weight: Optional[float] = None) -> None:
        if values.numel():
            mean = means.setdefault(name, [0.0, 0.0])
            mean[0] += float(values.sum())
            mean[1] += values.numel() if weight is None else weight

    for batch in batches:
        mask, logprobs = batch.mask.bool(), batch.logprobs.double()
        old = logprobs if batch.old_logprobs is None else batch.old_logprobs.double()
        advantages = batch.advantages.double()
        advantages = advantages[:, None].expand_as(mask) if advantages.dim() == 1 else advantages
        z = torch.where(mask, logprobs - old, torch.zeros_like(old))
        log_ratios.append(z[mask])
        add("kl_old", _k3(z[mask]))
        add("kl_old_k1", -z[mask])
        if batch.ref_logprobs is not None:
            add("kl_start", _k3((batch.ref_logprobs.double() - logprobs)[mask]))
        if batch.entropies is not None:
            add("entropy", batch.entropies.double()[mask])
        if batch.rewards is not None:
            add("reward", batch.rewards.double()[~batch.rewards.isnan()])
        lengths = mask.sum(1)
        add("length", lengths.double())
        add("masked_sequences", (lengths == 0).double())
        signal = (advantages != 0) & mask
        add("signal", signal.any(1).double())
        gate = gate_weights(loss, z, advantages, mask)
        if gate is not None:
            weight, cut = gate
            size = advantages.abs()[signal]
            add("gate_mean", size * weight[signal], float(size.sum()))
            add("clip_fraction", cut[signal].double())
        if batch.sampler_logprobs is not None:
            sampler = batch.sampler_logprobs.double()
            mismatches.append((old - sampler)[mask & ~sampler.isnan()])
        if batch.correction is not None:
            add("correction_dropped", (batch.correction.expand_as(mask)[mask] == 0).double())
        if batch.loss is not None:
            mean = means.setdefault("loss", [0.0, 1.0])  # the parts of one step add up
            mean[0] += float(batch.loss)
    points = {}
    for name, parts, prefix in (("log_ratio", log_ratios, ""), ("log_mismatch", mismatches, "sampler_")):
        values = torch.cat(parts) if parts else torch.zeros(0)
        if not values.numel():
            continue
        ordered = values.sort().values
        ratios = ordered.clamp(-LIMIT, LIMIT).exp()
        add(prefix + "ratio", ratios)
        add(prefix + "ratio_squared", ratios * ratios)
        if prefix:
            add("kl_sampler", _k3(values))
        largest[prefix + "log_ratio_max"] = float(values.abs().max())
        places = torch.linspace(0, len(ordered) - 1, POINTS).round().long()
        exact = [float(ordered[round(q * (len(ordered) - 1))]) for q in _QUANTILES.values()]
        points[name] = {"n": len(ordered), "points": ordered[places].tolist(), "exact": exact}
    tokens = sum(int(batch.mask.bool().sum()) for batch in batches)
    sequences = sum(len(batch.mask) for batch in batches)
    return {"means": means, "largest": largest, "points": points, "tokens": tokens, "sequences": sequences}


_QUANTILES = {"p01": 0.01, "p50": 0.5, "p99": 0.99, "max": 1.0}


def merge(ranks: Sequence[Measured]) -> Dict[str, float]:
    """The step's metrics over all ranks. Quantiles of one rank are exact, of several taken from their points."""
    out: Dict[str, float] = {}
    for name in sorted({name for rank in ranks for name in rank["means"]}):
        pairs = [rank["means"][name] for rank in ranks if name in rank["means"]]
        weight = sum(pair[1] for pair in pairs)
        out[name] = sum(pair[0] for pair in pairs) / weight if weight else math.nan
    for prefix in ("", "sampler_"):
        if prefix + "ratio" in out:  # effective sample size of the importance weights, as a share of the tokens
            out[prefix + "ess"] = out.pop(prefix + "ratio") ** 2 / out.pop(prefix + "ratio_squared")
    for name in sorted({name for rank in ranks for name in rank["largest"]}):
        out[name] = max(rank["largest"][name] for rank in ranks if name in rank["largest"])
    for name, prefix in (("log_ratio", ""), ("log_mismatch", "sampler_")):
        parts = [rank["points"][name] for rank in ranks if name in rank["points"]]
        for quantile, value in zip(_QUANTILES, _quantiles(parts)):
            out[f"{prefix}ratio_{quantile}"] = math.exp(min(value, LIMIT))
    return out


def _quantiles(parts: Sequence[Mapping[str, Any]]) -> List[float]:
    if len(parts) < 2:
        return list(parts[0]["exact"]) if parts else []
    pooled = sorted((value, part["n"] / POINTS) for part in parts for value in part["points"])
    total, found = sum(weight for _, weight in pooled), []
    for q in _QUANTILES.values():
        reached, at = 0.0, pooled[-1][0]
        for value, weight in pooled:
            reached += weight
            if reached >= q * total:
                at = value
                break
        found.append(max(value for value, _ in pooled) if q == 1.0 else at)
    return found


def _k3(log_ratio: Tensor) -> Tensor:
    """r − 1 − log r: never negative, its mean over the denominator's samples is the KL."""
    return log_ratio.clamp(max=LIMIT).exp() - 1 - log_ratio


def gate_weights(loss: Loss, z: Tensor, advantages: Tensor, mask: Tensor) -> Optional[Tuple[Tensor, Tensor]]:
    """What the objective leaves of each token's gradient, w = c/r, and where it leaves nothing; both [B, T].

    None for objectives whose weight is not stated here: no number rather than a wrong one.
    """
    if loss.level == "sequence":
        z = (z.sum(1) / mask.sum(1).clamp(min=1))[:, None].expand_as(mask)
    elif loss.level != "token":
        return None
    r, up, down, knobs = z.clamp(-LIMIT, LIMIT).exp(), advantages > 0, advantages < 0, loss.knobs
    if loss.objective == "sapo":  # 2511.20347: sech²(τ(r − 1)/2)
        tau = torch.where(up, knobs["tau_pos"], knobs["tau_neg"])
        weight = (1 / torch.cosh((tau * (r - 1) / 2).clamp(-300, 300))) ** 2
        return weight, weight == 0
    if loss.objective in ("grpo", "dapo", "dr_grpo", "gspo", "luspo", "dual_clip"):
        cut = (up & (r > 1 + knobs["eps_high"])) | (down & (r < 1 - knobs["eps_low"]))
        if "dual_clip" in knobs:
            cut = cut | (down & (r > knobs["dual_clip"]))
        return (~cut).double(), cut
    if loss.objective == "cispo":  # 2506.13585: the ratio is capped, its gradient stopped; nothing is cut
        return r.clamp(1 - knobs["eps_low"], 1 + knobs["eps_high"]) / r, torch.zeros_like(mask, dtype=torch.bool)
    return None


# -- files that are whole or not there -------------------------------------------------------------------------------


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """`write(part)` beside its place; the file gets its name when its bytes are on the disk.

    Raises:
        OSError: a full disk or the like; nothing is left under either name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        write(part)
        descriptor = os.open(part, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def write_json(path: Path, value: Any, indent: Optional[int] = None) -> None:
    text = json.dumps(_finite(value), ensure_ascii=False, indent=indent, default=str) + "\n"
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


class Lines:
    """A file of JSON lines that is only appended to. What a full disk refuses waits, up to a bound, for the next."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.waiting: deque[bytes] = deque(maxlen=1000)
        self.errors = 0

    def add(self, value: Mapping[str, Any]) -> None:
        line = json.dumps(_finite(value), ensure_ascii=False, default=str) + "\n"
        self.waiting.append(line.encode("utf-8", "replace"))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            while self.waiting:
                self._append(self.waiting[0])
                self.waiting.popleft()
        except OSError:
            self.errors += 1

    def _append(self, data: bytes) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            before = os.fstat(descriptor).st_size
            try:
                while data:  # a disk that is nearly full takes a part, and refuses the rest
                    data = data[os.write(descriptor, data) :]
            except OSError:
                os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)

    def mend(self) -> None:
        """Cut off the half line that a killed process may have left."""
        with contextlib.suppress(OSError):
            data = self.path.read_bytes()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                os.truncate(self.path, whole)


def _finite(value: Any) -> Any:
    """JSON has no NaN: such a number becomes null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


# -- a step's tokens -------------------------------------------------------------------------------------------------

LISTS = {"tokens": "string", "token_ids": "int64", "mask": "int8", "advantages": "float32"}
LISTS.update(dict.fromkeys(("logprobs", "old_logprobs", "sampler_logprobs", "ref_logprobs"), "float32"))
LISTS["loss_gradients"] = "float32"
SCALARS = {"id": "string", "step": "int64", "minibatch": "int64", "rank": "int64", "group": "string"}
SCALARS.update({"prompt": "string", "reward": "float64", "advantage": "float64"})
SCALARS.update({"microbatch": "string", "microbatch_loss": "float64"})


class Texts:
    """Ids as text, with a copy of the tokenizer: the training thread's own must not be borrowed while it works."""

    def __init__(self, tokenizer: Any) -> None:
        tokenizer = getattr(tokenizer, "tokenizer", tokenizer)  # a processor holds one
        self.known: Dict[int, str] = {}
        try:
            self.tokenizer = copy.deepcopy(tokenizer)
        except Exception:
            self.tokenizer = None

    def each(self, ids: Sequence[int]) -> Optional[List[str]]:
        if self.tokenizer is None:
            return None
        for token in set(ids) - self.known.keys():
            self.known[token] = str(self.tokenizer.decode([token]))
        return [self.known[token] for token in ids]

    def whole(self, ids: Sequence[int]) -> Optional[str]:
        return None if self.tokenizer is None else str(self.tokenizer.decode(ids))


def token_rows(batches: Sequence[Batch], step: int, rank: int, limit: int, texts: Texts) -> List[Dict[str, Any]]:
    """Up to `limit` sequences of a step, one object each, without padding. A micro-batch's loss stands where all of its
    sequences do: it can be computed again from them."""
    rows: List[Dict[str, Any]] = []
    for number, batch in enumerate(batches):
        if batch.ids is None:
            continue
        whole = len(rows) + len(batch.mask) <= limit and len(batch.ids) == len(batch.mask)
        there = (batch.mask[: len(batch.ids)] if batch.present is None else batch.present).bool()
        for i in range(len(there)):
            keep = there[i]
            if len(rows) == limit:
                return rows
            if not bool(keep.any()):
                continue
            ids = batch.ids[i][keep].tolist()
            row: Dict[str, Any] = {"id": f"step{step}-rank{rank}-{len(rows)}", "step": step}
            row.update({"minibatch": batch.minibatch, "rank": rank, "microbatch": f"{step}-{rank}-{number}"})
            if batch.loss is not None and whole and math.isfinite(float(batch.loss)):
                row["microbatch_loss"] = float(batch.loss)
            if batch.groups is not None:
                row["group"] = _group(batch.groups[i])
            if batch.prompt_ids is not None:
                kept = slice(None) if batch.prompt_mask is None else batch.prompt_mask[i].bool()
                row["prompt"] = texts.whole(batch.prompt_ids[i][kept].tolist())
            if batch.rewards is not None and not bool(batch.rewards[i].isnan()):
                row["reward"] = float(batch.rewards[i])
            if batch.advantages.dim() == 1:
                row["advantage"] = float(batch.advantages[i])
            else:
                row["advantages"] = _numbers(batch.advantages[i][keep])
            row["tokens"] = texts.each(ids)
            row["token_ids"] = ids
            row["mask"] = batch.mask[i][keep].to(torch.int8).tolist()
            old = batch.logprobs if batch.old_logprobs is None else batch.old_logprobs
            row["logprobs"] = _numbers(batch.logprobs[i][keep])
            row["old_logprobs"] = _numbers(old[i][keep])
            if batch.sampler_logprobs is not None:
                row["sampler_logprobs"] = _numbers(batch.sampler_logprobs[i][keep])
            if batch.ref_logprobs is not None:
                row["ref_logprobs"] = _numbers(batch.ref_logprobs[i][keep])
            if batch.gradients is not None and bool(batch.gradients[i][keep].isfinite().all()):
                row["loss_gradients"] = _numbers(batch.gradients[i][keep])
            rows.append(row)
    return rows


def _group(group: Any) -> str:
    return "{}-{}".format(*divmod(int(group), 1_000_000)) if isinstance(group, Tensor) else str(group)


def _numbers(tensor: Tensor) -> List[Optional[float]]:
    numbers = tensor.float().tolist()
    if bool(tensor.isfinite().all()):
        return numbers
    return [number if math.isfinite(number) else None for number in numbers]


def write_tokens(stem: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """`stem` + .parquet, or .jsonl where pyarrow is missing. The file is whole when it has its name."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        path = stem.with_name(stem.name + ".jsonl")
        lines = (json.dumps(_rounded(row), ensure_ascii=False) + "\n" for row in rows)
        data = "".join(lines).encode("utf-8", "replace")
        write_whole(path, lambda part: part.write_bytes(data))
        return path
    columns = {}
    for name, kind in {**SCALARS, **LISTS}.items():
        values = [row.get(name) for row in rows]
        if any(value is not None for value in values):
            plain = getattr(pyarrow, kind)()
            columns[name] = pyarrow.array(values, pyarrow.list_(plain) if name in LISTS else plain)
    table = pyarrow.table(columns)
    path = stem.with_name(stem.name + ".parquet")
    write_whole(path, lambda part: pyarrow.parquet.write_table(table, str(part), compression="zstd"))
    return path


def _rounded(row: Mapping[str, Any]) -> Dict[str, Any]:
    """Seven decimals: what a float32 log-prob is good for. Gradients are small: eight digits."""
    out = {}
    for name, value in row.items():
        if name == "loss_gradients" and value is not None:
            value = [float(f"{number:.8g}") for number in value]
        elif LISTS.get(name) == "float32" and value is not None:
            value = [None if number is None else round(number, 7) for number in value]
        if value is not None:
            out[name] = value
    return out


# -- the recorder ----------------------------------------------------------------------------------------------------


@dataclass
class _Job:
    """One step on its way to the writer."""

    step: int
    batches: List[Batch]
    tokens: bool
    extra: Dict[str, Any]  # numbers, or tensors of one
    copied: Any  # the GPU's event after the copies; None on a processor
    bytes: int

    def ready(self) -> None:
        if self.copied is not None:
            self.copied.synchronize()


class Recorder:
    """Takes micro-batches from a training loop, writes a run folder. Its methods never raise and never wait,
    but for `end`, which gives the writer half a minute to finish.

    A framework's hook calls `begin` once, `add` for each micro-batch, `end_step` after each update of the weights,
    and `end` with what became of the run.
    """

    def __init__(
        self,
        folder: Any,
        *,
        framework: str,
        version: str,
        loss: Loss,
        every: int = 10,
        sequences: int = 64,
        rank: int = 0,
        world: int = 1,
        tokenizer: Any = None,
        model: str = "",
        settings: Optional[Mapping[str, Any]] = None,
    ) -> None:
        self.folder = Path(folder).expanduser().absolute()
        self.rank, self.world, self.every, self.loss = rank, world, every, loss
        self.sequences = -(-sequences // world)  # of this rank
        self.reason = ""  # why nothing is recorded; empty while it works
        self.dropped = 0
        self.config = {
            "kind": "recorded", "framework": framework, "version": version, "recorder": __version__,
            "loss": loss.name, "level": loss.level, "objective": loss.objective, "knobs": dict(loss.knobs),
            "model": model, "world": world, "every": every, "sequences": sequences, "settings": dict(settings or {}),
        }  # fmt: skip
        self._texts = Texts(tokenizer)
        self._pending: List[Batch] = []
        self._gradients: Dict[int, Tensor] = {}  # number in `_pending` -> what its backward had
        self._held = 0  # bytes in the queue
        self._kept = 0  # sequences of this step whose tokens are kept
        self._parts = 1  # micro-batches that the last step had: each gives its share of the sequences
        self._step = 0  # last one that is done
        self._notes: set[str] = set()
        self._queue: queue.Queue[Optional[_Job]] = queue.Queue(WAITING)
        self._thread: Optional[threading.Thread] = None
        self._writer: Optional[_Writer] = None
        self._said_end = False

    @classmethod
    def off(cls, reason: str) -> Recorder:
        """A recorder that records nothing, and says so once."""
        recorder = cls(".", framework="", version="", loss=Loss(""))
        recorder.stop(reason)
        return recorder

    @property
    def active(self) -> bool:
        return not self.reason

    def stop(self, reason: str) -> None:
        """Record no further; training goes on."""
        if not self.reason:
            self.reason = reason
            self.note("recording-stopped", reason)

    @contextlib.contextmanager
    def quietly(self) -> Iterator[None]:
        """Around all that a hook does of its own: an error ends the recording, never the training."""
        try:
            yield
        except Exception as error:
            said = " ".join(str(error).split())[:300]
            self.stop(f"recording stopped at step {self._step + 1} ({type(error).__name__}: {said}); training goes on.")

    @property
    def running(self) -> bool:
        return self.active and self._thread is not None

    @property
    def under_way(self) -> bool:
        """Micro-batches were added since the last step ended."""
        return bool(self._pending)

    @property
    def step(self) -> int:
        """The last step that is done."""
        return self._step

    def wants_tokens(self, step: int) -> bool:
        return self.every > 0 and (step == 1 or step % self.every == 0)

    def begin(self, step: int = 0) -> None:
        """Before the first update; `step` is the last one that is done, above 0 for a run that goes on."""
        with self.quietly():
            if not self.active:
                return
            self._step, self._said_end, self._pending, self._kept = step, False, [], 0
            self._gradients = {}
            self._writer = _Writer(self, resumed=step > 0)
            if not self._writer.open():
                self._writer = None
                return
            self._thread = threading.Thread(target=self._work, name="sapo-recorder", daemon=True)
            self._thread.start()
            atexit.register(self.end, "stopped", "exit", "The process came to its end before training did.")

    def add(
        self, batch: Batch, source: Optional[Tensor] = None, arrange: Callable[[Tensor], Tensor] = torch.Tensor.detach
    ) -> None:
        """One micro-batch of the step that is under way.

        The gradient is that of `source`, the tensor from which the framework computed its loss: `batch.logprobs` if it
        is None. `arrange` brings it to [B, T].
        """
        with self.quietly():
            if not self.active or self._thread is None:
                return
            wanted = self.wants_tokens(self._step + 1) and batch.ids is not None
            share = min(-(-self.sequences // self._parts), self.sequences - self._kept)
            room = max(0, min(share, len(batch.logprobs))) if wanted else 0
            self._kept += room
            source = batch.logprobs if source is None else source
            if room and source.requires_grad:
                source.register_hook(functools.partial(self._backward, self._step, len(self._pending), room, arrange))
            self._pending.append(batch.to_host(room))

    def _backward(
        self, step: int, number: int, room: int, arrange: Callable[[Tensor], Tensor], gradient: Tensor
    ) -> None:
        """Called within backward with ∂loss/∂logprobs, which is looked at and left as it is."""
        with self.quietly():
            if step == self._step:
                self._gradients[number] = _copied(arrange(gradient)[:room])

    def note(self, kind: str, message: str) -> None:
        """Something that a reader of the run must know: once in the log, once on stderr."""
        if kind not in self._notes:
            self._notes.add(kind)
            if self.rank == 0 or kind != "on-policy":
                print(f"sapo_recorder: {message}", file=sys.stderr, flush=True)
            if self._writer is not None:
                self._writer.notes.append((self._step + 1, kind, message))

    def end_step(self, step: int, extra: Optional[Mapping[str, Any]] = None) -> None:
        """After an update: hand what was added to the writer, or drop it if that is behind."""
        with self.quietly():
            batches, self._pending, self._kept, self._step = self._pending, [], 0, step
            gradients, self._gradients = self._gradients, {}
            batches = [replace(batch, gradients=gradients.get(i)) for i, batch in enumerate(batches)]
            self._parts = max(1, len(batches))
            if not self.active or self._thread is None or not batches:
                return
            extra = {
                name: _copied(value.detach()) if isinstance(value, Tensor) else value
                for name, value in dict(extra or {}).items()
            }
            copied = None
            if torch.cuda.is_available() and torch.cuda.is_initialized():
                copied = torch.cuda.Event()
                copied.record()
            size = sum(batch.bytes for batch in batches)
            job = _Job(step, batches, self.wants_tokens(step), extra, copied, size)
            if self._held and self._held + size > WAITING_BYTES:
                self.dropped += 1
                return
            try:
                self._queue.put_nowait(job)
                self._held += size
            except queue.Full:
                self.dropped += 1

    def end(self, type: str = "finished", kind: str = "trained", message: str = "") -> None:
        """What became of the run: finished, stopped or failed. Waits up to 30 s for what is still to be written."""
        with self.quietly():
            atexit.unregister(self.end)
            thread, self._thread = self._thread, None
            if thread is None or self._writer is None or self._said_end:
                return
            self._said_end = True
            self._writer.last_word = (type, kind, message)
            deadline = time.monotonic() + 30
            with contextlib.suppress(queue.Full):
                self._queue.put(None, timeout=30)
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        writer = self._writer
        assert writer is not None
        while True:
            with self.quietly():
                try:
                    job = self._queue.get(timeout=0.5)
                except queue.Empty:
                    writer.publish()
                    continue
                if job is None:
                    break
                self._held -= job.bytes
                if self.active:
                    writer.step(job)
        with self.quietly():
            writer.close()


class _Writer:
    """The thread's side: measures, writes this rank's files, and on rank 0 what all ranks make together."""

    def __init__(self, recorder: Recorder, resumed: bool) -> None:
        self.of, self.resumed = recorder, resumed
        self.folder, self.rank, self.world = recorder.folder, recorder.rank, recorder.world
        self.events = Lines(self.folder / "events.jsonl")
        self.lines = Lines(self._of_rank(self.rank))
        self.notes: deque[Tuple[int, str, str]] = deque()
        self.last_word: Tuple[str, str, str] = ("stopped", "exit", "")
        self.began = time.monotonic()
        self.tokens = self.errors = 0
        self.published = 0  # the last step that is in the log
        self.said: Dict[int, Dict[int, Mapping[str, Any]]] = {}  # step -> rank -> what it measured
        self.since: Dict[int, float] = {}
        self.newest = dict.fromkeys(range(self.world), 0)
        self.offsets = dict.fromkeys(range(1, self.world), 0)
        self.lock: Any = None

    def _of_rank(self, rank: int) -> Path:
        return self.folder / "ranks" / f"rank-{rank}.jsonl"

    def open(self) -> bool:
        """False where another process writes as this rank. Rank 0 alone makes the folder; the others' first lines
        come after their first update, which their own training makes wait for rank 0's."""
        if not self._claim():
            self.of.stop(f"another process records rank {self.rank} in {self.folder}; this one does not.")
            return False
        if self.rank == 0 and not self._make_room():
            self.of.stop(f"{self.folder} holds a config.json that no recorder wrote; choose another folder.")
            return False
        mine = [*self.folder.glob(f"tokens/.*.rank-{self.rank}.*.part")]
        if self.rank == 0:  # another rank would take config.json's part from under rank 0's hands
            mine += self.folder.glob(".*.part")
        for part in mine:
            with contextlib.suppress(OSError):
                part.unlink()  # of a process that was killed
        self.lines.mend()
        for rank in self.offsets:
            with contextlib.suppress(OSError):
                self.offsets[rank] = self._of_rank(rank).stat().st_size if self.resumed else 0
        if self.rank == 0:
            self.events.mend()
            self._quietly(lambda: write_json(self.folder / "config.json", self.of.config, indent=2))
            self._quietly(lambda: self._worker("running"))
            named = {"framework": self.of.config["framework"], "version": self.of.config["version"]}
            self._event("start", self.of._step, resumed=self.resumed, world=self.world, **named)
        return True

    def _make_room(self) -> bool:
        """A recording of an earlier run is moved to <name>-1, -2 …: its own files only. False if it is none."""
        try:
            config = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
            if not isinstance(config, dict) or config.get("kind") != "recorded":
                return False
        except FileNotFoundError:
            return True
        except (OSError, ValueError):
            return False
        if not self.resumed:
            number = 1
            while (aside := self.folder.with_name(f"{self.folder.name}-{number}")).exists():
                number += 1
            with contextlib.suppress(OSError):
                aside.mkdir()
                for name in ("tokens", "ranks", "worker.json", "events.jsonl", "config.json"):
                    if (self.folder / name).exists():
                        os.replace(self.folder / name, aside / name)
                said = f"{self.folder} held a recording, which is now {aside}"
                print(f"sapo_recorder: {said}", file=sys.stderr, flush=True)
        return True

    def _claim(self) -> bool:
        """One process a rank: several may hold the same data (sequence parallelism), or use one folder by mistake."""
        if fcntl is None or self.lock is not None:
            return True
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.lock = open(self.folder / f".rank-{self.rank}.lock", "a")  # noqa: SIM115
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._release()
            return False
        except OSError:  # no such folder, or a file system without locks: write all the same
            self.lock = None
        return True

    def _release(self) -> None:
        if self.lock is not None:
            self.lock.close()
            self.lock = None

    def _quietly(self, write: Callable[[], Any]) -> bool:
        """A full disk or a missing folder is counted; the next step tries again."""
        try:
            write()
            return True
        except OSError as error:
            self.errors += 1
            self.of.note("write-error", f"{self.folder} cannot be written to ({error}); training goes on.")
            return False

    def _worker(self, state: str) -> None:
        mark = start_mark(os.getpid())
        worker = {"pid": os.getpid(), "mark": mark, "state": state, "since": time.time(), "asked": time.time_ns()}
        write_json(self.folder / "worker.json", {**worker, "oom": None, "host": socket.gethostname()})

    def _event(self, type: str, step: int, **data: Any) -> None:
        self.events.add({"type": type, "step": step, "time": round(time.time(), 3), **data})

    def step(self, job: _Job) -> None:
        """This rank's part of a step: its tokens, then its line, so that a line means that the file is there."""
        job.ready()
        said = measure(job.batches, self.of.loss)
        extra = {name: float(value) for name, value in job.extra.items()}
        said.update({"step": job.step, "extra": extra, "dropped": self.of.dropped, "write_errors": self.lines.errors})
        if job.tokens:
            said.update(self._tokens(job))
        if self.rank:
            self.lines.add(said)
        else:
            self._hear(0, said)
        self.publish()

    def _tokens(self, job: _Job) -> Dict[str, Any]:
        rows = token_rows(job.batches, job.step, self.rank, self.of.sequences, self.of._texts)
        stem = self.folder / "tokens" / f"step-{job.step:05d}.rank-{self.rank}"
        written: List[Path] = []
        if not rows or not self._quietly(lambda: written.append(write_tokens(stem, rows))):
            return {"file": None, "kept": 0}
        first = {name: rows[0].get(name) for name in ("prompt", "reward")}
        first["completion"] = "".join(rows[0]["tokens"]) if rows[0].get("tokens") else ""
        return {"file": f"tokens/{written[0].name}", "kept": len(rows), "first": first}

    # -- rank 0: what all ranks say ---------------------------------------------------------------------

    def _hear(self, rank: int, said: Mapping[str, Any]) -> None:
        step = int(said["step"])
        self.newest[rank] = max(self.newest[rank], step)
        if step > self.published:  # a rank that comes after its time is too late
            self.said.setdefault(step, {})[rank] = said
            self.since.setdefault(step, time.monotonic())

    def _listen(self) -> None:
        for rank in self.offsets:
            with contextlib.suppress(OSError), open(self._of_rank(rank), "rb") as file:
                file.seek(self.offsets[rank])
                data = file.read()
                whole = data[: data.rfind(b"\n") + 1]
                self.offsets[rank] += len(whole)
                for line in whole.splitlines():
                    with contextlib.suppress(ValueError, KeyError, TypeError):
                        self._hear(rank, json.loads(line))

    def publish(self, last: bool = False) -> None:
        """Write the steps that are complete, in order. A rank that has gone on, or is silent for a minute, is
        not waited for; which ones are missing is reported."""
        if self.rank:
            return
        self._listen()
        while self.notes:
            step, kind, message = self.notes.popleft()
            self._event("note", step, kind=kind, message=message)
        for step in sorted(self.said):
            missing = [rank for rank in range(self.world) if rank not in self.said[step]]
            patient = not last and time.monotonic() - self.since[step] < PATIENCE
            if patient and any(self.newest[rank] < step for rank in missing):
                return
            self.published = step
            self.since.pop(step, None)
            self._publish(step, self.said.pop(step), missing)

    def _publish(self, step: int, ranks: Mapping[int, Mapping[str, Any]], missing: List[int]) -> None:
        metrics = merge([dict(ranks[rank]) for rank in sorted(ranks)])
        self.tokens += sum(said["tokens"] for said in ranks.values())
        metrics.update(next(iter(ranks.values()))["extra"])
        metrics.update({"tokens": self.tokens, "seconds": round(time.monotonic() - self.began, 3)})
        counts = {"dropped": sum(said["dropped"] for said in ranks.values())}
        counts["write_errors"] = self.errors + self.events.errors + sum(said["write_errors"] for said in ranks.values())
        self._event("step", step, metrics=metrics, **({"missing_ranks": missing} if missing else {}), **counts)
        files = [said["file"] for _, said in sorted(ranks.items()) if said.get("file")]
        if not files:
            return
        kept = sum(said.get("kept", 0) for said in ranks.values())
        whole = not missing and len(files) == self.world
        if whole:
            marker = self.folder / "tokens" / f"step-{step:05d}.done"
            whole = self._quietly(lambda: write_json(marker, {"step": step, "files": files, "sequences": kept}))
        first: Mapping[str, Any] = next((said["first"] for _, said in sorted(ranks.items()) if said.get("first")), {})
        self._event("sample", step, file=files[0], files=files, sequences=kept, complete=whole, **first)

    def close(self) -> None:
        deadline = time.monotonic() + 20
        self.publish()
        while self.said and time.monotonic() < deadline:
            time.sleep(0.05)
            self.publish()
        self.publish(last=True)
        if self.rank == 0:
            type, kind, message = self.last_word
            data = {"message": message} if message else {}
            seconds = round(time.monotonic() - self.began, 3)
            self._event(type, self.of._step, kind=kind, seconds=seconds, dropped=self.of.dropped, **data)
            self._quietly(lambda: self._worker("ended"))
        self._release()


# -- for frameworks that are reached from outside -------------------------------------------------------------------


def settings_from_environment() -> Dict[str, Any]:
    """SAPO_RECORD, the run's folder, SAPO_RECORD_EVERY and SAPO_RECORD_SEQUENCES; empty where nothing is asked for."""
    folder = os.environ.get("SAPO_RECORD", "")
    numbers = {"every": ("SAPO_RECORD_EVERY", 10), "sequences": ("SAPO_RECORD_SEQUENCES", 64)}
    try:
        return (
            {"folder": folder, **{name: int(os.environ.get(of[0], of[1])) for name, of in numbers.items()}}
            if folder
            else {}
        )
    except ValueError:
        names = " and ".join(variable for variable, _ in numbers.values())
        print(f"sapo_recorder: {names} take whole numbers; nothing is recorded.", file=sys.stderr, flush=True)
        return {}


def after_import(name: str, patch: Callable[[Any], None]) -> None:
    """Call `patch(module)` when the module `name` is imported, at once if it is: nothing heavy is imported here.
    An error of the patch is reported and ends there."""

    def patched(module: Any) -> None:
        try:
            patch(module)
        except Exception as error:
            print(f"sapo_recorder: {name} is not as known ({error!r}); not recorded.", file=sys.stderr, flush=True)

    if name in sys.modules:
        patched(sys.modules[name])
        return

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, wanted: str, path: Any, target: Any = None) -> Any:
            if wanted != name:
                return None
            sys.meta_path.remove(self)
            spec = importlib.util.find_spec(name)
            if spec is not None and spec.loader is not None:
                execute = spec.loader.exec_module

                def then_patch(module: Any) -> None:
                    execute(module)
                    patched(module)

                spec.loader.exec_module = then_patch  # type: ignore[method-assign]
            return spec

    sys.meta_path.insert(0, Finder())


def start_mark(pid: int) -> str:
    """What tells this process from a later one with the same id: the boot's id and the start in clock ticks (Linux)."""
    try:
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8] + "-" + ticks
    except OSError:
        return ""


# -- TRL -------------------------------------------------------------------------------------------------------------

# What is wrapped, and the parameters that it has to take: these methods are private and may change.
_TRL = {
    "_calculate_rewards": ("inputs", "prompts", "completions", "completion_ids_list"),
    "_generate_and_score_completions": ("inputs",),
    "_compute_loss": ("model", "inputs"),
    "_get_per_token_logps_and_entropies": ("model", "input_ids", "attention_mask", "logits_to_keep"),
}


def record(trainer: Any, folder: Any, every: int = 10, sequences: int = 64) -> Recorder:
    """Record what `trainer`, a GRPOTrainer of TRL, does from `trainer.train()` on.

    Args:
        folder: the run's folder, such as runs/x below the app's data folder.
        every: steps between two that keep their tokens; the first always does; 0: none, metrics only.
        sequences: how many of them a step keeps, over all ranks.

    Nothing is raised where the trainer cannot be served: the recorder says why (`reason`) and stays off.
    """
    try:
        import trl
        from transformers import TrainerCallback

        why = _unfit(trainer)
        if why:
            return Recorder.off(f"TRL {trl.__version__}: {why}; nothing is recorded, training goes on.")
        accelerator = trainer.accelerator
        names = ("learning_rate", "num_generations", "num_iterations", "steps_per_generation", "beta", "temperature",
                 "gradient_accumulation_steps", "per_device_train_batch_size", "max_completion_length", "scale_rewards",
                 "loss_type", "importance_sampling_level", "epsilon", "epsilon_high", "delta", "sapo_temperature_pos",
                 "sapo_temperature_neg", "use_vllm", "vllm_importance_sampling_correction",
                 "vllm_importance_sampling_mode", "vllm_importance_sampling_cap", "vllm_importance_sampling_clip_max",
                 "vllm_importance_sampling_clip_min", "top_entropy_quantile", "off_policy_mask_threshold",
                 "entropy_coef", "use_adaptive_entropy", "use_bias_correction_kl", "mask_truncated_completions",
                 "max_steps", "seed")  # fmt: skip
        settings = {name: getattr(trainer.args, name) for name in names if hasattr(trainer.args, name)}
        recorder = Recorder(
            folder, framework="trl", version=trl.__version__, loss=_trl_loss(trainer), every=every,
            sequences=sequences, rank=accelerator.process_index, world=accelerator.num_processes,
            tokenizer=trainer.processing_class, model=str(getattr(trainer.model, "name_or_path", "")),
            settings=settings,
        )  # fmt: skip
        hooks = _TrlHooks(trainer, recorder)

        class Steps(TrainerCallback):
            def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                recorder.begin(state.global_step)

            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                recorder.end_step(state.global_step, hooks.extra)  # global_step counts this one already

            def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                recorder.end("finished", "trained")

        trainer.add_callback(Steps())
        return recorder
    except Exception as error:
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return Recorder.off(f"this trainer cannot be recorded ({why}); training goes on.")


def _unfit(trainer: Any) -> str:
    """Why this trainer cannot be recorded, in a clause; empty if it can."""
    for name, expected in _TRL.items():
        method = getattr(trainer, name, None)
        if method is None:
            return f"{type(trainer).__name__} has no {name}, which the recorder of GRPOTrainer (0.20 to 1.16) wraps"
        has = tuple(inspect.signature(method).parameters)
        if has[: len(expected)] != expected:
            takes, known = ", ".join(has[: len(expected)]), ", ".join(expected)
            return f"{type(trainer).__name__}.{name} takes ({takes}), and the recorder knows it with ({known})"
    fused = getattr(trainer, "use_liger_loss", False) or (
        getattr(trainer, "use_liger_kernel", False) and hasattr(trainer, "compute_liger_loss")
    )
    return "Liger's fused loss never forms the policy's log-probs" if fused else ""


def _trl_loss(trainer: Any) -> Loss:
    args = trainer.args
    name = str(getattr(trainer, "loss_type", None) or getattr(args, "loss_type", "grpo"))
    level = str(getattr(trainer, "importance_sampling_level", "token"))
    low = float(getattr(trainer, "epsilon_low", 0.2))
    high = float(getattr(trainer, "epsilon_high", low))
    delta = getattr(args, "delta", None)
    clip = {"eps_low": low, "eps_high": high, **({} if delta is None else {"dual_clip": float(delta)})}
    if name == "sapo":
        temperatures = {"tau_pos": float(args.sapo_temperature_pos), "tau_neg": float(args.sapo_temperature_neg)}
        return Loss(name, level, "sapo", temperatures)
    if name == "cispo":  # its epsilon_high is the cap itself
        return Loss(name, level, "cispo", {"eps_low": 1.0, "eps_high": high - 1})
    if name in ("grpo", "dapo", "bnpo", "dr_grpo", "luspo"):
        known = {"bnpo": "dapo"}.get(name, name) if level == "token" else {"luspo": "luspo"}.get(name, "gspo")
        known = "grpo" if known == "luspo" and level == "token" else known
        return Loss(name, level, "dual_clip" if delta is not None and level == "token" else known, clip)
    return Loss(name, level)


class _TrlHooks:
    """Wraps four methods of this one trainer: rewards, rollout, loss, and the log-probs inside the loss."""

    def __init__(self, trainer: Any, recorder: Recorder) -> None:
        self.trainer, self.recorder = trainer, recorder
        self.rewards: Optional[Tensor] = None  # [rows of all ranks, functions]
        self.inside = False
        self.found: Optional[Tuple[Any, ...]] = None
        self.rollout = (-1, 0)  # the step that it is for, and how many prompts it has had
        self.generated = 0  # updates made before it
        self.extra: Dict[str, Any] = {}
        for name, hook in (
            ("_calculate_rewards", self._calculate_rewards),
            ("_generate_and_score_completions", self._generate),
            ("_get_per_token_logps_and_entropies", self._logprobs),
            ("_compute_loss", self._compute_loss),
            ("train", self._train),
        ):
            original = getattr(trainer, name)
            setattr(trainer, name, functools.wraps(original)(functools.partial(hook, original)))

    def _train(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        except (KeyboardInterrupt, SystemExit):
            self.recorder.end("stopped", "interrupted", "Training was interrupted.")
            raise
        except BaseException as error:
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
            self.recorder.end("failed", "exception", said)
            raise

    def _calculate_rewards(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.rewards = None
        rewards = original(*args, **kwargs)
        if isinstance(rewards, Tensor) and rewards.dim() == 2:
            self.rewards = rewards
        return rewards

    def _generate(self, original: Callable[..., Any], inputs: Any) -> Any:
        training = self.trainer.model.training
        out = original(inputs)
        with self.recorder.quietly():
            if training and self.recorder.active and self.rewards is not None:
                self._label(out, self.rewards, len(inputs))
        return out

    def _label(self, out: Dict[str, Any], per_function: Tensor, count: int) -> None:
        """Rewards and group numbers go with the batch, so that TRL shuffles and splits them with it."""
        trainer = self.trainer
        rewards = (per_function * trainer.reward_weights.to(per_function.device)).nansum(1)
        rewards[per_function.isnan().all(1)] = math.nan
        size, step = trainer.num_generations, trainer.state.global_step + 1
        first = self.rollout[1] if self.rollout[0] == step else 0
        self.rollout = (step, first + len(rewards) // size)
        self.generated = trainer.state.global_step
        groups = torch.arange(len(rewards), device=rewards.device) // size + first + step * 1_000_000
        mine = slice(trainer.accelerator.process_index * count, (trainer.accelerator.process_index + 1) * count)
        out["recorder_rewards"], out["recorder_groups"] = rewards[mine], groups[mine]
        grouped = rewards.view(-1, size)
        self.extra = {"dead_groups": (grouped.amax(1) == grouped.amin(1)).double().mean()}

    def _logprobs(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        out = original(*args, **kwargs)
        if self.inside and self.found is None:
            self.found = out
        return out

    def _compute_loss(self, original: Callable[..., Any], model: Any, inputs: Any) -> Any:
        self.inside, self.found = True, None
        try:
            loss = original(model, inputs)
        finally:
            self.inside = False
        with self.recorder.quietly():
            if self.trainer.model.training and self.recorder.active:
                self._add(inputs, loss)
        return loss

    def _add(self, inputs: Mapping[str, Any], loss: Any) -> None:
        found, self.found = self.found, None
        if not isinstance(found, tuple) or not isinstance(found[0], Tensor):
            self.recorder.stop(
                f"{type(self.trainer).__name__} computes its loss without forming the policy's log-probs (a fused "
                "kernel, as unsloth's), so there is nothing to record; training goes on."
            )
            return
        if inputs.get("old_per_token_logps") is None:
            self.recorder.note(
                "on-policy",
                "TRL makes one update from each rollout here, so π_old = π_θ and every ratio is 1: SAPO, GRPO and GSPO "
                "have the same gradient. Raise num_iterations or steps_per_generation to make them differ.",
            )
        there, tools = inputs["completion_mask"], inputs.get("tool_mask")
        self.recorder.add(
            Batch(
                logprobs=found[0],
                entropies=found[1] if len(found) > 1 and isinstance(found[1], Tensor) else None,
                advantages=inputs["advantages"],
                mask=there if tools is None else there * tools,
                present=there,
                ids=inputs["completion_ids"],
                old_logprobs=inputs.get("old_per_token_logps"),
                sampler_logprobs=inputs.get("sampling_per_token_logps"),
                ref_logprobs=inputs.get("ref_per_token_logps"),
                correction=inputs.get("importance_sampling_ratio"),
                rewards=inputs.get("recorder_rewards"),
                groups=inputs.get("recorder_groups"),
                prompt_ids=inputs["prompt_ids"],
                prompt_mask=inputs["prompt_mask"],
                loss=loss if isinstance(loss, Tensor) else None,
                minibatch=self.trainer.state.global_step - self.generated,
            )
        )
