"""Tokenizers: one made for a task, a symbol a token; and what any tokenizer's tokens look like as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sapo_viz.errors import ModelError
from sapo_viz.models.tasks import PAD, Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")  # how sentencepiece vocabularies write a lone byte
_SMALL = 300  # a vocabulary that can be listed in an error


def make_tokenizer(task: Task) -> PreTrainedTokenizerBase:
    """One token a symbol, in Hugging Face format, so that AutoTokenizer loads what is saved.

    A BPE model without merges splits into characters, and drops those it does not know; `encode` notices.
    """
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    vocabulary = {symbol: index for index, symbol in enumerate(task.vocabulary)}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.decoder = decoders.Fuse()  # no blanks between tokens
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        eos_token=task.end,
        clean_up_tokenization_spaces=False,
        model_max_length=64,
    )


def encode(tokenizer: PreTrainedTokenizerBase, text: str, *, start: bool = False) -> list[int]:
    """Token ids of a text, or a ModelError naming the first character that the tokenizer does not know.

    With `start`, the special tokens that the tokenizer puts before a text are kept.
    """
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    if tokenizer.unk_token_id in ids or "".join(token_texts(tokenizer, ids)) != text:
        for character in dict.fromkeys(text):
            alone = tokenizer(character, add_special_tokens=False)["input_ids"]
            if not alone or tokenizer.unk_token_id in alone:
                raise ModelError(
                    f"the text has the character {character!r} (U+{ord(character):04X}), which this policy's "
                    f"tokenizer does not know; it knows {_known(tokenizer)}."
                )
    if start:
        whole: list[int] = tokenizer(text)["input_ids"]
        if whole[-len(ids) :] == ids or not ids:
            return whole
    return ids


def _known(tokenizer: PreTrainedTokenizerBase) -> str:
    special = set(tokenizer.all_special_tokens) - {tokenizer.eos_token}
    symbols = [symbol for symbol, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
    if len(symbols) > _SMALL:
        return f"{len(symbols):,} tokens, none of which stands for it"
    return " ".join("space" if symbol == " " else symbol for symbol in symbols if symbol not in special)


def token_texts(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[str]:
    r"""What each token stands for, exactly: `Ġthe` is " the", special tokens are their names.

    A token that is only part of a character has no text of its own; its bytes are shown, as `\xe4\xbd`.
    """
    return [_token_text(tokenizer, index) for index in ids]


@lru_cache(maxsize=200_000)
def _token_text(tokenizer: Any, index: int) -> str:
    raw = tokenizer.convert_ids_to_tokens(index)
    if raw is None:
        return ""
    if index in tokenizer.all_special_ids:
        return str(raw)
    if byte := _BYTE_TOKEN.fullmatch(raw):
        value = int(byte[1], 16)
        return chr(value) if value < 0x80 else f"\\x{value:02x}"
    if raw.startswith("▁"):  # sentencepiece's blank, which decoding a lone token would drop
        return str(raw.replace("▁", " "))
    text: str = tokenizer.decode([index], clean_up_tokenization_spaces=False)
    if "\ufffd" in text:
        values = _bytes_of(raw)
        return "".join(f"\\x{value:02x}" for value in values) if values else text
    return text


def _bytes_of(raw: str) -> bytes:
    """The bytes behind a byte-level BPE token, whose alphabet maps each byte to a printable character."""
    alphabet = _byte_alphabet()
    if not all(character in alphabet for character in raw):
        return b""
    return bytes(alphabet[character] for character in raw)


@lru_cache(maxsize=1)
def _byte_alphabet() -> dict[str, int]:
    """GPT-2's table: printable bytes stand for themselves, the others are moved to U+0100 and up."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(hidden)}
