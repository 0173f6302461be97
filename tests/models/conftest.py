"""The bundled policies, loaded once."""

from __future__ import annotations

import pytest
import torch

from sapo_viz.models.policy import Policy, load_policy

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def start() -> Policy:
    return load_policy("addition-start")


@pytest.fixture(scope="session")
def trained() -> Policy:
    return load_policy("addition-rl")
