"""Conversations in a log of texts: a list of messages {role, content} where others write one text.

TRL logs prompts and completions of a conversational dataset so (huggingface/trl, trl/trainer/grpo_trainer.py; 1.16).
`content` is a text, or a list of blocks {type: "text", text: …} and {type: "image"}, or null beside `tool_calls`.

A scorer puts one user's message into a model's chat template and scores one answer. So a prompt of one message is its
text, a longer one is written out with its roles, and of several messages in a completion the first answer is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sapo_viz.rollouts.formats.base import Notes, Row
from sapo_viz.rollouts.record import shown

CHAT = "Prompts are messages of a chat."  # becomes `TextDump.chat`
SEVERAL = "Prompts of several messages, written out as “role: text” since a template is put around one message only"
FIRST = "Completions of several messages, as with tools, of which the first answer is taken"
NO_TEXT = "Completions whose first answer has no text, as a tool call has none, left out"
IMAGES = "Images in messages, left out"


def is_conversation(value: Any) -> bool:
    """Whether this is a list of messages; an empty list is none."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)


def prompt_text(row: Row, name: str, notes: Notes) -> str:
    """The prompt, from a text or from messages."""
    if not is_conversation(row.values.get(name)):
        return _text(row, name)
    messages = row.objects(name)
    texts = [_content(message, notes) for message in messages]
    if len(messages) == 1:
        notes.say(CHAT)
        return texts[0]
    notes.count(SEVERAL)
    return "\n\n".join(f"{message.text('role')}: {text}" for message, text in zip(messages, texts, strict=True))


def answer_text(row: Row, name: str, notes: Notes) -> str | None:
    """The completion, from a text or from messages; None where the first answer has no text."""
    if not is_conversation(row.values.get(name)):
        return _text(row, name)
    messages = row.objects(name)
    first = next((message for message in messages if message.text("role") == "assistant"), None)
    if first is None:
        row.fail(f"{name} has no message with the role assistant; it takes the policy's answer")
    text = _content(first, notes)
    if not text:
        notes.count(NO_TEXT)
        return None
    if len(messages) > 1:
        notes.count(FIRST)
    return text


def _text(row: Row, name: str) -> str:
    value = row.values.get(name)
    if not isinstance(value, str):
        row.fail(f"{name} is {shown(value)}; it takes text or messages with role and content")
    return value


def _content(message: Row, notes: Notes) -> str:
    value = message.values.get("content")
    if value is None or isinstance(value, str):
        return value or ""
    if not isinstance(value, list):
        message.fail(f"content is {shown(value)}; it takes text, or a list of blocks with a type")
    blocks = message.objects("content")
    notes.count(IMAGES, sum(block.values.get("type") == "image" for block in blocks))
    return "".join(block.text("text") for block in blocks if block.values.get("type") == "text")
