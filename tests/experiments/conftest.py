"""A store for each test, as the tests of runs have it."""

from tests.runs.conftest import store

__all__ = ["store"]
