"""What a token stands for: its bytes, and how they are shown."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import processors

from sapo_viz.models.tokenizer import encode, token_bytes, token_texts
from tests.models.tiny import byte_level, sentencepiece_like

BYTE_LEVEL, SENTENCEPIECE = byte_level(), sentencepiece_like()


@pytest.mark.parametrize("tokenizer", [BYTE_LEVEL, SENTENCEPIECE], ids=["byte-level", "sentencepiece"])
@settings(max_examples=150, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
@example(text="naïve 你好們 👩‍🚀<think>\n\ufffd Ġ▁⟨E4⟩<0xE4>")
@example(text=" the  cat")
def test_the_bytes_of_the_tokens_are_the_bytes_of_the_text(tokenizer: object, text: str) -> None:
    if tokenizer is SENTENCEPIECE:  # ▁ is a blank to it and <unk>, <0xE4> are its own names: it cannot tell them apart
        text = text.replace("▁", " ").replace("<", "(")
    ids = encode(tokenizer, text)  # type: ignore[arg-type]
    assert b"".join(token_bytes(tokenizer, ids)) == text.encode()  # type: ignore[arg-type]


def test_half_characters_show_as_their_bytes_and_whole_ones_as_text() -> None:
    """們 is E5 80 91 and in no merge of the corpus; 你 was merged."""
    assert token_texts(BYTE_LEVEL, encode(BYTE_LEVEL, "你們")) == ["你", "⟨E5⟩", "⟨80⟩", "⟨91⟩"]
    assert token_texts(SENTENCEPIECE, encode(SENTENCEPIECE, "H你")) == ["H", "⟨E4⟩", "⟨BD⟩", "⟨A0⟩"]


def test_a_token_of_text_and_half_a_character_shows_both() -> None:
    """Merged over a blank and two of three bytes, as large vocabularies have them."""
    tokenizer = byte_level(264, [" 你", " 佡"] * 50)  # E4 BD A0 and E4 BD A1: the blank and E4 BD are merged first
    assert " ⟨E4⟩⟨BD⟩" in token_texts(tokenizer, encode(tokenizer, "a 佢"))


def test_added_words_and_special_tokens_are_their_names() -> None:
    assert token_texts(BYTE_LEVEL, encode(BYTE_LEVEL, "<think> the<|end|>")) == ["<think>", " the", "<|end|>"]


def test_a_completion_does_not_begin_with_the_blank_that_sentencepiece_adds() -> None:
    """It goes on where the prompt ended; a prompt keeps the blank, as the model saw it in training."""
    assert token_texts(SENTENCEPIECE, encode(SENTENCEPIECE, "Hello")) == ["H", "e", "ll", "o"]
    assert token_texts(SENTENCEPIECE, encode(SENTENCEPIECE, " Hello"))[0] == " "
    assert token_texts(SENTENCEPIECE, encode(SENTENCEPIECE, "Hello", start=True))[0] == " "


def test_a_prompt_is_given_the_start_symbol_once() -> None:
    """Llama's tokenizers put <|begin|> before a text; a chat that was rendered before it was logged has it already."""
    tokenizer = byte_level()
    tokenizer.add_special_tokens({"bos_token": "<|begin|>"})
    begin = tokenizer.bos_token_id
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin|> $A", special_tokens=[("<|begin|>", begin)]
    )
    plain, rendered = (encode(tokenizer, text, start=True) for text in ("the cat", "<|begin|>the cat"))
    assert plain == rendered and plain.count(begin) == 1 and plain[0] == begin
