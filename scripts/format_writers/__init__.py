"""Samples of every format, written by the frameworks' own writing functions with made-up numbers.

    python -m scripts.format_writers nemo_rl=../RL slime=../slime verl=… [--out assets/samples/formats]

A source is a checkout, or a folder with an unpacked wheel. Each module here takes one: it runs the framework's function
(imported, or taken out of its file by `source.py` where importing would need GPUs and servers) on the four answers of
`answers.py`. `assets/samples/formats.json` says of each file which function of which version wrote it. Without sources
nothing is written: what is there stays.
"""
