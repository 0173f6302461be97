"""`make bench`: measure, and refresh docs/benchmarks.md. Do not use the machine meanwhile.

make bench ARGS="memory visitors"      these alone; the other sections stay as they are, each with its own date
"""

from __future__ import annotations

import argparse

from benchmarks import (
    drag,
    memory,
    real_model,
    recorded,
    report,
    rollouts,
    scoring,
    start,
    strip,
    training,
    visitors,
    watchers,
)

ALL = {
    module.__name__.removeprefix("benchmarks."): module
    for module in (start, drag, strip, rollouts, recorded, scoring, training, real_model, watchers, visitors, memory)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(ALL)}; all, if none is named")
    names = parser.parse_args().names or list(ALL)
    if unknown := [name for name in names if name not in ALL]:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(ALL)}")
    for name in names:
        where = report.machine()
        section = ALL[name].measure()
        print(section.markdown(), flush=True)
        report.write(where, section)


if __name__ == "__main__":
    main()
