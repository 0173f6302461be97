"""`make bench`: measure everything and refresh docs/benchmarks.md. Do not use the machine meanwhile."""

from __future__ import annotations

from benchmarks import drag, report, rollouts, scoring, start, strip, training, watchers


def main() -> None:
    where = report.machine()
    sections = []
    for benchmark in (start, drag, strip, rollouts, scoring, training, watchers):
        section = benchmark.measure()
        print(section.markdown(), flush=True)
        sections.append(section)
    report.write(where, sections)


if __name__ == "__main__":
    main()
