"""A worker that never says a word: `python -m tests.models.silent`."""

import time

time.sleep(600)
