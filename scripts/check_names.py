"""Whether every name that the reference page gives for a framework is in that framework's sources.

    python -m scripts.check_names --TRL DIR --verl DIR --ms-swift DIR --torchforge DIR --SkyRL DIR --AReaL DIR …

Each DIR is an installed package's folder or a checkout; frameworks that are not given are left out. A name is looked
for as a whole word in the Python, YAML and TOML files: `loss_mode=gspo` asks for loss_mode and for gspo. It says which
version it looked in, where the folder tells, and ends with 1 if a name is missing.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from sapo_viz import CATALOG
from sapo_viz.core.metrics import METRICS
from sapo_viz.printed.reference import FRAMEWORKS, frameworks_of

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:-[a-z]+)*")
# Words of our own sentences around the names, values, and what TOML and shells write.
_OURS = {"with", "of", "the", "mean", "log", "true", "false", "none", "True", "False", "e"}


def names(framework: str) -> Iterator[tuple[str, str]]:
    """(where it stands, a word that must be in the sources)."""
    texts: list[tuple[str, str]] = []
    for cls in CATALOG.values():
        texts += [(cls.label, text) for name, text in frameworks_of(cls).items() if name == framework]
        for knob in cls.knobs().values():
            # A subclass that a framework does not have may share its parent's knobs.
            if framework in frameworks_of(cls) and framework in knob.names:
                texts.append((f"{cls.label}, {knob.symbol}", knob.names[framework]))
    texts += [
        (metric.label, metric.frameworks[framework]) for metric in METRICS.values() if framework in metric.frameworks
    ]
    for place, text in texts:
        for word in _NAME.findall(text):
            if word not in _OURS and len(word) > 1:
                yield place, word


def words(folder: Path) -> set[str]:
    found: set[str] = set()
    for path in folder.rglob("*"):
        if path.suffix in (".py", ".yaml", ".yml", ".toml") and path.is_file():
            found.update(_NAME.findall(path.read_text(encoding="utf-8", errors="replace")))
    # `token-mean` is found by its parts as well.
    return found | {part for word in found for part in word.split("-")}


def version(folder: Path) -> str:
    for metadata in sorted(folder.glob("*.dist-info/METADATA")):
        match = re.search(r"^Version: (.+)$", metadata.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        if match:
            return match[1]
    return "a checkout"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for framework in FRAMEWORKS:
        parser.add_argument(f"--{framework}", type=Path, dest=framework)
    asked = vars(parser.parse_args())
    missing = 0
    for framework in FRAMEWORKS:
        folder = asked[framework]
        if folder is None:
            print(f"{framework}: not looked at")
            continue
        there = words(folder)
        wanted = set(names(framework))
        lost = sorted((place, word) for place, word in wanted if word not in there)
        print(f"{framework} {version(folder)}: {len(wanted)} names, {len(lost)} missing")
        for place, word in lost:
            print(f"  {place}: {word}")
        missing += len(lost)
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
