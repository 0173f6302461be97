"""Policies: the two that ship, a folder, or a model of the Hugging Face Hub; and new tiny ones."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapo_viz.core.lazy import torch
from sapo_viz.errors import ModelError, reason_of
from sapo_viz.models.lora import with_adapter
from sapo_viz.models.memory import check_memory, out_of_memory
from sapo_viz.models.pictures import CELL, MERGE, PATCH, has_pictures, with_places
from sapo_viz.models.routing import quick_experts
from sapo_viz.models.source import BUNDLED, Located, ModelSource, check_reads_text, fetch, locate, looks_at_grids
from sapo_viz.models.tasks import IMAGE_END, IMAGE_PLACE, IMAGE_START, SIDE, Task
from sapo_viz.models.tokenizer import encode, make_tokenizer, token_texts
from sapo_viz.models.trained import has_adapter, save_adapter

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Policy:
    """A causal language model with its tokenizer. The model's weights change in training; nothing else does."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def has_pictures(self) -> bool:
        """Whether each of its prompts has a picture."""
        return has_pictures(self.model)

    def encode(self, text: str, *, start: bool = False) -> list[int]:
        """Token ids; a ModelError names a character that the tokenizer does not know.

        At its start, a policy that looks at pictures has places for one.
        """
        return encode(self.tokenizer, with_places(text) if start and self.has_pictures else text, start=start)

    def texts(self, ids: Sequence[int]) -> list[str]:
        """The text of each token."""
        return token_texts(self.tokenizer, ids)

    def save(self, folder: Path | str) -> None:
        """Hugging Face format, weights as safetensors; of a policy that is trained by an adapter, the adapter."""
        with quiet():
            if has_adapter(self.model):
                save_adapter(self.model, folder)
            else:
                self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)


def load_policy(name: str, *, device: str = "cpu", dtype: str = "float32", root: Path | None = None) -> Policy:
    """A policy by bundled name, folder, or Hub id, in evaluation mode.

    Args:
        root: None takes any folder of this machine; else only those that visitors may use, as in `source.locate`.

    Raises:
        ModelError: there is no such policy, or it is not a causal language model that can be read.
    """
    return load_source(fetch(locate(name, root=root)), device=device, dtype=dtype)


def load_source(source: ModelSource, *, device: str = "cpu", dtype: str = "float32") -> Policy:
    """A policy whose files are on this machine, in evaluation mode, with its adapter's layers in place.

    The adapter is not merged into the weights: in bfloat16 the rounding would swallow part of it.

    Raises:
        ModelError: it is not a causal language model that can be read, or there is not enough memory for it.
    """
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    pictured = looks_at_grids(source.base.folder)
    if not pictured:
        check_reads_text(source.base.name, source.base.folder)
    tokenizer = load_tokenizer(source)
    check_memory(source, device, dtype)
    with out_of_memory(source.name, device), reading(source.base.name), quiet():
        model = (AutoModelForImageTextToText if pictured else AutoModelForCausalLM).from_pretrained(
            source.base.folder,
            dtype=getattr(torch, dtype),
            trust_remote_code=False,
            local_files_only=True,
            use_safetensors=True,
        )
        if source.adapter:
            model = with_adapter(model, source.adapter)  # type: ignore[assignment]  # generates as its base does
        return Policy(source.name, quick_experts(model).to(device).eval(), tokenizer)


MAX_TOKENIZER = 64 * 1024**2  # bytes of one of its files; Gemma 3's, with 262,144 tokens, has 33 MB


def load_tokenizer(source: ModelSource) -> PreTrainedTokenizerBase:
    """The tokenizer alone, which takes no memory to speak of.

    Raises:
        ModelError: it cannot be read.
    """
    from transformers import AutoTokenizer

    _check_tokenizer(source.base)
    with reading(source.base.name), quiet():
        return AutoTokenizer.from_pretrained(source.base.folder, trust_remote_code=False, local_files_only=True)


def _check_tokenizer(model: Located) -> None:
    """Refuse before it is read what takes ten times its size in memory: 2.8 GB for one of 279 MB."""
    for pattern in ("tokenizer*.json", "vocab*", "merges.txt", "added_tokens.json", "*.model"):
        for path in Path(model.folder).glob(pattern):
            if path.stat().st_size > MAX_TOKENIZER:
                size, most = path.stat().st_size // 1024**2, MAX_TOKENIZER // 1024**2
                raise ModelError(
                    f"policy {model.name!r}: {path.name} has {size:,} MB; a tokenizer's file may have {most} MB, "
                    "so name another model."
                )


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Whatever the libraries raise for a broken or foreign file, as one sentence. They have a dozen kinds."""
    try:
        yield
    except (ModelError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise ModelError(
            f"policy {name!r} could not be loaded ({reason_of(error)}); it takes {', '.join(BUNDLED)}, a folder in "
            "Hugging Face format, or the id of a causal language model on the Hub, which needs a connection."
        ) from None


def new_policy(task: Task, seed: int, *, experts: int = 0) -> Policy:
    """An untrained policy for a task of some 20 symbols: a Qwen3 of 75,776 parameters, and for a task with pictures a
    Qwen3-VL. Equal seeds give equal weights.

    With `experts` it is a Qwen3Moe: so many experts of width 32 in each layer, two of them for each token.
    """
    tokenizer = make_tokenizer(task)
    shape: dict[str, Any] = dict(
        vocab_size=len(task.vocabulary),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=max(64, task.prompt_length + task.completion_length),
        pad_token_id=tokenizer.pad_token_id,
    )
    ends: dict[str, Any] = dict(eos_token_id=tokenizer.eos_token_id, bos_token_id=None)
    whole: dict[str, Any] = dict(tie_word_embeddings=True, dtype="float32")
    with torch.random.fork_rng(devices=[]):  # leave the caller's random numbers alone
        torch.manual_seed(seed)
        if task.pictured:
            model = _with_eyes(tokenizer, shape | ends, whole)
        elif experts:
            model = quick_experts(_mixture(experts, shape | ends | whole))
        else:
            from transformers import Qwen3Config, Qwen3ForCausalLM

            model = Qwen3ForCausalLM(Qwen3Config(**shape, **ends, **whole))
    return Policy("new", model.eval(), tokenizer)


def _mixture(experts: int, shape: dict[str, Any]) -> Any:
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

    mixture: dict[str, Any] = dict(
        moe_intermediate_size=32, num_experts=experts, num_experts_per_tok=2, norm_topk_prob=True
    )
    return Qwen3MoeForCausalLM(Qwen3MoeConfig(**shape, **mixture))


def _with_eyes(tokenizer: PreTrainedTokenizerBase, shape: dict[str, Any], whole: dict[str, Any]) -> Any:
    """A Qwen3-VL: the language model of this shape, and a tower of two layers that looks at the pictures; what the
    first of them sees goes into the language model's first layer too, as the large ones' do."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    text = shape | dict(rope_parameters=dict(rope_type="default", rope_theta=1e4, mrope_section=[2, 3, 3]))
    vision = dict(
        depth=2,
        hidden_size=64,
        intermediate_size=128,
        num_heads=4,
        patch_size=PATCH,
        spatial_merge_size=MERGE,
        out_hidden_size=shape["hidden_size"],
        num_position_embeddings=(SIDE * CELL // PATCH) ** 2,
        deepstack_visual_indexes=[0],
    )
    ids = tokenizer.get_vocab()
    return Qwen3VLForConditionalGeneration(
        Qwen3VLConfig(
            text_config=text,
            vision_config=vision,
            image_token_id=ids[IMAGE_PLACE],
            video_token_id=len(ids),  # no token: there are no films
            vision_start_token_id=ids[IMAGE_START],
            vision_end_token_id=ids[IMAGE_END],
            **whole,
        )
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without progress bars and advice: what matters is in the error."""
    from transformers.utils import logging as transformers_logging

    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
