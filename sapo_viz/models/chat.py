"""A question in a model's chat template, as text that ends where the answer begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapo_viz.errors import ModelError

if TYPE_CHECKING:
    from sapo_viz.models.policy import Policy


def has_template(policy: Policy) -> bool:
    return bool(policy.tokenizer.chat_template)


def chat_prompt(policy: Policy, question: str, system: str = "") -> str:
    """The template around a system message, if any, and the user's.

    Raises:
        ModelError: the tokenizer has no template, or one that takes no system message.
    """
    from sapo_viz.models.policy import reading

    if not has_template(policy):
        raise ModelError(
            f"policy {policy.name!r} has no chat template in its tokenizer; set the chat template to off or auto, or "
            "take an instruct model."
        )
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
