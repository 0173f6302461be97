"""Objectives, losses, advantages, KL and curves: torch and the standard library, no files, no clock."""
