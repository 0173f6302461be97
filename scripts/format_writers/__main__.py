"""Write the samples whose sources are given, and say in the manifest who wrote them."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

from scripts.format_writers.source import Source

FOLDER = Path(__file__).parents[2] / "assets" / "samples" / "formats"


def main() -> None:
    here = Path(__file__).parent
    known = sorted(p.stem for p in here.glob("*.py") if p.stem not in ("__init__", "__main__", "answers", "source"))
    parser = argparse.ArgumentParser(prog="python -m scripts.format_writers", description=__doc__)
    parser.add_argument("sources", nargs="+", metavar="NAME=PATH[@VERSION]", help=f"NAME of {', '.join(known)}")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the samples' folder")
    args = parser.parse_args()
    path = args.out.with_suffix(".json")
    manifest = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    args.out.mkdir(parents=True, exist_ok=True)
    for given in args.sources:
        name, _, rest = given.partition("=")
        root, _, said = rest.partition("@")
        if name not in known or not Path(root).is_dir():
            parser.error(f"{given}: it takes one of {', '.join(known)}, =, and the folder of its source")
        source, writer = Source(Path(root)), importlib.import_module(f"scripts.format_writers.{name}")
        for file, function, data in writer.write(source):
            (args.out / file).write_bytes(data)
            version = said or source.version(getattr(writer, "PACKAGE", "*"))
            manifest[file] = {"framework": writer.FRAMEWORK, "version": version, "function": function}
            print(f"{len(data):6,} bytes  {file}  {writer.FRAMEWORK} {version}")
    path.write_text(json.dumps(dict(sorted(manifest.items())), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
