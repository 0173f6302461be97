"""A question in a model's chat template, as text that ends where the answer begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sapo_viz.errors import ModelError
from sapo_viz.models.source import small_json

if TYPE_CHECKING:
    from sapo_viz.models.policy import Policy


def has_template(policy: Policy) -> bool:
    return bool(policy.tokenizer.chat_template)


def lacks_template(folder: Path) -> bool:
    """Whether the tokenizer beside a model's weights has none, seen without loading it; False if that is unknown."""
    if any(folder.glob("chat_template.*")):
        return False
    try:
        return not small_json(folder / "tokenizer_config.json").get("chat_template")
    except ModelError:
        return False


def no_template(name: str) -> ModelError:
    return ModelError(
        f"policy {name!r} has no chat template in its tokenizer; set the chat template to off or auto, or take an "
        "instruct model."
    )


def chat_prompt(policy: Policy, question: str, system: str = "") -> str:
    """The template around a system message, if any, and the user's.

    Raises:
        ModelError: the tokenizer has no template, or one that takes no system message.
    """
    from sapo_viz.models.policy import reading

    if not has_template(policy):
        raise no_template(policy.name)
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": question})
    with reading("chat template"):
        text: str = policy.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)  # type: ignore[assignment]
    return text


def without_end(policy: Policy, completion: str) -> str:
    """A completion without the special tokens that close it."""
    specials = sorted(map(str, policy.tokenizer.all_special_tokens), key=len, reverse=True)
    while True:
        shorter = next((completion.removesuffix(end) for end in specials if completion.endswith(end)), None)
        if shorter is None or not specials:
            return completion
        completion = shorter
