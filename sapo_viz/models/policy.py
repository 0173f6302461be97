"""Policies: the two that ship, a folder, or a model of the Hugging Face Hub; and new tiny ones."""

from __future__ import annotations

import contextlib
import logging
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sapo_viz.core.lazy import torch
from sapo_viz.errors import ModelError
from sapo_viz.models.tasks import Task
from sapo_viz.models.tokenizer import encode, make_tokenizer, token_texts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_ASSETS = Path(__file__).parents[2] / "assets" / "policies"

# name -> what it is, in one line
BUNDLED: dict[str, str] = {
    "addition-start": "warm start on three-digit addition: knows the form, right about one time in four",
    "addition-rl": "the same after reinforcement learning with SAPO",
}


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

    def encode(self, text: str, *, start: bool = False) -> list[int]:
        """Token ids; a ModelError names a character that the tokenizer does not know."""
        return encode(self.tokenizer, text, start=start)

    def texts(self, ids: Sequence[int]) -> list[str]:
        """The text of each token."""
        return token_texts(self.tokenizer, ids)

    def save(self, folder: Path | str) -> None:
        """Hugging Face format, weights as safetensors."""
        with _quiet():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)


def load_policy(name: str, *, device: str = "cpu", dtype: str = "float32") -> Policy:
    """A policy by bundled name, folder, or Hub id, in evaluation mode.

    Code that comes with a model is never run (`trust_remote_code` stays off).

    Raises:
        ModelError: there is no such policy, or it is not a causal language model that can be read.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = str(_ASSETS / name) if name in BUNDLED else name
    if Path(source).is_dir() and not (Path(source) / "config.json").is_file():
        raise ModelError(f"the folder {name!r} holds no policy: there is no config.json in it.")
    # Without a connection the library would try for most of a minute; what is in its cache still loads.
    local = Path(source).exists() or not _hub_answers()
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, local_files_only=local)
            model = AutoModelForCausalLM.from_pretrained(
                source, dtype=getattr(torch, dtype), trust_remote_code=False, local_files_only=local
            )
    except Exception as error:  # the libraries raise a dozen kinds, for a wrong name or a broken file
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        raise ModelError(
            f"policy {name!r} could not be loaded ({reason[:300]}); it takes {', '.join(BUNDLED)}, a folder in "
            "Hugging Face format, or the id of a causal language model on the Hub, which needs a connection."
        ) from None
    return Policy(name, model.to(device).eval(), tokenizer)


def new_policy(task: Task, seed: int) -> Policy:
    """An untrained Qwen3 of 75,776 parameters for a task. Equal seeds give equal weights."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = make_tokenizer(task)
    config = Qwen3Config(
        vocab_size=len(task.vocabulary),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):  # leave the caller's random numbers alone
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM(config)
    return Policy("new", model.eval(), tokenizer)


def _hub_answers(seconds: float = 3.0) -> bool:
    """Whether the Hub can be reached; taken for granted behind a proxy."""
    from huggingface_hub.constants import ENDPOINT

    if urllib.request.getproxies():
        return True
    address = urllib.parse.urlsplit(ENDPOINT)
    port = address.port or (80 if address.scheme == "http" else 443)
    with contextlib.suppress(OSError), socket.create_connection((address.hostname, port), timeout=seconds):
        return True
    return False


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
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
