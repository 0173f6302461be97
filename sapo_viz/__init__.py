"""SAPO Viz: what does this policy objective do to my tokens, and will it keep my run stable?

from sapo_viz import CATALOG, policy_loss
out = policy_loss(CATALOG["sapo"](tau_neg=1.05), logprobs, old_logprobs, advantages, mask)
out.loss, out.tokens.gate_weight, out.metrics
"""

from sapo_viz.core import objectives as _objectives  # fills the catalogue
from sapo_viz.core.losses import PolicyLoss, TokenView, policy_loss
from sapo_viz.core.objective import CATALOG, Objective, make_objective, register
from sapo_viz.errors import SapoVizError

__all__ = [
    "CATALOG",
    "Objective",
    "PolicyLoss",
    "SapoVizError",
    "TokenView",
    "make_objective",
    "policy_loss",
    "register",
]
__version__ = "0.1.0"
del _objectives
