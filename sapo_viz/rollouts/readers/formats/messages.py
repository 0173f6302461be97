"""Conversations in a log of texts: a list of messages {role, content} where others write one text.

TRL logs prompts and completions of a conversational dataset so (huggingface/trl, trl/trainer/grpo_trainer.py; 1.16);
ROLL writes the list as JSON text. `content` is a text, or a list of blocks {type: "text", text: …} and {type: "image"},
or null beside `tool_calls`.

A scorer puts one user's message into a model's chat template and scores one answer. So a prompt of one message is its
text, a longer one is written out with its roles, and of several messages in a completion the first answer with a text
is taken; calls of tools before it are written out with the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sapo_viz.rollouts.readers.files import json_file
from sapo_viz.rollouts.readers.formats.base import Entry, Notes
from sapo_viz.rollouts.record import shown

CHAT = "Prompts are messages of a chat."  # becomes `TextDump.chat`
SEVERAL = "Prompts of several messages, written out as “role: text” since a template is put around one message only"
FIRST = "Completions of several messages, as with tools, of which the first answer is taken"
CALLED = "Completions that begin with calls of tools, which stand with the prompt; the answer after them is taken"
NO_TEXT = "Completions whose answers have no text, as a tool call has none, left out"
MEDIA = "Images, video and audio in messages, marked ⟨image⟩, ⟨video⟩, ⟨audio⟩"
_TEXTS = ("text", "input_text", "output_text")
_ANSWERS = ("assistant", "model", "gpt")


def is_conversation(value: Any) -> bool:
    """Whether this is a list of messages; an empty list is none."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)


def messages_of(row: Entry, name: str) -> list[Entry]:
    """The messages of a field, from a list of them or from its JSON text."""
    value = row.values.get(name)
    if isinstance(value, str):
        json_file.check_brackets(row.file, 1, value)
        row = Entry(row.file, row.place, {name: json_file.parse(value, f"{row.file}, {row.place}, {name}")})
    if not is_conversation(row.values.get(name)):
        row.fail(f"{name} is {shown(value)}; it takes messages with role and content")
    return row.objects(name)


def prompt_text(row: Entry, name: str, notes: Notes) -> str:
    """The prompt, from a text or from messages."""
    if not is_conversation(row.values.get(name)):
        return _text(row, name)
    return written_out(row.objects(name), notes)


def answered(row: Entry, prompt: str, completion: str, notes: Notes) -> tuple[str, str | None]:
    """Prompt and completion of two fields, each a text or messages; None where no answer has a text."""
    told = row.values.get(completion)
    if not isinstance(told, list):
        return prompt_text(row, prompt, notes), _text(row, completion)
    messages = row.objects(completion)
    if messages and not any(map(is_answer, messages)):
        row.fail(f"{completion} has no message with the role assistant; it takes the policy's answer")
    at = _with_text(messages, notes)
    if at is None:
        return "", None
    answer = _answer(messages, at, notes)
    if not any(map(is_answer, messages[:at])):
        return prompt_text(row, prompt, notes), answer
    asked = row.objects(prompt) if is_conversation(row.values.get(prompt)) else [_user(row, _text(row, prompt))]
    return written_out([*asked, *messages[:at]], notes), answer


def split(row: Entry, messages: Sequence[Entry], notes: Notes) -> tuple[str, str | None]:
    """Prompt and first answer of a whole conversation; None where no answer has a text."""
    if not any(map(is_answer, messages)):
        row.fail("there is no message with the role assistant; a completion is the policy's answer")
    at = _with_text(messages, notes)
    return ("", None) if at is None else (written_out(messages[:at], notes), _answer(messages, at, notes))


def asked(messages: Sequence[Entry]) -> str:
    """What stands before the first answer, by which completions of one prompt are known."""
    first = next((i for i, message in enumerate(messages) if is_answer(message)), len(messages))
    return written_out(messages[:first], Notes()) if first else ""


def _with_text(messages: Sequence[Entry], notes: Notes) -> int | None:
    """Where the first answer with a text stands; what is before it, a tool's call and result, belongs to its prompt."""
    answers = [i for i, message in enumerate(messages) if is_answer(message)]
    at = next((i for i in answers if content(messages[i], Notes()).strip()), None)
    if at is None:
        notes.count(NO_TEXT)
    elif at != answers[0]:
        notes.count(CALLED)
    return at


def written_out(messages: Sequence[Entry], notes: Notes) -> str:
    """Messages as one text: of a single one its own, of several each with its role."""
    texts = [content(message, notes) + _calls(message) for message in messages]
    if len(messages) == 1:
        notes.say(CHAT)
        return texts[0]
    notes.count(SEVERAL)
    return "\n\n".join(f"{message.text('role')}: {text}" for message, text in zip(messages, texts, strict=True))


def is_answer(message: Entry) -> bool:
    return message.values.get("role") in _ANSWERS


def content(message: Entry, notes: Notes) -> str:
    """A message's text, with a mark where an image, video or audio stands."""
    value = message.values.get("content")
    if value is None or isinstance(value, str):
        return value or ""
    if not isinstance(value, list):
        message.fail(f"content is {shown(value)}; it takes text, or a list of blocks with a type")
    return "".join(_block(block, notes) for block in message.objects("content"))


def _block(block: Entry, notes: Notes) -> str:
    kind = block.values.get("type")
    if kind in _TEXTS:
        return block.text("text")
    medium = next((name for name in ("image", "video", "audio") if isinstance(kind, str) and name in kind), None)
    if medium is None:
        return ""
    notes.count(MEDIA)
    return f"⟨{medium}⟩"


def _answer(messages: Sequence[Entry], at: int, notes: Notes) -> str:
    notes.count(FIRST, int(at + 1 < len(messages)))
    return content(messages[at], notes)


def _user(row: Entry, text: str) -> Entry:
    return Entry(row.file, row.place, {"role": "user", "content": text})


def _calls(message: Entry) -> str:
    """Calls of tools, which come with a message's text, each marked by its name."""
    calls = message.values.get("tool_calls")
    named = (
        [call.get("function", call) for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else []
    )
    return "".join(f"⟨call {shown(inner.get('name'), 40)}⟩" for inner in named if isinstance(inner, Mapping))


def _text(row: Entry, name: str) -> str:
    value = row.values.get(name)
    if not isinstance(value, str):
        row.fail(f"{name} is {shown(value)}; it takes text or messages with role and content")
    return value
