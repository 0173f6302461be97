"""A run's settings as another framework writes them: a folder of a few files that trains the same there.

`export.py` says which there are. Each framework is one module: a table from our settings to its names, and how its
file is laid out. What it cannot express is a sentence in that file; an objective that it does not have is refused.
"""
