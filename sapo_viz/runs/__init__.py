"""Training runs: what is asked for, what happens, the folder that keeps it, the process that does it."""
