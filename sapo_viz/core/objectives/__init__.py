"""The catalogue. The order of these imports is the order on every page (and gives the colours)."""

from sapo_viz.core.objectives import gates as gates  # isort: skip
from sapo_viz.core.objectives import clipped as clipped  # isort: skip
from sapo_viz.core.objectives import detached as detached  # isort: skip
from sapo_viz.core.objectives import relatives as relatives  # isort: skip
from sapo_viz.core.objectives import decays as decays  # isort: skip
from sapo_viz.core.objectives import penalties as penalties  # isort: skip
from sapo_viz.core.objectives import weights as weights  # isort: skip
from sapo_viz.core.objectives import batchwise as batchwise  # isort: skip
