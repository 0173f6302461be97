"""`python -m sapo_viz …`: see sapo_viz.cli."""

import sys

from sapo_viz.cli import main

sys.exit(main())
