"""A policy in a larger vocabulary: every symbol in hundreds of spellings, and not a number of it changed.

Each spelling gets its symbol's embedding. The policy then reads any spelling as the symbol, and its logits for
them are equal, so π(4qz) = π(4)/600: the old policy over meanings, with its probability spread over thousands
of live tokens. (Symbols without spellings weigh 600 times less than before; nothing that is written is one.)
Training tells the spellings apart from there.
"""

from __future__ import annotations

import copy
from typing import Any

from sapo_viz.core.lazy import torch
from sapo_viz.errors import ModelError
from sapo_viz.models.policy import Policy
from sapo_viz.models.tasks import Task, meaning
from sapo_viz.models.tokenizer import make_tokenizer


def spelled_out(policy: Policy, task: Task) -> Policy:
    """`policy` with the vocabulary of `task`, whose symbols are spellings of those that the policy knows.

    Raises:
        ModelError: the policy lacks a plain symbol.
    """
    known = policy.tokenizer.get_vocab()
    plain = [meaning(symbol) for symbol in task.vocabulary]
    missing = next((symbol for symbol in plain if symbol not in known), None)
    if missing is not None:
        raise ModelError(f"policy {policy.name!r} has no token {missing!r}, which task {task.name!r} needs.")
    source = torch.tensor([known[symbol] for symbol in plain], device=policy.device)
    model: Any = copy.deepcopy(policy.model)  # transformers types its embeddings as any module
    embeddings = model.get_input_embeddings().weight.detach().clone()
    head = model.get_output_embeddings().weight.detach().clone()
    model.resize_token_embeddings(len(task.vocabulary), mean_resizing=False)
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(embeddings[source])
        model.get_output_embeddings().weight.copy_(head[source])  # the same tensor where the two are tied
    tokenizer = make_tokenizer(task)
    ends = [task.vocabulary.index(symbol) for symbol in task.ends or (task.end,)]
    model.config.pad_token_id = tokenizer.pad_token_id
    model.config.eos_token_id = model.generation_config.eos_token_id = ends
    return Policy(policy.name, model.eval(), tokenizer)
