"""Where things are: in a checkout beside the package, in an installed package inside it. No other module knows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
_BESIDE = PACKAGE.parent
CHECKOUT = _BESIDE if (_BESIDE / "app.py").is_file() and (_BESIDE / "pages").is_dir() else None
HOME = CHECKOUT or PACKAGE / "_home"  # app.py, pages/, assets/ and .streamlit/; the wheel puts them into `_home`
ASSETS = HOME / "assets"
PAGES = HOME / "pages"
DATA_VARIABLE = "SAPO_VIZ_DATA_DIR"
_LOOKED_AT = 20_000  # entries below a folder, which may hold millions;
_OF_ONE = 5_000  # so many of them at most are one folder's, which must not hide the others


def runs_dir() -> Path:
    """`SAPO_VIZ_RUNS_DIR`; else `runs/` in the checkout; else, for an installed package, `runs/` where one stands."""
    return Path(os.environ.get("SAPO_VIZ_RUNS_DIR") or (CHECKOUT or Path.cwd()) / "runs")


def data_dir() -> Path | None:
    """The folder that `SAPO_VIZ_DATA_DIR` names: rollout files and recorded runs of the server's owner, never written
    to. None where it names none."""
    text = os.environ.get(DATA_VARIABLE, "").strip()
    return Path(text).expanduser() if text else None


def walk(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """`os.walk` in the order of the names, as far as a look goes; hidden folders are not entered, links neither.

    A disk keeps bytes: a name in another encoding than UTF-8 stands in no page and no JSON, and is left out.
    """
    looked = 0
    for folder, folders, names in os.walk(root):
        looked += min(len(folders) + len(names), _OF_ONE)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and _is_text(name))
        yield Path(folder), folders, sorted(filter(_is_text, names))
        if looked > _LOOKED_AT:
            return


def _is_text(name: str) -> bool:
    return name.isascii() or name.encode("utf-8", "replace").decode() == name


def child_environment() -> dict[str, str]:
    """The environment in which `python -m sapo_viz.…` finds this very package, from whatever folder it is started.

    Python then speaks UTF-8, whatever the locale: what a worker prints holds symbols and tokens.
    """
    path = os.pathsep.join(filter(None, [str(_BESIDE), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path, "PYTHONUTF8": "1"}
