"""Tokenizers: one made for a task, one symbol per token; and what any tokenizer's tokens look like as text."""

from __future__ import annotations

import codecs
import json
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
    Longer symbols are cut out first.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {symbol: index for index, symbol in enumerate(task.vocabulary)}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    special = [symbol for symbol in task.vocabulary if symbol.startswith("<|")]
    if any(len(symbol) > 1 for symbol in task.vocabulary if symbol not in (PAD, *special)):
        backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[^a-z][a-z]{2}|."), "isolated")
    backend.decoder = decoders.Fuse()  # no blanks between tokens
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        eos_token=task.end,
        additional_special_tokens=special,
        clean_up_tokenization_spaces=False,
        model_max_length=max(64, task.prompt_length + task.completion_length),
    )


def encode(tokenizer: PreTrainedTokenizerBase, text: str, *, start: bool = False) -> list[int]:
    """Token ids of a text, or a ModelError naming the first character that the tokenizer does not know.

    With `start`, what the tokenizer puts before a text is kept: special tokens, and sentencepiece's blank. Without,
    the text is the continuation of another one and begins where that ended. A text that begins with the start symbol
    already, as a chat that was rendered before it was logged, is not given a second one.
    """
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    wanted = text.encode("utf-8", "replace")
    made = b"".join(token_bytes(tokenizer, ids))
    if not start and made == b" " + wanted:
        ids, made = _without_blank(tokenizer, text, wanted, (ids, made))
    if tokenizer.unk_token_id in ids or made != wanted:
        for character in dict.fromkeys(text):
            alone = tokenizer(character, add_special_tokens=False)["input_ids"]
            if not alone or tokenizer.unk_token_id in alone:
                raise ModelError(
                    f"the text has the character {character!r} (U+{ord(character):04X}), which this policy's "
                    f"tokenizer does not know; it knows {_known(tokenizer)}."
                )
    if start and not (ids and ids[0] == tokenizer.bos_token_id):
        whole: list[int] = tokenizer(text)["input_ids"]
        for end in range(len(whole), len(ids) - 1, -1):  # an end symbol that the tokenizer adds is no part of a prompt
            if whole[end - len(ids) : end] == ids:
                return whole[:end]
    return ids


def _without_blank(
    tokenizer: PreTrainedTokenizerBase, text: str, wanted: bytes, usual: tuple[list[int], bytes]
) -> tuple[list[int], bytes]:
    """The ids without the blank that sentencepiece puts before a text: read behind a newline, which is taken off."""
    newline: list[int] = tokenizer("\n", add_special_tokens=False)["input_ids"]
    whole: list[int] = tokenizer("\n" + text, add_special_tokens=False)["input_ids"]
    ids = whole[len(newline) :]
    made = b"".join(token_bytes(tokenizer, ids))
    return (ids, made) if whole[: len(newline)] == newline and made == wanted else usual


def _known(tokenizer: PreTrainedTokenizerBase) -> str:
    special = set(tokenizer.all_special_tokens) - {tokenizer.eos_token}
    symbols = [symbol for symbol, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
    if len(symbols) > _SMALL:
        return f"{len(symbols):,} tokens, none of which stands for it"
    return " ".join("space" if symbol == " " else symbol for symbol in symbols if symbol not in special)


def token_texts(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[str]:
    """What each token stands for, to be read: `Ġthe` is " the", special tokens are their names.

    Bytes that are only part of a character have no text; they show as their values, `⟨E4⟩⟨BD⟩`.
    """
    return [_shown(token) for token in token_bytes(tokenizer, ids)]


def token_bytes(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[bytes]:
    """The bytes that each token stands for; joined, they are the UTF-8 of the text as the tokenizer took it."""
    return [_token_bytes(tokenizer, index) for index in ids]


def _shown(token: bytes) -> str:
    return token.decode("utf-8", _HALF)


def _half(error: UnicodeError) -> tuple[str, int]:
    """A codec's error handler: each byte that is no character by itself as ⟨value⟩."""
    assert isinstance(error, UnicodeDecodeError)
    part = error.object[error.start : error.end]
    return "".join(f"⟨{value:02X}⟩" for value in part), error.end


_HALF = "sapo_viz.half_character"
codecs.register_error(_HALF, _half)


@lru_cache(maxsize=200_000)
def _token_bytes(tokenizer: Any, index: int) -> bytes:
    added = tokenizer.added_tokens_decoder.get(index)  # special tokens, and words such as <think>: written as they are
    if added is not None:
        return str(added.content).encode()
    raw = tokenizer.convert_ids_to_tokens(index)
    if raw is None:
        return b""
    kinds = _decoders(tokenizer)
    if "ByteLevel" in kinds:
        alphabet = _byte_alphabet()
        if all(character in alphabet for character in raw):
            return bytes(alphabet[character] for character in raw)
    if byte := _BYTE_TOKEN.fullmatch(raw):
        return bytes([int(byte[1], 16)])
    if kinds & {"Metaspace", "Replace"} or (not kinds and "▁" in raw):  # sentencepiece's blank
        return str(raw.replace("▁", " ")).encode()
    return str(tokenizer.decode([index], clean_up_tokenization_spaces=False)).encode("utf-8", "replace")


@lru_cache(maxsize=64)
def _decoders(tokenizer: Any) -> frozenset[str]:
    """The kinds of steps by which the tokenizer makes text of tokens; none when it is not of the fast sort."""
    decoder = getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None)
    if decoder is None:
        return frozenset()
    state = json.loads(decoder.__getstate__())  # a step is {"type": …}, a sequence of them {"decoders": […]}
    return frozenset(step["type"] for step in state.get("decoders", [state]))


@lru_cache(maxsize=1)
def _byte_alphabet() -> dict[str, int]:
    """GPT-2's table: printable bytes stand for themselves, the others are moved to U+0100 and up."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(hidden)}
