"""Measurements for docs/benchmarks.md. Results go there and are asserted nowhere: a slow machine is no fault."""
